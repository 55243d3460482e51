//! What happened, in words: one line for each event, more where it has more to say.

use super::{
    Detail, end,
    shorten::{LINE, shorten},
    size::size,
    style::{quoted, word},
    words::words,
};
use crate::{
    contract::names,
    errno::Errno,
    event::{
        Address, After, Bind, Call, CgroupChange, Change, Dns, Event, Exec, ExecFailed, Found,
        Lost, LostKind, Object, Protocol, What,
    },
    text::Text,
};

/// At least one line; the first goes beside time and process.
pub(super) fn what(event: &Event, detail: Detail) -> Vec<String> {
    let lines = whole(event, detail);
    match detail {
        Detail::Folded => lines.iter().map(|line| shorten(line, LINE)).collect(),
        Detail::All => lines,
    }
}

fn whole(event: &Event, detail: Detail) -> Vec<String> {
    let line = match &event.what {
        What::Exec(what) => exec(what),
        What::ExecFailed(what) => exec_failed(what),
        What::Fork(what) => format!("forked by pid {}", what.forker_pid),
        What::Exit(what) => end::exit(what),
        What::Signal(what) => end::signal(what, &event.process),
        What::Threads(what) => end::threads(what),
        What::Oom(what) => return end::oom(what, &event.process),
        What::Bind(what) => bind(what),
        What::Call(what) => call(what),
        What::CallsForgotten(1) => {
            "1 earlier failed call was overwritten in the recorder".to_owned()
        }
        What::CallsForgotten(count) => {
            format!("{count} earlier failed calls were overwritten in the recorder")
        }
        What::Words(what) => return words(what, detail),
        What::Cgroup(what) => cgroup(what),
        What::Lost(what) => lost(what),
        What::Found(what) => found(event, what),
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

/// What ran before the recorder came.
fn found(event: &Event, found: &Found) -> String {
    let age_ns = found.found_ns.saturating_sub(event.time_ns);
    let seconds = age_ns / 1_000_000_000;
    let program = if found.path.is_empty() {
        "started".to_owned()
    } else {
        format!("started {}", command(&found.path, &found.args))
    };
    format!("{program}; the recorder came {seconds} s later")
}

fn exec_failed(failed: &ExecFailed) -> String {
    let rest = if failed.args_truncated { " …" } else { "" };
    let from = failed.dirfd.map_or(String::new(), |fd| format!(" (from descriptor {fd})"));
    format!("exec {}{rest}{from} = {}", command(&failed.path, &failed.args), error(failed.errno))
}

/// The file, and its arguments; the name by which it was called where it is not that of the file: a script's
/// interpreter, a program of many names.
fn command(path: &Text, args: &[Text]) -> String {
    let own = |name: &&Text| {
        let file = path.as_bytes().rsplit(|byte| *byte == b'/').next();
        **name == *path || Some(name.as_bytes()) == file
    };
    let (called, rest) = match args.split_first() {
        Some((name, rest)) if own(&name) => (String::new(), rest),
        Some((name, rest)) => (format!(" as {}", word(name)), rest),
        None => (String::new(), args),
    };
    let rest: String = rest.iter().map(|argument| format!(" {}", word(argument))).collect();
    format!("{}{called}{rest}", word(path))
}

fn error(errno: Errno) -> String {
    format!("{errno} ({})", errno.text())
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
        Object::Pids { count, max } => {
            format!(" in a cgroup with {count} of at most {max} processes")
        }
    };
    let after = after(&call.after);
    if call.errno.0 == 0 {
        return format!("{name}{about}{after}");
    }
    format!("{name}{about} = {}{after}", error(call.errno))
}

/// How often it failed, and whether it was made good.
fn after(after: &After) -> String {
    let mut notes = Vec::new();
    if after.repeats > 0 {
        notes.push(format!("{} times", u64::from(after.repeats) + 1));
    }
    if after.made_good {
        notes.push("succeeded later".to_owned());
    } else if after.same_port_reached {
        notes.push("another address was reached at that port later".to_owned());
    }
    if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) }
}

fn dns_text(dns: &Dns) -> String {
    let question = quoted(&dns.question);
    let server = |word: &str| dns.server.map(|it| format!(" {word} {it}")).unwrap_or_default();
    match dns.answer {
        None => format!("DNS question {question}{}", server("to")),
        Some(answer) => {
            let plural = if answer.records == 1 { "record" } else { "records" };
            let code = names::dns_code(answer.code);
            format!(
                "DNS answer{} to {question}: {code}, {} {plural}",
                server("from"),
                answer.records
            )
        }
    }
}

fn cgroup(change: &CgroupChange) -> String {
    let path = word(&change.path);
    match change.change {
        Change::Made => format!("cgroup {path} created"),
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
        LostKind::Forgotten => {
            format!("{count} entries are left out here: `tracer events` has them")
        }
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
        | LostKind::Cgroup => {
            format!("gap: {count} records of kind {} were lost", names::lost(lost.of))
        }
    }
}
