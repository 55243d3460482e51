//! What ends a process, in words: exits, signals, the threads at that moment, the OOM killer. It must not
//! say more than the event does.

use super::{
    size::size,
    style::{printable, shown},
};
use crate::{
    contract::names,
    event::{Delivery, Disposition, Exit, Oom, Process, SignalEvent, Status, ThreadState, Threads},
    signal::{Signal, SignalCode},
    text,
};

pub(super) fn exit(exit: &Exit) -> String {
    let mut parts = vec![status(exit.status)];
    match exit.written {
        Some([0, 0]) => parts.push("wrote nothing to descriptors 1 and 2".to_owned()),
        Some([stdout, stderr]) => {
            let streams = [(stdout, "stdout"), (stderr, "stderr")];
            let written = streams.iter().filter(|(bytes, _)| *bytes > 0);
            let written: Vec<String> =
                written.map(|(bytes, name)| format!("{} to {name}", size(*bytes))).collect();
            parts.push(format!("wrote {}", written.join(", ")));
        }
        None => {}
    }
    parts.push(format!("peak memory {}", size(exit.max_rss_bytes)));
    if !exit.recorded {
        parts.push("the recorder was not on from its first exec".to_owned());
    }
    parts.join("; ")
}

fn status(status: Status) -> String {
    match (status.code, status.signal) {
        (_, Some(signal)) if status.core => format!("killed by {signal} (core dumped)"),
        (_, Some(signal)) => format!("killed by {signal}"),
        // Shells and runtimes pass a signal on in this way.
        (Some(code @ 129..=159), None) => {
            let signal = Signal(u32::from(code) - 128);
            format!("exited with status {code} (128 + {}, {signal})", signal.0)
        }
        (Some(code), None) => format!("exited with status {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// As told beside `process`, which it is for.
pub(super) fn signal(signal: &SignalEvent, process: &Process) -> String {
    let from = if signal.code.from_kernel() {
        "the kernel".to_owned()
    } else if let Some(source) = signal.code.own_source() {
        source.to_owned()
    } else if signal.sender.id == process.id {
        "itself".to_owned()
    } else {
        named(&signal.sender)
    };
    let about = about(signal).map_or(String::new(), |about| format!(" ({about})"));
    format!("{} from {from}{about}: {}", signal.signal, met(signal, process))
}

fn named(process: &Process) -> String {
    printable(&format!("{}[{}]", shown(&process.comm), process.id.pid))
}

/// How it was raised, and about what.
fn about(signal: &SignalEvent) -> Option<String> {
    let code = match signal.code {
        SignalCode::User => "kill".into(),
        SignalCode::Thread => "tgkill".into(),
        SignalCode::Queue => "sigqueue".into(),
        SignalCode::KernelSent | SignalCode::NoInfo => return None,
        SignalCode::Kernel(_) | SignalCode::Other(_) => {
            names::signal_code(signal.signal, signal.code)
        }
    };
    Some(match (signal.syscall, signal.address) {
        (Some((number, name)), _) => format!("{code}: {name}, system call {number}"),
        (None, Some(address)) => {
            let meaning = meaning(&code).map_or(String::new(), |told| format!(", {told}"));
            let bytes = &signal.instruction[..signal.instruction.len().min(8)];
            let instruction = match bytes {
                [] => String::new(),
                bytes => format!(" ({})", text::hex(bytes, "")),
            };
            format!("{code} at {address:#x}{instruction}{meaning}")
        }
        (None, None) => code.into_owned(),
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

fn met(signal: &SignalEvent, process: &Process) -> &'static str {
    match (signal.result, signal.disposition) {
        (Delivery::Delivered, _) if signal.signal == Signal::SIGKILL => "it cannot be handled",
        (Delivery::Delivered, Disposition::Default) => "no handler, the default action is taken",
        (Delivery::Delivered, Disposition::Handled) => "it has a handler",
        (Delivery::Delivered, Disposition::Ignored) | (Delivery::Ignored, Disposition::Ignored) => {
            "ignored"
        }
        // sig_task_ignored in kernel/signal.c: SIGNAL_UNKILLABLE.
        (Delivery::Ignored, Disposition::Default) if process.container_pid == 1 => {
            "dropped: it has no handler, and nothing but a handler brings a signal to PID 1"
        }
        (Delivery::Ignored, Disposition::Default) => "dropped, it has no handler",
        (Delivery::Ignored, Disposition::Handled) => "dropped",
        (Delivery::AlreadyPending, _) => "already pending",
        (Delivery::Lost, _) => "lost by the kernel",
    }
}

/// Threads that do the same are counted together, the most frequent first.
pub(super) fn threads(threads: &Threads) -> String {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for thread in &threads.threads {
        let doing = doing(thread.state, thread.syscall);
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

fn doing(state: ThreadState, syscall: Option<(u32, &str)>) -> String {
    let state = names::thread_state(state);
    match syscall {
        Some((_, name)) if name != crate::syscall::UNKNOWN => format!("{state} in {name}"),
        Some((number, _)) => format!("{state} in system call {number}"),
        None => state.to_owned(),
    }
}

/// The cgroups from the victim's own up to the root, those with a limit.
pub(super) fn oom(oom: &Oom, process: &Process) -> Vec<String> {
    let resident = oom.anon_bytes.saturating_add(oom.file_bytes).saturating_add(oom.shmem_bytes);
    let asked = if oom.trigger.id == process.id {
        String::new()
    } else {
        format!("; it was {} that asked for memory", named(&oom.trigger))
    };
    let mut lines = vec![format!(
        "out of memory: the kernel chose it to be killed; it held {} (address space {}){asked}",
        size(resident),
        size(oom.total_vm_bytes)
    )];
    let limited = oom.memcgs.iter().filter_map(|memcg| Some((memcg, memcg.limit_bytes?)));
    lines.extend(limited.map(|(memcg, limit)| {
        let group = if memcg.oom_group { "; all in it are killed together" } else { "" };
        let usage = size(memcg.usage_bytes);
        format!("memory cgroup {}: {usage} used of a limit of {}{group}", memcg.id, size(limit))
    }));
    if lines.len() == 1 {
        lines.push("no memory cgroup above it has a limit: the machine was full".to_owned());
    }
    lines
}
