//! Log lines: their level and message in the forms that loggers use, JSON, logfmt, klog and plain text. It must not know
//! runtimes.

use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::diagnose::verdict) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// Levels stand near the beginning of a line.
const HEADER_MAX: usize = 90;
const LEVEL_KEYS: &[&str] =
    &["level", "severity", "lvl", "levelname", "log.level", "@l", "loglevel"];
const MESSAGE_KEYS: &[&str] = &["msg", "message", "event", "@m", "text"];
const ERROR_KEYS: &[&str] = &["err", "error", "exception", "reason", "cause"];

/// What a line is marked as, where it is marked.
pub(in crate::diagnose::verdict) fn level(line: &str) -> Option<Level> {
    if line.starts_with('{') {
        return of_json(line);
    }
    of_klog(line).or_else(|| of_logfmt(line)).or_else(|| of_redis(line)).or_else(|| of_header(line))
}

/// A JSON line by its level, message and error alone; any other line as it is.
pub(in crate::diagnose::verdict) fn condensed(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    let text = |keys: &[&str]| keys.iter().find_map(|key| plain(fields.get(*key)?));
    let level = LEVEL_KEYS.iter().find_map(|key| match fields.get(*key)? {
        Value::String(level) => Some(level.clone()),
        _ => None,
    });
    let message = text(MESSAGE_KEYS);
    let error = text(ERROR_KEYS).filter(|error| message.as_ref() != Some(error));
    let parts: Vec<String> = [level, message, error].into_iter().flatten().collect();
    if parts.len() < 2 { line.to_owned() } else { parts.join(": ") }
}

/// A string, or an error as an object: `{"type":"Error","message":"..."}`.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Object(fields) => {
            let get = |key: &str| fields.get(key).and_then(Value::as_str);
            let message = get("message").or(get("msg"))?;
            Some(get("type").map_or(message.to_owned(), |name| format!("{name}: {message}")))
        }
        _ => None,
    }
}

fn of_json(line: &str) -> Option<Level> {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        // Its end may be lost.
        let cut = LEVEL_KEYS.iter().find_map(|key| {
            let (_, rest) = line.split_once(&format!("\"{key}\":\""))?;
            named(rest.split('"').next()?)
        });
        return cut;
    };
    of_fields(&fields)
}

fn of_fields(fields: &Map<String, Value>) -> Option<Level> {
    LEVEL_KEYS.iter().find_map(|key| match fields.get(*key)? {
        Value::String(name) => named(name),
        // pino and bunyan number their levels.
        Value::Number(number) => match number.as_u64()? {
            60.. => Some(Level::Fatal),
            50..60 => Some(Level::Error),
            40..50 => Some(Level::Warn),
            30..40 => Some(Level::Info),
            10..30 => Some(Level::Debug),
            0..10 => None,
        },
        _ => None,
    })
}

/// `F0102 10:00:00.000000`
fn of_klog(line: &str) -> Option<Level> {
    let bytes = line.as_bytes();
    let dated = bytes.len() > 6 && bytes[1..5].iter().all(u8::is_ascii_digit) && bytes[5] == b' ';
    match bytes.first()? {
        b'F' if dated => Some(Level::Fatal),
        b'E' if dated => Some(Level::Error),
        b'W' if dated => Some(Level::Warn),
        b'I' if dated => Some(Level::Info),
        _ => None,
    }
}

fn of_logfmt(line: &str) -> Option<Level> {
    let value =
        ["prio=", "priority=", "level=", "lvl=", "severity="].into_iter().find_map(|key| {
            let at = line.find(key).filter(|at| *at == 0 || line[..*at].ends_with(' '))?;
            Some(&line[at + key.len()..])
        })?;
    named(value.trim_start_matches('"').split([' ', '"', ',']).next()?)
}

/// A line is marked as an error; beside it one that [`is_mild`] is no complaint.
pub(in crate::diagnose::verdict) fn any_error(
    mut levels: impl Iterator<Item = Option<Level>>,
) -> bool {
    levels.any(|it| it >= Some(Level::Error))
}

/// Marked as a warning, or as something milder.
pub(in crate::diagnose::verdict) fn is_mild(level: Option<Level>) -> bool {
    level.is_some_and(|it| it < Level::Error)
}

/// What makes an error of what redis marks with `#`, its first letter left out where it may be a capital one.
const REDIS_ERRORS: &[&str] =
    &["an't ", "annot ", "ailed", "ad file", "orrupt", "nvalid", "nexpected end", " error"];

/// `12:M 01 Jan 2024 10:00:00.000 # Fatal error`: redis marks what matters with `#`, chatter of its start too.
fn of_redis(line: &str) -> Option<Level> {
    let (pid, rest) = line.split_once(':')?;
    rest.as_bytes().first().filter(|it| b"XCSM".contains(it))?;
    if !pid.bytes().all(|it| it.is_ascii_digit()) || pid.is_empty() || !rest[1..].starts_with(' ') {
        return None;
    }
    // Behind the role stand day, month, year and time.
    let (at, _) = rest.match_indices(' ').nth(4)?;
    let text = &rest[at..];
    match text.get(..3)? {
        " # " if text.contains("Fatal") || text.contains("aborting") => Some(Level::Error),
        " # " if text.contains("arning") || text.contains("WARNING") => Some(Level::Warn),
        " # " if REDIS_ERRORS.iter().any(|sign| text.contains(sign)) => Some(Level::Error),
        " # " | " * " => Some(Level::Info),
        " - " | " . " => Some(Level::Debug),
        _ => None,
    }
}

/// A level's word standing alone near the beginning: `[emerg]`, `FATAL:`, ` ERROR `, `error:`.
fn of_header(line: &str) -> Option<Level> {
    let end = line.char_indices().nth(HEADER_MAX).map_or(line.len(), |(at, _)| at);
    let header = &line[..end];
    let mut at = 0;
    for word in header.split(|it: char| !it.is_ascii_alphanumeric()) {
        let start = at;
        at += word.len() + 1;
        let Some(level) = named(word) else { continue };
        let before = header[..start].chars().next_back();
        let after = header[start + word.len()..].chars().next();
        let shouted = word.len() > 2 && word.bytes().all(|it| it.is_ascii_uppercase());
        let bracketed =
            matches!(before, Some('[' | '<' | '|')) && matches!(after, Some(']' | '>' | '|' | ' '));
        // `error: x` at the beginning, or behind a program's name or a time: `git: fatal: x`.
        let led = header[..start].trim_end();
        let begins = led.is_empty() || led.ends_with([':', ']', ')']);
        let introduces = after == Some(':') && begins;
        let alone = before.is_none_or(|it| " [|:-(\t".contains(it))
            && after.is_none_or(|it| " ]|:)-\t/".contains(it));
        // A word of a sentence is no level, even where it is shouted.
        let words = led
            .split(' ')
            .filter(|it| it.len() > 1 && it.bytes().all(|it| it.is_ascii_lowercase()));
        let early = words.count() < 2;
        if introduces || bracketed || (shouted && alone && early) {
            return Some(level);
        }
    }
    None
}

fn named(word: &str) -> Option<Level> {
    match word.to_ascii_lowercase().as_str() {
        "fatal" | "emerg" | "emergency" | "critical" | "crit" | "alert" | "panic" | "dpanic"
        | "ftl" | "severe" => Some(Level::Fatal),
        "error" | "err" | "eror" | "failure" => Some(Level::Error),
        "warn" | "warning" | "wrn" => Some(Level::Warn),
        "info" | "inf" | "notice" | "information" | "log" | "hint" | "detail" | "note" => {
            Some(Level::Info)
        }
        "debug" | "trace" | "dbg" | "verbose" | "trc" => Some(Level::Debug),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_in_many_forms() {
        for (line, expected) in [
            (r#"{"level":"fatal","msg":"x"}"#, Some(Level::Fatal)),
            (r#"{"level":50,"msg":"x"}"#, Some(Level::Error)),
            (r#"{"severity":"ERROR","message":"cut off at the e"#, Some(Level::Error)),
            ("time=\"x\" level=error msg=\"y\"", Some(Level::Error)),
            ("F0102 10:00:00.000000 1 main.go:3] x", Some(Level::Fatal)),
            ("ERROR:root:x", Some(Level::Error)),
            ("[2024-01-01 10:00:00,243: CRITICAL/MainProcess] x", Some(Level::Fatal)),
            ("fatal: not a repository", Some(Level::Fatal)),
            ("Error: unknown command", Some(Level::Error)),
            ("no error was found", None),
            ("the file says ERROR in its third line and that is fine", None),
            ("license expired", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn a_json_line_is_condensed_to_what_it_tells() {
        let line =
            r#"{"ts":1,"level":"fatal","msg":"cannot start","err":"PORT is not set","pid":3}"#;
        assert_eq!(condensed(line), "fatal: cannot start: PORT is not set");
    }
}
