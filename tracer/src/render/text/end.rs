//! What ends a process, in words: exits, signals, the threads at that moment, the OOM killer. It must not
//! say more than the event does.

use super::{process::named, size::size, style::printable};
use crate::{
    contract::{
        ExitStatus, Process,
        kinds::{Delivery, Disposition, Exit, Oom, Signal, Syscall, Threads},
    },
    linux::{signal::Signal as Number, syscall::UNKNOWN},
};

pub(super) fn exit(exit: &Exit) -> String {
    let mut parts = vec![status(&exit.exit)];
    if let Some(written) = exit.written_bytes {
        let streams = [(written.stdout, "stdout"), (written.stderr, "stderr")];
        let told = streams.iter().filter(|(bytes, _)| *bytes > 0);
        let told: Vec<String> =
            told.map(|(bytes, name)| format!("{} to {name}", size(*bytes))).collect();
        parts.push(match told.is_empty() {
            true => "wrote nothing to descriptors 1 and 2".to_owned(),
            false => format!("wrote {}", told.join(", ")),
        });
    }
    parts.push(format!("peak memory {}", size(exit.max_rss_bytes)));
    if !exit.recorded {
        parts.push("the recorder was not on from its first exec".to_owned());
    }
    parts.join("; ")
}

fn status(status: &ExitStatus) -> String {
    match (status.code, &status.signal) {
        (_, Some(signal)) if status.core => {
            format!("killed by {} (core dumped)", printable(signal))
        }
        (_, Some(signal)) => format!("killed by {}", printable(signal)),
        // Shells and runtimes pass a signal on in this way.
        (Some(code @ 129..=159), None) => {
            let signal = Number(u32::from(code) - 128);
            format!("exited with status {code} (128 + {}, {signal})", signal.0)
        }
        (Some(code), None) => format!("exited with status {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// As told beside `process`, which it is for.
pub(super) fn signal(signal: &Signal, process: &Process) -> String {
    let from = match origin(&signal.code) {
        Origin::Kernel => "the kernel".to_owned(),
        Origin::Own(source) => source.to_owned(),
        Origin::Sender if signal.sender.is(process) => "itself".to_owned(),
        Origin::Sender => named(&signal.sender),
    };
    let about = about(signal).map_or(String::new(), |about| format!(" ({about})"));
    format!("{} from {from}{about}: {}", printable(&signal.signal), met(signal, process))
}

/// Who raised a signal.
enum Origin {
    Kernel,
    /// The process itself, by something that it set up.
    Own(&'static str),
    Sender,
}

/// By the name of its si_code (include/uapi/asm-generic/siginfo.h): those above zero are the kernel's.
fn origin(code: &str) -> Origin {
    match code {
        "SI_USER" | "SI_TKILL" | "SI_QUEUE" | "SEND_SIG_NOINFO" => Origin::Sender,
        "SI_TIMER" => Origin::Own("a timer of its own (timer_create)"),
        "SI_MESGQ" => Origin::Own("a message queue that it watches (mq_notify)"),
        "SI_ASYNCIO" => Origin::Own("asynchronous I/O of its own (aio)"),
        "SI_SIGIO" => Origin::Own("a descriptor that it watches (O_ASYNC)"),
        "SI_ASYNCNL" => Origin::Own("a look-up of names of its own (getaddrinfo_a)"),
        number if number.starts_with("si_code -") => Origin::Own("the kernel on its own behalf"),
        _ => Origin::Kernel,
    }
}

/// How it was raised, and about what.
fn about(signal: &Signal) -> Option<String> {
    let code = match signal.code.as_ref() {
        "SI_USER" => "kill".to_owned(),
        "SI_TKILL" => "tgkill".to_owned(),
        "SI_QUEUE" => "sigqueue".to_owned(),
        "SEND_SIG_PRIV" | "SEND_SIG_NOINFO" => return None,
        code => printable(code),
    };
    Some(match (&signal.syscall, &signal.address) {
        (Some(Syscall { number, name }), _) => {
            format!("{code}: {}, system call {number}", printable(name))
        }
        (None, Some(address)) => {
            let meaning = meaning(&code).map_or(String::new(), |told| format!(", {told}"));
            let instruction = signal.instruction.as_deref().map_or(String::new(), |digits| {
                // Eight bytes of it.
                format!(" ({})", printable(&digits.chars().take(16).collect::<String>()))
            });
            format!("{code} at {}{instruction}{meaning}", printable(address))
        }
        (None, None) => code,
    })
}

/// sigaction(2) on these codes.
fn meaning(code: &str) -> Option<&'static str> {
    match code {
        "SEGV_MAPERR" => Some("where nothing is mapped"),
        "SEGV_ACCERR" => Some("which may not be accessed so"),
        "FPE_INTDIV" => Some("division by zero"),
        "ILL_ILLOPC" | "ILL_ILLOPN" => Some("no valid instruction"),
        _ => None,
    }
}

fn met(signal: &Signal, process: &Process) -> String {
    let is_kill = signal.signal == "SIGKILL";
    let told = match (&signal.result, &signal.disposition) {
        (Delivery::Delivered, _) if is_kill => "it cannot be handled",
        (Delivery::Delivered, Disposition::Default) => "no handler, the default action is taken",
        (Delivery::Delivered, Disposition::Handled) => "it has a handler",
        (Delivery::Delivered, Disposition::Ignored) | (Delivery::Ignored, Disposition::Ignored) => {
            "ignored"
        }
        // sig_task_ignored in kernel/signal.c: SIGNAL_UNKILLABLE.
        (Delivery::Ignored, Disposition::Default) if process.vpid == Some(1) => {
            "dropped: it has no handler, and nothing but a handler brings a signal to PID 1"
        }
        (Delivery::Ignored, Disposition::Default) => "dropped, it has no handler",
        (Delivery::Ignored, Disposition::Handled | Disposition::Unknown(_)) => "dropped",
        (Delivery::AlreadyPending, _) => "already pending",
        (Delivery::Lost, _) => "lost by the kernel",
        (Delivery::Delivered, Disposition::Unknown(name)) | (Delivery::Unknown(name), _) => {
            return printable(name);
        }
    };
    told.to_owned()
}

/// Threads that do the same are counted together, the most frequent first.
pub(super) fn threads(threads: &Threads) -> String {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for thread in &threads.threads {
        let doing = doing(&thread.state, thread.syscall.as_ref());
        match groups.iter_mut().find(|(name, _)| *name == doing) {
            Some((_, count)) => *count += 1,
            None => groups.push((doing, 1)),
        }
    }
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if let ([(doing, 1)], 1) = (groups.as_slice(), threads.total) {
        return format!("at that moment its one thread was {doing}");
    }
    let groups: Vec<String> =
        groups.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    let noted = threads.threads.len();
    let of = match usize::try_from(threads.total) {
        Ok(total) if total == noted => String::new(),
        _ => format!("{noted} of "),
    };
    format!("at that moment, {of}{} threads: {}", threads.total, groups.join(", "))
}

fn doing(state: &str, syscall: Option<&Syscall>) -> String {
    let state = printable(state);
    match syscall {
        Some(call) if call.name != UNKNOWN => format!("{state} in {}", printable(&call.name)),
        Some(call) => format!("{state} in system call {}", call.number),
        None => state,
    }
}

/// The cgroups from the victim's own up to the root, those with a limit.
pub(super) fn oom(oom: &Oom, process: &Process) -> Vec<String> {
    let resident = oom.anon_bytes.saturating_add(oom.file_bytes).saturating_add(oom.shmem_bytes);
    let asked = if oom.trigger.is(process) {
        String::new()
    } else {
        format!("; it was {} that asked for memory", named(&oom.trigger))
    };
    let mut lines = vec![format!(
        "out of memory: the kernel chose it to be killed; it held {} (address space {}){asked}",
        size(resident),
        size(oom.total_vm_bytes)
    )];
    let limited = oom.memory_cgroups.iter().filter_map(|memcg| Some((memcg, memcg.limit_bytes?)));
    lines.extend(limited.map(|(memcg, limit)| {
        let group = if memcg.oom_group { "; all in it are killed together" } else { "" };
        let usage = size(memcg.usage_bytes);
        let id = printable(&memcg.id);
        format!("memory cgroup {id}: {usage} used of a limit of {}{group}", size(limit))
    }));
    if lines.len() == 1 {
        lines.push("no memory cgroup above it has a limit: the machine was full".to_owned());
    }
    lines
}
