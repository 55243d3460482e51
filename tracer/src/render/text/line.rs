//! What happened, in words: one line for each entry of a timeline, more where it has more to say. Everything that is
//! shown of an entry is worded here and in what this file calls. It must not know where it is shown.

use std::borrow::Cow;

use super::{
    Detail, end,
    process::named,
    shorten::{LINE, shorten},
    size::size,
    style::{Paint, printable, quoted, word},
    words::words,
};
use crate::{
    contract::{
        Entry, Network, Process, What,
        kinds::{Bind, Call, CgroupChange, Change, Dns, ExecFailed, File, Found, Of},
    },
    linux::{errno::Errno, syscall::UNKNOWN},
};

/// At least one line; the first goes beside time and process.
pub fn what(entry: &Entry, detail: Detail) -> Vec<String> {
    let lines = whole(entry, detail);
    match detail {
        Detail::Folded => lines.iter().map(|line| shorten(line, LINE)).collect(),
        Detail::All => lines,
    }
}

/// All of it in one line.
pub fn in_one_line(entry: &Entry) -> String {
    let lines = what(entry, Detail::All);
    match &entry.what {
        // Each has a bar in front.
        What::Words(_) => lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
        What::Exec(_)
        | What::ExecFailed(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Exit(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::Bind(_)
        | What::Call(_)
        | What::CallsForgotten(_)
        | What::Cgroup(_)
        | What::Lost(_)
        | What::Unknown(_) => lines.join("; "),
    }
}

/// `app[4242]`, pid of the initial namespace; nobody for what no process did.
pub fn who(entry: &Entry) -> String {
    match &entry.what {
        What::Lost(_) => "-".to_owned(),
        What::Exec(_)
        | What::ExecFailed(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Exit(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::Bind(_)
        | What::Call(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Cgroup(_)
        | What::Unknown(_) => named(&entry.process),
    }
}

/// What an entry is like.
pub fn paint(entry: &Entry) -> Paint {
    match &entry.what {
        What::ExecFailed(_) | What::Signal(_) | What::Oom(_) => Paint::Bad,
        What::Exit(exit) if exit.exit.code == Some(0) => Paint::Plain,
        What::Exit(_) => Paint::Bad,
        What::Bind(bind) if bind.errno.is_some() => Paint::Bad,
        What::Call(_) => Paint::Failed,
        What::Words(_) => Paint::Words,
        What::CallsForgotten(_) | What::Lost(_) => Paint::Gap,
        What::Exec(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Threads(_)
        | What::Bind(_)
        | What::Cgroup(_)
        | What::Unknown(_) => Paint::Plain,
    }
}

fn whole(entry: &Entry, detail: Detail) -> Vec<String> {
    let line = match &entry.what {
        What::Exec(_) => exec(&entry.process),
        What::ExecFailed(what) => exec_failed(what),
        What::Fork(what) => format!("forked by pid {}", what.forker_pid),
        What::Exit(what) => end::exit(what),
        What::Signal(what) => end::signal(what, &entry.process),
        What::Threads(what) => end::threads(what),
        What::Oom(what) => return end::oom(what, &entry.process),
        What::Bind(what) => bind(what),
        What::Call(what) => call(what),
        What::CallsForgotten(what) if what.count == 1 => {
            "1 earlier failed call was overwritten in the recorder".to_owned()
        }
        What::CallsForgotten(what) => {
            format!("{} earlier failed calls were overwritten in the recorder", what.count)
        }
        What::Words(what) => return words(what, detail),
        What::Cgroup(what) => cgroup(what),
        What::Lost(what) => gap_of(&what.of, what.count),
        What::Found(what) => found(entry, what),
        What::Unknown(what) => printable(&what.kind),
    };
    vec![line]
}

fn exec(process: &Process) -> String {
    let rest = match (process.args_truncated, process.args_length) {
        (Some(true), Some(length)) => format!(" … ({} of arguments)", size(length)),
        (Some(true), None) => " …".to_owned(),
        (Some(false) | None, _) => String::new(),
    };
    let path = process.executable.as_ref().and_then(|executable| executable.path.as_deref());
    let args = process.command_args.as_deref().unwrap_or_default();
    format!("exec {}{rest}", command(path.unwrap_or("?"), args))
}

/// What ran before the recorder came.
fn found(entry: &Entry, found: &Found) -> String {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let later = match time(&found.found_time).zip(time(&entry.time)) {
        Some((found, began)) => format!("{} s later", found.duration_since(began).as_secs().max(0)),
        None => "later".to_owned(),
    };
    let program = if found.file.path.is_empty() {
        "started".to_owned()
    } else {
        format!("started {}", command(&found.file.path, &found.command_args))
    };
    format!("{program}; the recorder came {later}")
}

fn exec_failed(failed: &ExecFailed) -> String {
    let rest = if failed.args_truncated { " …" } else { "" };
    let from = failed.directory_fd.map_or(String::new(), |fd| format!(" (from descriptor {fd})"));
    let command = command(&failed.file.path, &failed.command_args);
    format!("exec {command}{rest}{from} = {}", error(&failed.errno))
}

/// The file, and its arguments; the name by which it was called where it is not that of the file: a script's
/// interpreter, a program of many names.
fn command(path: &str, args: &[String]) -> String {
    let own = |name: &str| name == path || path.rsplit('/').next() == Some(name);
    let (called, rest) = match args.split_first() {
        Some((name, rest)) if own(name) => (String::new(), rest),
        Some((name, rest)) => (format!(" as {}", word(name)), rest),
        None => (String::new(), args),
    };
    let rest: String = rest.iter().map(|argument| format!(" {}", word(argument))).collect();
    format!("{}{called}{rest}", word(path))
}

/// `ENOENT (no such file or directory)`
fn error(name: &str) -> String {
    const LAST: i32 = Errno::ERFKILL.0;
    let known = (1..=LAST).map(Errno).find(|errno| errno.name() == Some(name));
    let text = known.map_or("unknown error", Errno::text);
    printable(&format!("{name} ({text})"))
}

fn bind(bind: &Bind) -> String {
    let network = &bind.network;
    let asked_port = network.local.as_ref().and_then(|local| local.port);
    let port = match asked_port {
        Some(0) if bind.port != 0 => format!(" (port {})", bind.port),
        None if bind.port != 0 && network.family.is_none() => format!(" port {}", bind.port),
        Some(_) | None => String::new(),
    };
    let call = printable(&bind.operation);
    let asked = address(network);
    match &bind.errno {
        None => format!("{call}{asked}{port}"),
        Some(errno) => format!("{call}{asked}{port} = {}", error(errno)),
    }
}

/// With a space in front, or nothing.
fn address(network: &Network) -> String {
    let of = |part: &Option<Cow<'static, str>>| {
        part.as_ref().map_or(String::new(), |part| format!(" {}", printable(part)))
    };
    let transport = of(&network.transport);
    let Some(end) = network.peer.as_ref().or(network.local.as_ref()) else {
        return transport + &of(&network.family);
    };
    let address = printable(&end.address);
    match end.port {
        Some(port) if address.contains(':') => format!("{transport} [{address}]:{port}"),
        Some(port) => format!("{transport} {address}:{port}"),
        None => format!("{transport} {}", quoted(&end.address)),
    }
}

fn call(call: &Call) -> String {
    let name = match call.syscall.name.as_ref() {
        "getsockopt" if call.reported => "getsockopt(SO_ERROR)".to_owned(),
        UNKNOWN => format!("system call {}", call.syscall.number),
        name => printable(name),
    };
    let after = after(call);
    match &call.errno {
        None => format!("{name}{}{after}", about(call)),
        Some(errno) => format!("{name}{} = {}{after}", about(call), error(errno)),
    }
}

/// What a call was about, with a space in front, or nothing.
fn about(call: &Call) -> String {
    if let Some(file) = &call.file {
        return format!(" {}", file_text(file));
    }
    if let Some(dns) = &call.dns {
        return format!(" {}", dns_text(dns));
    }
    if let Some(full) = &call.pids_cgroup {
        return format!(" in a cgroup with {} of at most {} processes", full.count, full.max);
    }
    let network = call.network.as_ref();
    let has_address =
        network.is_some_and(|it| it.peer.is_some() || it.local.is_some() || it.family.is_some());
    let is_pending = has_address && call.errno.as_deref() == Errno::EINPROGRESS.name();
    let is_answer = !has_address && call.reported;
    let to = network.map_or(String::new(), address);
    // So that the SO_ERROR that tells a connect's end can be told to belong to it.
    match descriptor(call) {
        Some(descriptor) if is_pending || is_answer => format!("{to} on descriptor {descriptor}"),
        Some(_) | None => to,
    }
}

/// The first argument.
fn descriptor(call: &Call) -> Option<u64> {
    let digits = call.arguments.first()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

fn file_text(file: &File) -> String {
    let path = quoted(&file.path);
    match (file.truncated, file.from_descriptor) {
        (false, _) => path,
        (true, Some(true)) => format!("…{path}"),
        (true, Some(false) | None) => format!("{path}…"),
    }
}

/// How often it failed, and whether it was made good.
fn after(call: &Call) -> String {
    let mut notes = Vec::new();
    if let Some(repeats) = call.repeats {
        notes.push(format!("{} times", u64::from(repeats) + 1));
    }
    if call.made_good {
        notes.push("succeeded later".to_owned());
    } else if call.same_port_reached {
        notes.push("another address was reached at that port later".to_owned());
    }
    if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) }
}

fn dns_text(dns: &Dns) -> String {
    let question = quoted(&dns.question.name);
    let server = |word: &str| {
        dns.server.as_ref().map_or(String::new(), |it| format!(" {word} {}", printable(it)))
    };
    let Some(code) = &dns.response_code else {
        return format!("DNS question {question}{}", server("to"));
    };
    let records = dns.answer_count.unwrap_or_default();
    let plural = if records == 1 { "record" } else { "records" };
    let code = printable(code);
    format!("DNS answer{} to {question}: {code}, {records} {plural}", server("from"))
}

fn cgroup(change: &CgroupChange) -> String {
    let path = word(&change.cgroup.path);
    match &change.change {
        Change::Made => format!("cgroup {path} created"),
        Change::Removed => format!("cgroup {path} removed"),
        Change::MovedIn => format!("moved into cgroup {path}"),
        Change::MovedOut => format!("moved out to cgroup {path}"),
        Change::Unknown(name) => format!("cgroup {path} {}", printable(name)),
    }
}

/// What is missing.
pub fn gap_of(of: &Of, count: u64) -> String {
    match of {
        Of::Process => format!("gap: {count} processes could not be tracked"),
        Of::Recorder => format!("gap: {count} processes had no flight recorder"),
        Of::Container => format!("gap: {count} containers could not be tracked"),
        Of::Undecodable => format!("gap: {count} records could not be decoded"),
        Of::Forgotten => format!("{count} entries are left out here: `tracer events` has them"),
        Of::Store => format!("gap: {count} events could not be stored in time"),
        Of::Lines => format!("gap: {count} lines were lost, they came too fast"),
        Of::Records(kind) => {
            format!("gap: {count} records of kind {} were lost", printable(kind))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_that_cannot_be_read_is_not_told() {
        let check = |time: &str, expected: &str| {
            let entry = json!({
                "time": time, "offset_ns": 0, "kind": "found", "found_time": "2001-02-03T04:05:09Z",
                "command_args": [], "file": {"path": "", "truncated": false},
            });
            assert_eq!(in_one_line(&serde_json::from_value(entry).unwrap()), expected);
        };
        check("2001-02-03T04:05:06.5Z", "started; the recorder came 2 s later");
        check("some day", "started; the recorder came later");
    }
}
