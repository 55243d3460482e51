//! Shells: an unset variable, a command that is not there, a syntax error. It must not know runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// `main.sh: line 3: X: unbound variable` (bash), `main.sh: 3: X: parameter not set` (dash, busybox).
pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| reason(&line.text).is_some())?;
    // bash repeats the line of a syntax error below it.
    let above = at.checked_sub(1).filter(|it| {
        lines[at].text.contains(": `")
            && reason(&lines[*it].text).is_some_and(|it| it.contains("syntax error"))
    });
    let at = above.unwrap_or(at);
    let mut reading = Reading::new(Runtime::Shell, Kind::Refused, at);
    reading.message = shape::clipped(reason(&lines[at].text)?);
    reading.last = above.map_or(at, |it| it + 1);
    Some(reading)
}

/// The last line says what is wrong within a script, not with what it ran.
pub(super) fn is_of_script(lines: &[Line]) -> bool {
    const SIGNS: &[&str] = &[
        "unbound variable",
        "parameter not set",
        "parameter null or not set",
        "syntax error",
        "bad substitution",
        "division by 0",
        "division by zero",
        "value too great for base",
        "arithmetic",
        "readonly variable",
        "is read only",
        "bad array subscript",
        "not a valid identifier",
        "numeric argument required",
        "illegal number",
    ];
    let last = lines.iter().rfind(|line| !line.is_blank());
    let reason = last.and_then(|line| reason(&line.text)).map(str::to_ascii_lowercase);
    reason.is_some_and(|it| SIGNS.iter().any(|sign| it.contains(sign)))
}

fn reason(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once(": ")?;
    let (place, reason) = rest.split_once(": ")?;
    let number = place.strip_prefix("line ").unwrap_or(place);
    let numbered = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    (numbered && !name.contains([' ', '{', '['])).then_some(reason)
}
