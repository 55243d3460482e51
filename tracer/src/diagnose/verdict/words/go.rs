//! Go: panics, fatal errors of its runtime, deadlocks, dumps of goroutines. It must not know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| is_headline(&line.text));
    let Some(at) = at else { return headless(lines) };
    let text = lines[at].text.as_str();
    let dump = lines[at..].iter().position(|line| is_goroutine(&line.text)).map(|it| at + it);
    let own = lines[at..]
        .iter()
        .position(|line| line.text.starts_with("goroutine ") && is_goroutine(&line.text));
    let deadlock = text.ends_with("deadlock!");
    if dump.is_none() && !deadlock && !lines[at..].iter().any(|line| line.cut) {
        return None;
    }
    let (type_name, first) = text.split_once(": ")?;
    let kind = if deadlock { Kind::Deadlock } else { Kind::Uncaught };
    let mut reading = Reading::new(Runtime::Go, kind, at);
    reading.type_name = type_name.to_owned();
    let until = dump.unwrap_or(lines.len());
    let more: Vec<&str> = lines[at + 1..until]
        .iter()
        .take_while(|line| line.text.starts_with('\t'))
        .map(Line::trimmed)
        .collect();
    let again = more.iter().rev().find_map(|line| line.strip_prefix("panic: "));
    let first = unmarked(first);
    match again {
        Some(again) => {
            reading.message = shape::clipped(unmarked(again));
            reading.root_cause = Some(first.to_owned());
        }
        None => {
            let all: Vec<&str> = [first].into_iter().chain(more.iter().copied()).collect();
            reading.message = shape::clipped(&all.join(" / "));
        }
    }
    if let Some(rest) = reading.message.strip_prefix("runtime error: ").map(str::to_owned) {
        (reading.type_name, reading.message) = ("runtime error".to_owned(), rest);
    }
    // `runtime: goroutine stack exceeds 1000000000-byte limit`
    if let Some(before) = (0..at)
        .rev()
        .take(2)
        .find(|at| lines[*at].text.starts_with("runtime: ") && lines[*at].text.contains("exceeds"))
    {
        reading.telling.push(before);
    }
    reading.telling.extend(at + 1..=at + more.len());
    reading.frame = own.and_then(|own| application(&lines[at + own + 1..]));
    reading.last =
        lines.iter().rposition(|line| belongs(&line.text)).unwrap_or(at).max(at + more.len());
    Some(reading)
}

fn is_headline(text: &str) -> bool {
    text.starts_with("panic: ") || text.starts_with("fatal error: ")
}

/// Goroutines are left of a dump whose first lines are lost.
fn headless(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().position(|line| line.cut)?;
    let frames = lines[at..].iter().filter(|line| belongs(&line.text)).count();
    let goroutine =
        lines[at..].iter().any(|line| is_goroutine(&line.text) || line.text.contains(".go:"));
    let last = lines.iter().rposition(|line| belongs(&line.text))?;
    (frames >= 3 && goroutine).then(|| {
        let mut reading = Reading::new(Runtime::Go, Kind::Uncaught, at);
        reading.telling.clear();
        reading.complete = false;
        reading.last = last;
        reading
    })
}

fn unmarked(message: &str) -> &str {
    message.split_once(" [recovered").map_or(message, |(message, _)| message)
}

fn is_goroutine(text: &str) -> bool {
    (text.starts_with("goroutine ") && text.ends_with("]:")) || text == "runtime stack:"
}

/// A line of a dump.
fn belongs(text: &str) -> bool {
    is_goroutine(text)
        || text.starts_with("created by ")
        || text.starts_with("[signal ")
        || text.starts_with("exit status ")
        || (text.starts_with('\t') && text.contains(".go:"))
        || (text.ends_with(')') && text.contains('(') && text.contains('.') && !text.contains(' '))
}

/// `main.load (/app/main.go:3)`
fn application(lines: &[Line]) -> Option<String> {
    let calls = lines.windows(2).take_while(|pair| !pair[0].is_blank()).filter_map(|pair| {
        let place = pair[1].text.strip_prefix('\t')?.split(' ').next()?;
        let call = pair[0].text.as_str();
        let call = &call[..call.rfind('(')?];
        place.contains(".go:").then_some((call, place))
    });
    let calls: Vec<(&str, &str)> = calls.collect();
    let own = calls.iter().find(|(call, place)| !is_library(call, place));
    own.or(calls.first()).map(|(call, place)| format!("{call} ({place})"))
}

fn is_library(call: &str, place: &str) -> bool {
    const PLACES: &[&str] = &["/go/src/", "/usr/lib/go", "/pkg/mod/", "/vendor/", "@v"];
    const CALLS: &[&str] =
        &["runtime.", "panic", "internal/", "sync.", "log.", "testing.", "reflect."];
    PLACES.iter().any(|part| place.contains(part))
        || CALLS.iter().any(|part| call.starts_with(part))
}
