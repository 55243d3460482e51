//! Node.js: errors that nothing caught, promises that nobody awaited, V8's limit of the heap. It must not know other
//! runtimes.

use super::{
    reading::{HeapLimit, Kind, Reading, Runtime},
    said::Line,
    shape,
};

const MIB: f64 = 1_048_576.0;

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    heap(lines).or_else(|| uncaught(lines)).or_else(|| reported(lines)).or_else(|| refused(lines))
}

/// `FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory`
fn heap(lines: &[Line]) -> Option<Reading> {
    let sign = "JavaScript heap out of memory";
    let at = lines.iter().rposition(|line| line.text.contains(sign))?;
    let mut reading = Reading::new(Runtime::Node, Kind::HeapExhausted, at);
    reading.type_name = "FATAL ERROR".to_owned();
    let text = lines[at].trimmed();
    reading.message = text.split_once("FATAL ERROR: ").map_or(text, |(_, rest)| rest).to_owned();
    reading.limit = Some(HeapLimit { of: "heap", bytes: None, set_by: None });
    reading.last = lines.len() - 1;
    Some(reading)
}

/// Bytes of the heap that were still used after the last collection: `-> 253.1 (259.0) MB`.
pub(in crate::diagnose::verdict) fn used_bytes(lines: &[Line]) -> Option<u64> {
    let used = lines.iter().rev().find_map(|line| {
        let (_, after) = line.text.rsplit_once(" -> ").filter(|(_, it)| it.contains(" MB"))?;
        after.split(' ').next()?.parse::<f64>().ok()
    })?;
    // Megabytes of V8's line have one digit behind the point.
    let tenths = (used * 10.0).round();
    (tenths.is_finite() && (0.0..1e9).contains(&tenths))
        .then(|| (tenths / 10.0 * MIB).round() as u64)
}

fn uncaught(lines: &[Line]) -> Option<Reading> {
    let end = lines.iter().rposition(|line| line.text.starts_with("Node.js v"));
    let until = end.unwrap_or(lines.len());
    let pointer = lines[..until].iter().rposition(is_pointer);
    let after = |at: usize| (at + 1..until).find(|at| !lines[*at].is_blank());
    // Without its first lines: the last that names an error above the calls.
    let named = || {
        end?;
        let calls = lines[..until].iter().position(is_call)?;
        (0..calls).rev().find(|at| error(lines[*at].trimmed()).is_some())
    };
    let at = match pointer.and_then(after) {
        Some(at) => at,
        None => match named() {
            Some(at) => at,
            None => return headless(lines, end),
        },
    };
    // Before version 17 no line tells the version: then only calls tell that it is Node.
    if end.is_none() && !lines[at..].iter().any(is_call) {
        return None;
    }
    let mut reading = Reading::new(Runtime::Node, Kind::Uncaught, at);
    describe(&mut reading, lines, at, until);
    reading.complete = pointer.is_some() && !lines[at].cut;
    Some(reading)
}

/// Only calls and the version are left.
fn headless(lines: &[Line], end: Option<usize>) -> Option<Reading> {
    let end = end?;
    let mut reading = Reading::new(Runtime::Node, Kind::Uncaught, end);
    reading.telling.clear();
    reading.complete = false;
    lines.iter().any(|line| line.cut).then_some(reading)
}

/// An error that was printed with its calls, by console.error or a logger.
fn reported(lines: &[Line]) -> Option<Reading> {
    let at = lines.windows(2).rposition(|pair| {
        let text = pair[0].trimmed();
        // Java's traces look alike, but their types have packages.
        let script = error(text).is_some_and(|(name, _)| !name.contains('.'));
        is_call(&pair[1]) && !is_call(&pair[0]) && script && !text.contains("[cause]")
    })?;
    let mut reading = Reading::new(Runtime::Node, Kind::Reported, at);
    let ends = |line: &Line| !line.is_indented() && line.trimmed() != "}";
    let until = lines[at + 1..].iter().position(ends).map_or(lines.len(), |it| at + 1 + it);
    describe(&mut reading, lines, at, until);
    reading.last = until - 1;
    Some(reading)
}

fn describe(reading: &mut Reading, lines: &[Line], at: usize, until: usize) {
    let text = lines[at].trimmed();
    let ends = |line: &Line| {
        is_call(line)
            || line.trimmed().starts_with(['{', '}', '('])
            || line.trimmed().starts_with("Require stack:")
    };
    match error(text) {
        Some((type_name, first)) => {
            let (message, last) = shape::message(&first, lines, at, ends);
            (reading.type_name, reading.message) = (type_name, message);
            reading.telling.extend(at + 1..=last);
        }
        None => {
            reading.type_name = "thrown value".to_owned();
            reading.message = shape::clipped(text);
        }
    }
    reading.last = until.min(lines.len() - 1);
    let rest = &lines[at..until];
    let cause = rest.iter().rposition(|line| line.trimmed().starts_with("[cause]: "));
    let first = rest.iter().position(|line| line.trimmed() == "[errors]: [").map(|it| it + 1);
    if let Some(cause) = cause.or(first).filter(|it| *it < rest.len()) {
        let text = rest[cause].trimmed();
        let text = text.strip_prefix("[cause]: ").unwrap_or(text).trim_end_matches([' ', '{']);
        reading.root_cause = Some(text.to_owned());
        reading.telling.push(at + cause);
    }
    let calls: Vec<&str> = rest
        .iter()
        .take_while(|line| !line.trimmed().starts_with('['))
        .filter_map(|line| line.trimmed().strip_prefix("at "))
        .collect();
    let own = |call: &&&str| {
        !["node:", "node_modules", "<anonymous>)"].iter().any(|part| call.contains(part))
    };
    reading.frame =
        calls.iter().find(own).or(calls.first()).map(|call| call.trim_end_matches(" {").to_owned());
}

/// `TypeError: x`, `Error [ERR_X]: y`, with what stood before it on the line: `startup failed: TypeError: x`.
fn error(text: &str) -> Option<(String, String)> {
    let named = |text: &str| {
        let (name, message) = shape::type_and_message(text)?;
        let bare = name.split(' ').next().unwrap_or_default().to_owned();
        let known =
            ["Error", "Exception", "Rejection", "Warning"].iter().any(|it| bare.ends_with(it));
        known.then_some((name, message))
    };
    named(text).or_else(|| {
        let parts: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
        parts.into_iter().find_map(|at| named(&text[at..]))
    })
}

fn is_call(line: &Line) -> bool {
    line.is_indented() && line.trimmed().starts_with("at ")
}

/// `        ^^^^`
fn is_pointer(line: &Line) -> bool {
    let text = line.trimmed();
    !text.is_empty() && text.chars().all(|it| it == '^')
}

fn refused(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| {
        line.text.starts_with("node: ") || line.text.contains("is not allowed in NODE_OPTIONS")
    })?;
    let mut reading = Reading::new(Runtime::Node, Kind::Refused, at);
    reading.message = lines[at].trimmed().to_owned();
    Some(reading)
}
