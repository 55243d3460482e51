//! Python: tracebacks with their chains and groups, syntax errors, what the interpreter itself refuses. It must not know
//! other runtimes.

use super::{
    loggers::{self, Level},
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// Before the traceback of an exception that ended no more than a thread or a task.
const TOLD_OF: &[&str] = &[
    "Exception in thread",
    "Exception ignored",
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Exception in callback",
    "--- Logging error",
    "Error in atexit",
    "exception calling callback",
];
const DIRECT: &str = "The above exception was the direct cause of the following exception:";
const CONTEXT: &str = "During handling of the above exception, another exception occurred:";

/// One traceback.
struct Block {
    begin: usize,
    headline: usize,
    last: usize,
    type_name: String,
    message: String,
    frame: Option<String>,
    /// It came of the one before.
    follows: bool,
    /// That one was being handled, and need not be its cause.
    while_handling: bool,
    /// Within a group.
    inner: bool,
    /// Lines of it are lost, and maybe exceptions that it came of.
    torn: bool,
}

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let blocks = blocks(lines);
    let Some(last) = blocks.iter().rposition(|it| !it.inner) else { return refused(lines) };
    let mut first = last;
    while first > 0 && blocks[first].follows {
        first -= 1;
    }
    let (root, end) = (&blocks[first], &blocks[last]);
    let inner = blocks.get(last + 1).filter(|it| it.inner);
    let before = shape::line_before(lines, root.begin);
    let told = before.is_some_and(|line| told_of(line, root.begin, lines));
    let mut reading = Reading::new(
        Runtime::Python,
        if told { Kind::Reported } else { Kind::Uncaught },
        end.headline,
    );
    reading.type_name.clone_from(&end.type_name);
    reading.message.clone_from(&end.message);
    reading.frame = end.frame.clone().or_else(|| inner?.frame.clone());
    let whole = !lines[root.begin].cut && !root.follows && !root.torn;
    let root = inner.or((first < last && whole).then_some(root));
    if let Some(root) = root {
        reading.root_cause = Some(joined(&root.type_name, &root.message));
        reading.telling.push(root.headline);
    }
    reading.telling.extend(end.headline + 1..=end.last);
    reading.last = blocks.last().map_or(end.last, |it| it.last.max(end.last));
    reading.while_handling = blocks[first..=last].iter().any(|it| it.while_handling);
    reading.complete = whole;
    Some(reading)
}

/// A logger's line right above, or one of the interpreter's own.
fn told_of(line: &Line, begin: usize, lines: &[Line]) -> bool {
    let logged = loggers::level(line.trimmed()).is_some_and(|it| it >= Level::Warn);
    let right_above = (begin > 0 && !lines[begin - 1].is_blank()) || line.text.ends_with(':');
    TOLD_OF.iter().any(|sign| line.text.contains(sign)) || (logged && right_above)
}

fn blocks(lines: &[Line]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut begin: Option<usize> = None;
    let mut frames: Vec<String> = Vec::new();
    let (mut follows, mut while_handling) = (false, false);
    let mut at = 0;
    while at < lines.len() {
        let (inner, body) = ungrouped(&lines[at].text);
        let header = is_header(body);
        if header || (begin.is_none() && is_frame(body)) {
            begin = Some(at);
            frames.clear();
        } else if body == DIRECT || body == CONTEXT {
            (follows, while_handling) = (true, body == CONTEXT);
        } else if let (Some(began), false) =
            (begin, body.starts_with([' ', '\t', '>']) || body.is_empty())
        {
            begin = None;
            if let Some((type_name, first)) = shape::type_and_message(body) {
                let stop = |line: &Line| line.trimmed().starts_with(['+', '|']);
                let whole = type_name.ends_with("SyntaxError") || inner > 0;
                let (message, last) = match whole {
                    true => (first, at),
                    false => shape::message(&first, lines, at, stop),
                };
                let inner = inner > 1;
                let frame = application(&frames);
                blocks.push(Block {
                    // Only errors of syntax have no header.
                    torn: lines[began..at].iter().any(|line| line.cut)
                        || !(is_header(ungrouped(&lines[began].text).1) || of_syntax(&type_name)),
                    begin: began,
                    headline: at,
                    last,
                    type_name,
                    message,
                    frame,
                    follows,
                    while_handling,
                    inner,
                });
                at = last;
            }
            (follows, while_handling) = (false, false);
        }
        if is_frame(body) {
            frames.push(body.trim().to_owned());
        }
        at += 1;
    }
    blocks
}

/// How deep a line stands in an exception group, and what it says.
fn ungrouped(text: &str) -> (usize, &str) {
    let bare = text.trim_start();
    let depth = (text.len() - bare.len()) / 2;
    if let Some(rest) = bare.strip_prefix("| ").filter(|_| depth > 0) {
        (depth, rest)
    } else if let Some(rest) = bare.strip_prefix("+ ").filter(|_| depth > 0) {
        (depth, rest)
    } else {
        (0, text)
    }
}

fn is_header(body: &str) -> bool {
    body.ends_with("Traceback (most recent call last):")
}

fn of_syntax(type_name: &str) -> bool {
    ["SyntaxError", "IndentationError", "TabError"].contains(&type_name)
}

fn is_frame(body: &str) -> bool {
    body.trim_start_matches([' ', '\t', '>']).starts_with("File \"") && body.contains("\", line ")
}

/// `/app/main.py:3 in load`, of the last call that is not a library's.
fn application(frames: &[String]) -> Option<String> {
    const LIBRARY: &[&str] = &[
        "site-packages/",
        "dist-packages/",
        "/lib/python",
        "/lib64/python",
        "<frozen",
        "<string>",
    ];
    let own = frames.iter().rev().find(|it| !LIBRARY.iter().any(|part| it.contains(part)));
    let frame = own.or(frames.last())?;
    let path = shape::between(frame, "File \"", "\"")?;
    let line = shape::number_after(frame, "\", line ")?;
    let call = frame.split_once(", in ").map(|(_, call)| format!(" in {call}")).unwrap_or_default();
    Some(format!("{path}:{line}{call}"))
}

fn joined(type_name: &str, message: &str) -> String {
    if message.is_empty() { type_name.to_owned() } else { format!("{type_name}: {message}") }
}

/// The interpreter ended before it ran anything.
fn refused(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| {
        let text = line.trimmed();
        let python = text.split(':').next().is_some_and(|name| name.contains("python"));
        text.starts_with("Fatal Python error:")
            || (python && (text.contains("can't open file") || text.contains(": No module named")))
    })?;
    let mut reading = Reading::new(Runtime::Python, Kind::Refused, at);
    reading.message = shape::clipped(lines[at].trimmed());
    let more = lines.iter().enumerate().skip(at + 1);
    for (number, line) in more.take(4).filter(|(_, line)| line.text.contains("Error: ")) {
        reading.root_cause = Some(line.trimmed().to_owned());
        reading.telling.push(number);
        reading.last = number;
    }
    Some(reading)
}
