//! What happened, in words: one line for each event, more where it has more to say.

use super::{
    size::size,
    style::{printable, quoted, shown, word},
};
use crate::{
    errno::Errno,
    event::{
        Address, Bind, Call, CgroupChange, Change, Delivery, Disposition, Dns, Event, Exec,
        ExecFailed, Exit, Lost, LostKind, Object, Oom, Protocol, SignalEvent, Status, ThreadState,
        Threads, What, Words,
    },
    render::names,
    signal::SignalCode,
    text::Text,
};

/// Most lines of last words that are shown, the last ones.
const WORD_LINES: usize = 20;

/// At least one line; the first goes beside time and process.
pub(super) fn what(event: &Event) -> Vec<String> {
    let line = match &event.what {
        What::Exec(what) => exec(what),
        What::ExecFailed(what) => exec_failed(what),
        What::Fork(what) => format!("forked by {}", what.forker_pid),
        What::Exit(what) => exit(what),
        What::Signal(what) => signal(what),
        What::Threads(what) => threads(what),
        What::Oom(what) => return oom(what),
        What::Bind(what) => bind(what),
        What::Call(what) => call(what),
        What::CallsForgotten(1) => "1 failed call is no longer known".to_owned(),
        What::CallsForgotten(count) => format!("{count} failed calls are no longer known"),
        What::Words(what) => return words(what),
        What::Cgroup(what) => cgroup(what),
        What::Lost(what) => lost(what),
    };
    vec![line]
}

fn exec(exec: &Exec) -> String {
    let rest = match exec.args_truncated {
        true => format!(" … ({} of arguments)", size(exec.args_length)),
        false => String::new(),
    };
    format!("exec {}{rest}", command(&exec.path, &exec.args))
}

fn exec_failed(failed: &ExecFailed) -> String {
    let rest = if failed.args_truncated { " …" } else { "" };
    let from = failed.dirfd.map_or(String::new(), |fd| format!(" (from descriptor {fd})"));
    format!("exec {}{rest}{from} = {}", command(&failed.path, &failed.args), error(failed.errno))
}

fn command(path: &Text, args: &[Text]) -> String {
    let words: Vec<String> = std::iter::once(path).chain(args).map(word).collect();
    words.join(" ")
}

fn error(errno: Errno) -> String {
    format!("{errno} ({})", errno.text())
}

fn exit(exit: &Exit) -> String {
    let mut parts = vec![status(exit.status)];
    match exit.written {
        Some([0, 0]) => parts.push("it wrote nothing".to_owned()),
        Some([stdout, stderr]) => {
            let streams = [(stdout, "stdout"), (stderr, "stderr")];
            let written = streams.iter().filter(|(bytes, _)| *bytes > 0);
            parts.extend(written.map(|(bytes, name)| format!("{} to {name}", size(*bytes))));
        }
        None => {}
    }
    parts.push(format!("at most {} resident", size(exit.max_rss_bytes)));
    if !exit.recorded {
        parts.push("the recorder was not on from its first exec".to_owned());
    }
    parts.join("; ")
}

fn status(status: Status) -> String {
    match (status.code, status.signal) {
        (_, Some(signal)) if status.core => format!("killed by {signal} (core dumped)"),
        (_, Some(signal)) => format!("killed by {signal}"),
        (Some(code), None) => format!("exit {code}"),
        (None, None) => "ended".to_owned(),
    }
}

fn signal(signal: &SignalEvent) -> String {
    let code = match signal.code {
        SignalCode::User => "kill".into(),
        SignalCode::Thread => "tgkill".into(),
        SignalCode::Queue => "sigqueue".into(),
        SignalCode::Kernel(_)
        | SignalCode::KernelSent
        | SignalCode::NoInfo
        | SignalCode::Other(_) => names::signal_code(signal.signal, signal.code),
    };
    let about = match (signal.syscall, signal.address) {
        (Some((number, name)), _) => format!("{code}: {name}, system call {number}"),
        (None, Some(address)) => format!("{code} at {address:#x}"),
        (None, None) => code.into_owned(),
    };
    let from = if signal.code.from_kernel() {
        "the kernel".to_owned()
    } else {
        let comm = shown(&signal.sender.comm);
        format!("{comm}[{}]", signal.sender.id.pid)
    };
    let met = match (signal.result, signal.disposition) {
        (Delivery::Delivered, Disposition::Default) => "default action",
        (Delivery::Delivered, Disposition::Handled) => "it has a handler",
        (Delivery::Delivered, Disposition::Ignored) | (Delivery::Ignored, Disposition::Ignored) => {
            "ignored"
        }
        (Delivery::Ignored, Disposition::Default) => "dropped, it has no handler",
        (Delivery::Ignored, Disposition::Handled) => "dropped",
        (Delivery::AlreadyPending, _) => "already pending",
        (Delivery::Lost, _) => "lost by the kernel",
    };
    format!("{} from {} ({about}): {met}", signal.signal, printable(&from))
}

/// Threads that do the same are counted together, the most frequent first.
fn threads(threads: &Threads) -> String {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for thread in &threads.threads {
        let doing = doing(thread.state, thread.syscall);
        match groups.iter_mut().find(|(name, _)| *name == doing) {
            Some((_, count)) => *count += 1,
            None => groups.push((doing, 1)),
        }
    }
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let groups: Vec<String> =
        groups.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    let noted = threads.threads.len();
    let total = threads.total;
    let of = match usize::try_from(total) {
        Ok(total) if total == noted => String::new(),
        _ => format!("{noted} of "),
    };
    let plural = if total == 1 { "thread" } else { "threads" };
    format!("{of}{total} {plural}: {}", groups.join(", "))
}

fn doing(state: ThreadState, syscall: Option<(u32, &str)>) -> String {
    let state = names::thread_state(state);
    match syscall {
        Some((_, name)) if name != crate::syscall::UNKNOWN => format!("{state} in {name}"),
        Some((number, _)) => format!("{state} in system call {number}"),
        None => state.to_owned(),
    }
}

fn oom(oom: &Oom) -> Vec<String> {
    let resident = oom.anon_bytes.saturating_add(oom.file_bytes).saturating_add(oom.shmem_bytes);
    let mut lines = vec![format!(
        "chosen by the OOM killer: {} resident of {} virtual",
        size(resident),
        size(oom.total_vm_bytes)
    )];
    let limited = oom.memcgs.iter().filter_map(|memcg| Some((memcg, memcg.limit_bytes?)));
    lines.extend(limited.map(|(memcg, limit)| {
        let group = if memcg.oom_group { ", killed as a group" } else { "" };
        let usage = size(memcg.usage_bytes);
        format!("memory cgroup {}: {usage} of its limit of {}{group}", memcg.id, size(limit))
    }));
    if lines.len() == 1 {
        lines.push("no memory cgroup above it has a limit".to_owned());
    }
    lines
}

fn bind(bind: &Bind) -> String {
    let call = if bind.listen { "listen" } else { "bind" };
    let asked = address(&bind.address, Some(bind.protocol));
    let ephemeral = matches!(&bind.address, Address::Inet(socket) if socket.port() == 0);
    let port = match bind.address {
        Address::None if bind.port != 0 => format!(" port {}", bind.port),
        _ if ephemeral && bind.port != 0 => format!(" (port {})", bind.port),
        _ => String::new(),
    };
    match bind.errno {
        None => format!("{call}{asked}{port}"),
        Some(errno) => format!("{call}{asked}{port} = {}", error(errno)),
    }
}

/// With a space in front, or nothing.
fn address(address: &Address, protocol: Option<Protocol>) -> String {
    let transport =
        protocol.and_then(names::transport).map_or(String::new(), |name| format!(" {name}"));
    match address {
        Address::None => transport,
        Address::Inet(socket) => format!("{transport} {socket}"),
        Address::Unix(path) => format!(" unix {}", quoted(path)),
        Address::Netlink => format!("{transport} AF_NETLINK"),
        Address::Family(number) => format!("{transport} {}", names::family(u32::from(*number))),
    }
}

fn call(call: &Call) -> String {
    let name = match call.name {
        "getsockopt" if call.reported => "getsockopt(SO_ERROR)".to_owned(),
        crate::syscall::UNKNOWN => format!("system call {}", call.number),
        name => name.to_owned(),
    };
    let about = match &call.object {
        Object::None if call.reported => {
            format!("{} on descriptor {}", address(&Address::None, call.protocol), call.args[0])
        }
        Object::None => address(&Address::None, call.protocol),
        Object::Path { path, truncated: false } | Object::File { path, truncated: false } => {
            format!(" {}", quoted(path))
        }
        Object::Path { path, truncated: true } => format!(" {}…", quoted(path)),
        Object::File { path, truncated: true } => format!(" …{}", quoted(path)),
        // So that the SO_ERROR that tells its end can be told to belong to it.
        Object::Address(to) if call.errno == Errno::EINPROGRESS => {
            format!("{} on descriptor {}", address(to, call.protocol), call.args[0])
        }
        Object::Address(to) => address(to, call.protocol),
        Object::Dns(dns) => format!(" {}", dns_text(dns)),
    };
    if call.errno.0 == 0 {
        return format!("{name}{about}");
    }
    format!("{name}{about} = {}", error(call.errno))
}

fn dns_text(dns: &Dns) -> String {
    let question = quoted(&dns.question);
    match dns.answer {
        None => format!("DNS question {question}"),
        Some(answer) => {
            let plural = if answer.records == 1 { "record" } else { "records" };
            let code = names::dns_code(answer.code);
            format!("DNS answer to {question}: {code}, {} {plural}", answer.records)
        }
    }
}

/// Each line that was written is quoted on a line of its own.
fn words(words: &Words) -> Vec<String> {
    let name = names::stream(words.stream);
    let bytes = words.bytes.as_bytes();
    let lines: Vec<&[u8]> =
        bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|b| *b == b'\n').collect();
    let skipped = lines.len().saturating_sub(WORD_LINES);
    let kept = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut notes = Vec::new();
    if words.total_bytes > kept {
        notes.push(format!("the last {} of {}", size(kept), size(words.total_bytes)));
    }
    if skipped > 0 {
        notes.push(format!("{skipped} earlier lines are left out"));
    }
    let indent = " ".repeat(name.len() + 2);
    let shown = lines[skipped..].iter().enumerate().map(|(index, line)| {
        let line = quoted(&Text(line.to_vec()));
        if index == 0 { format!("{name}: {line}") } else { format!("{indent}{line}") }
    });
    let mut out: Vec<String> = shown.collect();
    if !notes.is_empty() {
        out.push(format!("{indent}({})", notes.join("; ")));
    }
    out
}

fn cgroup(change: &CgroupChange) -> String {
    let path = word(&change.path);
    match change.change {
        Change::Made => format!("cgroup {path} made"),
        Change::Removed => format!("cgroup {path} removed"),
        Change::MovedIn => format!("moved into cgroup {path}"),
        Change::MovedOut => format!("moved out to cgroup {path}"),
    }
}

fn lost(lost: &Lost) -> String {
    let count = lost.count;
    match lost.of {
        LostKind::Process => format!("gap: {count} processes could not be tracked"),
        LostKind::Recorder => format!("gap: {count} processes had no flight recorder"),
        LostKind::Container => format!("gap: {count} containers could not be tracked"),
        LostKind::Undecodable => format!("gap: {count} records could not be decoded"),
        LostKind::Exec
        | LostKind::ExecFailed
        | LostKind::Fork
        | LostKind::Exit
        | LostKind::Signal
        | LostKind::Threads
        | LostKind::Oom
        | LostKind::Bind
        | LostKind::Calls
        | LostKind::Words
        | LostKind::Cgroup => format!("gap: {count} {} records were lost", names::lost(lost.of)),
    }
}
