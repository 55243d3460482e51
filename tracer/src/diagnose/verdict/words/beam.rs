//! Erlang and Elixir: boots that failed, applications that did not start, scripts. It must not know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    ended(lines).or_else(|| script(lines)).or_else(|| elixir(lines))
}

/// The init process or the application controller gave up.
fn ended(lines: &[Line]) -> Option<Reading> {
    const BOOT: &str = "init terminating in do_boot";
    const RUNTIME: &str = "Runtime terminating during boot";
    const KERNEL: &str = "Kernel pid terminated";
    let at = lines.iter().position(|line| {
        let text = line.trimmed().trim_start_matches("{\"");
        [BOOT, RUNTIME, KERNEL].iter().any(|sign| text.starts_with(sign))
    })?;
    let text = lines[at].trimmed().trim_start_matches("{\"");
    let name = [BOOT, RUNTIME, KERNEL].into_iter().find(|sign| text.starts_with(sign))?;
    let mut reading = Reading::new(Runtime::Beam, Kind::Uncaught, at);
    reading.type_name = name.to_owned();
    let reason = text.strip_prefix(name).unwrap_or(text).trim_start_matches(['"', ',', ' ']);
    let bare = ["(application_controller)", "application_controller,"];
    let reason = bare.iter().find_map(|it| reason.strip_prefix(it)).unwrap_or(reason).trim();
    let reason = reason.trim_start_matches(['(', '"']).trim_end_matches([')']);
    reading.message = shape::clipped(reason.trim_end_matches("\"}").replace("\\\"", "\"").as_str());
    reading.last = lines.len() - 1;
    // A report above it tells the reason in a form that people read.
    let exited = lines[..at].iter().rposition(|line| {
        line.trimmed().starts_with("exited: ") || line.trimmed().starts_with("exception exit: ")
    });
    if let Some(exited) = exited {
        let (reason, last) = shape::message(lines[exited].trimmed(), lines, exited, |line| {
            line.trimmed().starts_with("type: ") || line.trimmed().starts_with("in function ")
        });
        reading.root_cause = reason.split_once(": ").map(|(_, reason)| reason.replace(" / ", " "));
        reading.telling.extend((exited == last).then_some(exited));
    }
    Some(reading)
}

/// `escript: exception error: bad key: port`
fn script(lines: &[Line]) -> Option<Reading> {
    let sign = "escript: exception ";
    let at = lines.iter().rposition(|line| {
        line.text.starts_with(sign)
            || line.text.starts_with("escript: There were compilation errors")
    })?;
    let Some(text) = lines[at].trimmed().strip_prefix(sign) else {
        let at = at.saturating_sub(1);
        return Some(Reading::new(Runtime::Beam, Kind::Refused, at));
    };
    let mut reading = Reading::new(Runtime::Beam, Kind::Uncaught, at);
    let (type_name, message) = shape::type_and_message(text)?;
    (reading.type_name, reading.message) = (type_name, message);
    let calls = lines[at + 1..].iter().take_while(|line| line.is_indented()).count();
    reading.last = at + calls;
    Some(reading)
}

/// `** (KeyError) key :port not found`
fn elixir(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| line.text.starts_with("** ("))?;
    let (type_name, first) = lines[at].text.strip_prefix("** (")?.split_once(") ")?;
    let mut reading = Reading::new(Runtime::Beam, Kind::Uncaught, at);
    reading.type_name = type_name.to_owned();
    let is_call = |line: &Line| line.is_indented() && line.text.contains(".ex");
    let ends = |line: &Line| is_call(line) || line.trimmed().starts_with([':', '(', '|']);
    let (message, last) = shape::message(first, lines, at, ends);
    reading.message = message;
    let calls = lines[last + 1..].iter().take_while(|line| line.is_indented()).count();
    reading.last = last + calls;
    reading.frame =
        lines[last + 1..].iter().find(|line| is_call(line)).map(|it| it.trimmed().to_owned());
    Some(reading)
}
