//! Shapes that runtimes share: a type with its message, a number after a word. It must not know any one runtime.

use super::{loggers, roles, said::Line};

/// Longest message that is kept, in characters.
const MESSAGE_MAX: usize = 400;
/// So many lines of a message are kept.
const MESSAGE_LINES: usize = 8;

/// `KeyError: 'x'` or `KeyError`: the type has no spaces and ends with the first colon that a space follows.
pub(super) fn type_and_message(text: &str) -> Option<(String, String)> {
    let (name, message) = match text.split_once(": ") {
        Some((name, message)) => (name, message),
        None => (text.strip_suffix(':').unwrap_or(text), ""),
    };
    is_type(name).then(|| (name.to_owned(), clipped(message.trim())))
}

/// A dotted or scoped name, maybe with a code behind it: `Error [ERR_X]`.
pub(super) fn is_type(name: &str) -> bool {
    let bare = match name.split_once(" [") {
        Some((bare, code)) if code.ends_with(']') => bare,
        _ => name,
    };
    let first = bare.chars().next();
    first.is_some_and(|it| it.is_alphabetic() || it == '_')
        && bare.chars().all(|it| it.is_alphanumeric() || "_.$:/".contains(it))
}

/// The message with the lines that follow up to `end`, joined by spaced slashes; and the last line that belongs to it.
pub(super) fn message(
    first: &str,
    lines: &[Line],
    at: usize,
    end: impl Fn(&Line) -> bool,
) -> (String, usize) {
    let mut parts: Vec<&str> = vec![first.trim()];
    let mut last = at;
    for (number, line) in lines.iter().enumerate().skip(at + 1).take(MESSAGE_LINES) {
        // What is not set off may have been said later by somebody else.
        let goes_on = line.is_indented() || opens(&parts) || number > at + 1 && parts.len() > 1;
        if line.is_blank() || !goes_on || end(line) || loggers::level(line.trimmed()).is_some() {
            break;
        }
        if roles::is_hint(line.trimmed()) {
            continue;
        }
        parts.push(line.trimmed());
        last = number;
    }
    parts.retain(|part| !part.is_empty());
    (clipped(&parts.join(" / ")), last)
}

/// The first line of a message that has more: `settings are wrong:`, `2 validation errors for Settings`, or none yet.
fn opens(parts: &[&str]) -> bool {
    let first = parts[0];
    parts.len() == 1
        && (first.is_empty()
            || first.ends_with(':')
            || first.contains(" error for ")
            || first.contains(" errors"))
}

pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// The number that stands right behind `word`.
pub(super) fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The text between two marks, the first of each.
pub(super) fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

/// The last line before `at` that is not empty.
pub(super) fn line_before(lines: &[Line], at: usize) -> Option<&Line> {
    lines[..at].iter().rev().find(|line| !line.is_blank())
}

/// No line is known before `at` although more was said.
pub(super) fn begins_cut(lines: &[Line], at: usize) -> bool {
    lines[..=at.min(lines.len().saturating_sub(1))].iter().any(|line| line.cut)
}
