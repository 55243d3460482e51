//! What each line is for: said by the program, or a call of a stack trace, a piece of source, a usage text, a hint. It
//! must not know failed calls.

use super::{
    loggers::{self, Level},
    phrases::goes_on,
    said::Line,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) enum Role {
    Blank,
    /// A call of a stack trace, source beside it, or what frames a trace.
    Frame,
    /// Of a text that tells how the program is used.
    Usage,
    /// Where to find more.
    Hint,
    /// With how much it tells.
    Said(u8),
}

/// How much a line tells.
pub(in crate::diagnose::verdict) const FATAL: u8 = 50;
pub(in crate::diagnose::verdict) const ERROR: u8 = 40;
pub(in crate::diagnose::verdict) const COMPLAINT: u8 = 30;
pub(in crate::diagnose::verdict) const PLAIN: u8 = 20;
pub(in crate::diagnose::verdict) const WARNING: u8 = 15;
const NEUTRAL: u8 = 10;
const CHATTER: u8 = 5;

pub(in crate::diagnose::verdict) fn roles(lines: &[Line]) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::with_capacity(lines.len());
    let (mut source, mut usage, mut trace, mut fields) = (false, false, false, false);
    for (at, line) in lines.iter().enumerate() {
        let text = line.trimmed();
        let body = ungrouped(&line.text);
        let indent = body.len() - body.trim_start().len();
        let is_source = source && indent >= 4;
        let python = body.trim_start().starts_with("File \"") && body.contains("\", line ");
        source = python || is_source;
        trace = text == "stack backtrace:"
            || text == "stack traceback:"
            || (trace && line.is_indented());
        let frame = is_source || python || trace || is_frame(line) || is_go_frame(lines, at);
        fields = (frame && text.ends_with(" {")) || (fields && line.is_indented());
        let role = if text.is_empty() || is_binary(text) {
            Role::Blank
        } else if frame || (fields && !names_error(text)) {
            Role::Frame
        } else if is_hint(text) || (roles.last() == Some(&Role::Hint) && line.is_indented()) {
            Role::Hint
        } else {
            let said = worth(text);
            let begins = is_usage(text) || npm(text).is_some_and(is_usage);
            // What npm says after it belongs to it.
            if usage && npm(text).is_some() {
                roles.push(Role::Usage);
                continue;
            }
            usage = begins || (usage && (line.is_indented() || said < COMPLAINT));
            if usage || is_option(text) { Role::Usage } else { Role::Said(said) }
        };
        // Node and Ruby show the line of source above the carets, Node also its place.
        if is_pointer(text) {
            for before in (at.saturating_sub(2)..at).rev() {
                let place = lines[before].text.rsplit_once(':');
                let place = place.is_some_and(|(_, it)| it.bytes().all(|it| it.is_ascii_digit()));
                if before + 1 == at || place {
                    roles[before] = Role::Frame;
                }
            }
        }
        roles.push(role);
    }
    roles
}

fn worth(text: &str) -> u8 {
    if let Some(rest) = npm(text) {
        return if rest.starts_with([' ', '/']) || rest.is_empty() {
            CHATTER
        } else {
            ERROR + plea(rest)
        };
    }
    let lower = text.to_ascii_lowercase();
    let more = plea(&lower);
    let plea = more > 0;
    match loggers::level(text) {
        _ if goes_on(lower.as_bytes()) => WARNING + if plea { 4 } else { 0 },
        Some(Level::Fatal) if is_vague(&lower) => FATAL - 6,
        Some(Level::Error) if is_vague(&lower) => ERROR - 6,
        Some(Level::Fatal) => FATAL + more,
        Some(Level::Error) => ERROR + more,
        Some(Level::Warn) => WARNING,
        Some(Level::Info) if plea => NEUTRAL,
        Some(Level::Info | Level::Debug) => CHATTER,
        None if plea && is_vague(&lower) => PLAIN + 1,
        None if more < STRONG && plea => COMPLAINT - 2,
        None if plea => COMPLAINT + if is_introduced(text) { 2 } else { 0 },
        None if is_neutral(&lower) => NEUTRAL,
        None => PLAIN,
    }
}

/// What npm says in its lines of errors.
fn npm(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("npm error").or_else(|| text.strip_prefix("npm ERR!"))?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

const STRONG: u8 = 6;

/// It complains, or may, in lower case.
pub(super) fn pleads(lower: &str) -> bool {
    plea(lower) > 0
}

/// How much a complaint, in lower case, adds: some words complain, others only may.
fn plea(lower: &str) -> u8 {
    const WEAK: &[&str] = &["must be", "problem", "bad ", "wrong", "conflict", "exceed"];
    match () {
        () if complains(lower) => STRONG,
        () if WEAK.iter().any(|sign| lower.contains(sign)) => STRONG / 2,
        () => 0,
    }
}

/// `[cause]: Error: x` and the errors of an AggregateError, among the fields of an error of Node.
fn names_error(text: &str) -> bool {
    text.starts_with("[cause]")
        || text.split_once(": ").is_some_and(|(name, _)| name.ends_with("Error"))
}

/// `curl: (60) x`, `main.sh: line 3: x`
fn is_introduced(text: &str) -> bool {
    text.split(' ').next().is_some_and(|word| word.len() > 1 && word.ends_with(':'))
}

/// A complaint, in lower case.
pub(in crate::diagnose::verdict) fn complains(lower: &str) -> bool {
    const SIGNS: &[&str] = &[
        "cannot",
        "can't",
        "can not",
        "could not",
        "couldn't",
        "unable to",
        "fail",
        "not found",
        "no such",
        "denied",
        "refused",
        "missing",
        "not permitted",
        "not allowed",
        "does not exist",
        "doesn't exist",
        "invalid",
        "unknown",
        "unexpected",
        "unrecognized",
        "expired",
        "is required",
        "not set",
        "not given",
        "exception",
        "error",
        "abort",
        "panic",
        "fatal",
        "illegal",
        "timed out",
        "timeout",
        "unreachable",
        "unavailable",
        "no space",
        "read-only",
        "too many",
        "out of memory",
        "not configured",
        "already in use",
        "undefined",
        "mismatch",
        "corrupt",
        "violat",
        "rejected",
        "certificate problem",
        "unsupported",
        "unbound",
        "not recognized",
        "not enough",
        "bad option",
        "bad address",
        "not defined",
        "not in ",
        "not a valid",
        "is not a ",
        "must have",
        "no valid",
        "please consult",
        "already exist",
        "already running",
    ];
    SIGNS.iter().any(|sign| lower.contains(sign)) || (names_place(lower) && !is_on_the_way(lower))
}

/// `/etc/named.conf:3: bad secret`: what reads a file complains so of a line of it.
fn names_place(lower: &str) -> bool {
    lower.split(' ').any(|word| {
        let Some((path, number)) = word.strip_suffix(':').and_then(|it| it.rsplit_once(':')) else {
            return false;
        };
        let digits = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
        digits && path.contains('/') && path.contains('.')
    })
}

/// A complaint that names no reason: `startup failed`, `exiting`.
pub(in crate::diagnose::verdict) fn is_vague(lower: &str) -> bool {
    const SIGNS: &[&str] = &[
        "cannot start",
        "could not start",
        "failed to start",
        "unable to start",
        "startup failed",
        "start failed",
        "exiting",
        "aborting",
        "giving up",
        "shutting down",
        "terminating",
        "initialization failed",
        "failed to initialize",
        "cannot continue",
        "internal error",
        "unexpected error",
        "unknown error",
        "errors found in",
        "errors in ",
        "error(s) found in",
        "failed to boot",
        "worker exited",
        "exited with code",
        "operation failed",
        "something went wrong",
        "cannot run",
        "cannot be started",
        "quitting",
        "contains errors",
        "not recoverable",
        "previous errors",
        "failure status",
        "run failed",
        "too many restarts",
    ];
    SIGNS.iter().any(|sign| lower.contains(sign))
        || [": failure", ": failed"].iter().any(|end| lower.trim_end().ends_with(end))
}

/// What is said on the way, in lower case: it tells of no reason.
pub(in crate::diagnose::verdict) fn is_neutral(lower: &str) -> bool {
    is_on_the_way(lower) && !complains(lower)
}

/// It has a word of those by which programs say what they do.
fn is_on_the_way(lower: &str) -> bool {
    const SIGNS: &[&str] = &[
        "starting",
        "started",
        "listening",
        "listen on",
        "loaded",
        "loading",
        "using ",
        "connected",
        "ready",
        "running",
        "initializ",
        "shutting down",
        "stopping",
        "stopped",
        "exiting",
        "bye",
        "goodbye",
        "serving",
        "reading ",
        "writing ",
        "created",
        "opened",
        "done",
        "finished",
        "picked up",
        "welcome",
        "hello",
        "booting",
    ];
    // `version 1.2`, not a VERSION that is wanted.
    let version = lower.contains("version") && lower.bytes().any(|it| it.is_ascii_digit());
    version || SIGNS.iter().any(|sign| lower.contains(sign)) || lower.starts_with("> ")
}

fn is_usage(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with("usage:")
        || lower.starts_with("usage of ")
        || lower.starts_with("usage ")
        || lower == "options:"
        || lower == "commands:"
        || lower == "flags:"
}

/// `-p, --port PORT`
fn is_option(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    let dashes = text.len() - name.len();
    (1..=2).contains(&dashes) && name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '?')
}

pub(super) fn is_hint(text: &str) -> bool {
    const SIGNS: &[&str] = &[
        "for more information",
        "for usage",
        "for help",
        "more details here",
        "a complete log of this run",
        "note: run with",
        "note: some details are omitted",
        "(use `node ",
        "please visit",
        "to see a list of",
        "--help'",
        "for further information",
        "to learn more about",
        "need more help",
        "to address this issue",
        "did you mean",
        "see also",
        "report bug",
        "an error report file with",
    ];
    let lower = text.to_ascii_lowercase();
    SIGNS.iter().any(|sign| lower.contains(sign)) || text.starts_with("# /")
}

/// The line of an exception group without its frame.
fn ungrouped(text: &str) -> &str {
    let bare = text.trim_start();
    if bare.len() == text.len() {
        return text;
    }
    bare.strip_prefix("| ").unwrap_or(text)
}

/// Bytes of a protocol or a picture rather than text.
fn is_binary(text: &str) -> bool {
    // One or two bytes that are no text may stand in a name.
    const FEW: usize = 2;
    const SHARE: usize = 8;
    let escaped = text.matches("\\x").count();
    escaped > FEW && escaped * 4 * SHARE > text.len()
}

/// `    ^^^^`, `   ~~~~^^^^`
fn is_pointer(text: &str) -> bool {
    text.contains('^') && text.chars().all(|it| "^~ ".contains(it))
}

fn is_frame(line: &Line) -> bool {
    const BEGINS: &[&str] = &[
        "Traceback (most recent call last)",
        "+ Exception Group Traceback",
        "+---",
        "+-+--",
        "[Previous line repeated",
        "The above exception was the direct cause",
        "During handling of the above exception",
        "Stack trace:",
        "thrown in ",
        "Node.js v",
        "----- Native stack trace",
        "<--- ",
        "Emitted 'error' event",
        "Require stack:",
        "throw ",
        "created by ",
        "[signal ",
        "exit status ",
        "runtime stack:",
        "in call from ",
        "in function ",
        "called as ",
        "from ",
        "#0 ",
        "SUMMARY: ",
        "Shadow bytes",
        "=>0x",
        "0x",
        "at ",
        "... ",
        "[C]:",
    ];
    let text = line.trimmed();
    let indented = |sign: &str| {
        [
            "from ",
            "at ",
            "... ",
            "in function ",
            "called as ",
            "in call from ",
            "throw ",
            "0x",
            "[C]:",
        ]
        .contains(&sign)
    };
    let begins = BEGINS.iter().any(|sign| {
        text.starts_with(sign)
            && (line.is_indented()
                || !indented(sign)
                || (*sign == "at " && text.contains(['(', ':'])))
    });
    let bare = text.chars().all(|it| "{}[]()^~, =-*#_".contains(it));
    begins
        || bare
        || is_numbered(text)
        || text.contains("Mark-Compact")
        || (line.is_indented() && (text.contains(" called at ") || text.starts_with("- /")))
        || (line.text.starts_with('\t') && is_of_lua(text))
}

/// A call, or where a module was looked for.
fn is_of_lua(text: &str) -> bool {
    const LOOKED: &[&str] = &["no file '", "no field package.", "no module '"];
    text.contains(".lua:") || LOOKED.iter().any(|sign| text.starts_with(sign))
}

/// `#3 0x7f...`, `#1 /app/main.php(3): f()`, `12: 0x10c78d6 v8::internal`
fn is_numbered(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(rest) = text.strip_prefix('#') {
        return digits(rest) > 0 && rest[digits(rest)..].starts_with(' ');
    }
    let count = digits(text);
    count > 0 && text[count..].trim_start_matches(':').trim_start().starts_with("0x")
}

/// `goroutine 3 [select]:`, a call, and its place behind a tab on the next line.
fn is_go_frame(lines: &[Line], at: usize) -> bool {
    let text = lines[at].text.as_str();
    let is_place = |line: &Line| line.text.starts_with('\t') && line.text.contains(".go:");
    let call = !text.contains(' ') && text.contains('.') && lines.get(at + 1).is_some_and(is_place);
    (text.starts_with("goroutine ") && text.ends_with("]:"))
        || is_place(&lines[at])
        || call
        || (lines[at].cut && text.contains(".go:") && text.contains(" +0x"))
}
