//! Secrets that are known by the name before them: `password=x`, `"token": "x"`, `--secret x`, `Cookie: x`. It must not
//! know whose text it is.

use std::ops::Range;

use super::{
    MARK, Rule,
    names::{self, Holds, is_name_byte},
};

/// No name is longer.
const LONGEST_NAME: usize = 128;

/// Words that follow a name where it is only spoken of: `--token is required`, `password: no such file`.
const PROSE: [&str; 58] = [
    "is",
    "was",
    "are",
    "flag",
    "flags",
    "option",
    "options",
    "argument",
    "or",
    "and",
    "not",
    "must",
    "should",
    "may",
    "cannot",
    "can",
    "needs",
    "requires",
    "required",
    "missing",
    "to",
    "for",
    "in",
    "with",
    "no",
    "permission",
    "failed",
    "invalid",
    "incorrect",
    "wrong",
    "expected",
    "unexpected",
    "denied",
    "executable",
    "exec",
    "stat",
    "open",
    "read",
    "operation",
    "file",
    "parameter",
    "variable",
    "unbound",
    "undefined",
    "unset",
    "empty",
    "decoder",
    "has",
    "have",
    "had",
    "will",
    "does",
    "could",
    "couldn't",
    "isn't",
    "wasn't",
    "added",
    "this",
];

/// Adds every value after a name that holds a secret.
pub fn find(text: &[u8], found: &mut Vec<(Range<usize>, Rule)>) {
    for (index, byte) in text.iter().enumerate() {
        let value = match byte {
            b'=' | b':' => after_separator(text, index),
            b' ' | b'\t' => after_flag(text, index),
            _ => None,
        };
        if let Some((value, rule)) = value {
            let bytes = &text[value.clone()];
            if !names::is_open(bytes) && !bytes.starts_with(MARK) {
                found.push((value, rule));
            }
        }
    }
}

fn after_separator(text: &[u8], at: usize) -> Option<(Range<usize>, Rule)> {
    let (before, from) = (&text[..at], &text[at..]);
    // `::` of a path in code, `://` of a URL; of `==` and `:=` the first character counts.
    let none = from.starts_with(b"::")
        || from.starts_with(b"://")
        || before.ends_with(b":")
        || before.ends_with(b"=");
    if none {
        return None;
    }
    let colon = from[0] == b':';
    let long: [&[u8]; 3] = [b":=", b"==", b"=>"];
    let separator = if long.iter().any(|long| from.starts_with(long)) { 2 } else { 1 };
    let spaced = trim_end(before, b" \t");
    let unquoted = trim_end(spaced, b"\"'\\");
    let name = name_at_end(unquoted);
    let holds = names::holds(name)?;
    let mut start = at + separator;
    let blanks = text[start..].iter().take_while(|byte| b" \t".contains(byte)).count();
    start += blanks;
    // `password= user=x` and `PASSWORD= --user x` set nothing.
    let is_sure = colon || separator == 2 || spaced.len() < before.len() || blanks == 0;
    let rest = &text[start..];
    if !is_sure && (rest.starts_with(b"-") || begins_assignment(rest) || begins_prose(rest)) {
        return None;
    }
    if holds == Holds::Header && colon {
        return Some((line_from(text, start), Rule::Header));
    }
    let value = value_from(text, start);
    let bytes = &text[value.clone()];
    // `token = os.environ["TOKEN"]` is a line of a program's source.
    if spaced.len() < before.len() && blanks > 0 && is_call(bytes) {
        return None;
    }
    let in_front = &unquoted[..unquoted.len() - name.len()];
    // `open "/run/token": permission denied` and `unexpected token: }` speak of something else.
    if colon && separator == 1 && value.start == start {
        let of_a_path = in_front.ends_with(b"/");
        let bare = unquoted.len() == spaced.len();
        let spoken_of = bare && holds == Holds::MaybeSecret && follows_a_word(in_front);
        if of_a_path || is_prose(bytes) || (spoken_of && !looks_random(bytes)) {
            return None;
        }
    }
    Some((value, Rule::Named))
}

/// `--password x` where `at` is the blank.
fn after_flag(text: &[u8], at: usize) -> Option<(Range<usize>, Rule)> {
    let name = name_at_end(&text[..at]);
    let front = at - name.len();
    let begins_word = front == 0
        || text[front - 1].is_ascii_whitespace()
        || b"\"'`(;|&[".contains(&text[front - 1]);
    if !name.starts_with(b"-") || !begins_word {
        return None;
    }
    names::holds(name)?;
    let start = at + text[at..].iter().take_while(|byte| b" \t".contains(byte)).count();
    let value = value_from(text, start);
    let bytes = &text[value.clone()];
    (!is_prose(bytes) && !bytes.starts_with(b"-")).then_some((value, Rule::Named))
}

/// The longest run of a name's bytes that the text ends with.
fn name_at_end(text: &[u8]) -> &[u8] {
    let length =
        text.iter().rev().take(LONGEST_NAME).take_while(|byte| is_name_byte(**byte)).count();
    &text[text.len() - length..]
}

/// True if another word stands before on the same line: prose.
fn follows_a_word(text: &[u8]) -> bool {
    let before = trim_end(text, b" \t");
    before.len() < text.len() && before.last().is_some_and(u8::is_ascii_alphanumeric)
}

pub fn is_prose(value: &[u8]) -> bool {
    // OpenSSL's: `PEM_read_bio_PrivateKey: error:1E08010C:DECODER routines::unsupported`.
    value.starts_with(b"error:")
        || PROSE.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

fn begins_prose(text: &[u8]) -> bool {
    let word = text.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    is_prose(&text[..word])
}

/// A name, with dots or not, before an opening bracket.
fn is_call(value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.".contains(byte);
    let name = value.iter().take_while(|byte| is_name(byte)).count();
    name > 1 && value[0].is_ascii_alphabetic() && matches!(value.get(name), Some(b'(' | b'['))
}

/// Letters and digits, and not few.
fn looks_random(value: &[u8]) -> bool {
    value.len() >= 8
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

/// A quoted value without its quotes, or all up to a blank, a quote or the next assignment.
fn value_from(text: &[u8], start: usize) -> Range<usize> {
    let rest = &text[start..];
    let escapes = rest.iter().take_while(|byte| **byte == b'\\').count();
    if let Some(quote) = rest.get(escapes).filter(|byte| b"\"'`".contains(byte)) {
        let open = escapes + 1;
        return start + open..start + open + quoted_length(&rest[open..], *quote, escapes);
    }
    let ends = |index: &usize| {
        let byte = rest[*index];
        byte.is_ascii_whitespace()
            || b"\"'`".contains(&byte)
            || (b"&;,".contains(&byte) && begins_assignment(&rest[index + 1..]))
    };
    let end = (0..rest.len()).find(ends).unwrap_or(rest.len());
    let whole = &rest[..end];
    // Brackets that were opened before the value are not its own, nor is the mark's of an earlier pass.
    let opened = whole.iter().any(|byte| b"({[".contains(byte));
    let length = if opened { end } else { trim_end(whole, b",;:)}]").len() };
    start..start + length
}

/// Up to the quote that is escaped no more than the opening one, or the line's end.
fn quoted_length(text: &[u8], quote: u8, escapes: usize) -> usize {
    let mut run = 0;
    for (index, byte) in text.iter().enumerate() {
        if *byte == b'\n' {
            return index;
        }
        if *byte == quote && run <= escapes {
            return index - run;
        }
        run = if *byte == b'\\' { run + 1 } else { 0 };
    }
    text.len()
}

fn begins_assignment(text: &[u8]) -> bool {
    let text = &text[text.iter().take_while(|byte| **byte == b' ').count()..];
    let name = text.iter().take_while(|byte| is_name_byte(**byte)).count();
    name > 0 && matches!(text.get(name), Some(b'=' | b':'))
}

/// All up to the line's end or a quote; within an opening quote of its own, up to the closing one.
fn line_from(text: &[u8], start: usize) -> Range<usize> {
    let rest = &text[start..];
    let escapes = rest.iter().take_while(|byte| **byte == b'\\').count();
    if rest.get(escapes).is_some_and(|byte| b"\"'".contains(byte)) {
        return value_from(text, start);
    }
    let end = rest.iter().position(|byte| b"\r\n\"'".contains(byte)).unwrap_or(rest.len());
    start..start + trim_end(&rest[..end], b" \t\\").len()
}

fn trim_end<'a>(text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let trimmed = text.iter().rev().take_while(|byte| bytes.contains(byte)).count();
    &text[..text.len() - trimmed]
}
