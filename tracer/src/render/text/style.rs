//! Colours, and text that is safe to print.

use std::fmt::Write;

/// Plain text, or ANSI colours for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    /// Index, offset and who.
    Aside,
    /// A failed call: most are harmless.
    Failed,
    Bad,
    Fatal,
    Words,
    Gap,
}

impl Style {
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Aside => "2",
            Paint::Failed => "33",
            Paint::Bad => "31",
            Paint::Fatal => "1;31",
            Paint::Words => "36",
            Paint::Gap => "35",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// `text` with what could steer a terminal or turn the direction of reading escaped.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || turns_direction(character) {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// `text` of ours, which has no other escape sequences, without its colours.
pub fn without_colour(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out
}

/// Bidirectional formatting and line separators (Unicode category Cf, Zl, Zp) are no control
/// characters, but can make a line read as another.
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// In quotes, those within escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text).replace('"', "\\\""))
}

/// As a word of a command line: in quotes where it has anything but the plainest characters.
pub(super) fn word(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+[]".contains(byte);
    if !text.is_empty() && text.as_bytes().iter().all(plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_can_be_taken_off() {
        let coloured = Style::Coloured.paint(Paint::Fatal, "main")
            + " m "
            + &Style::Coloured.paint(Paint::Gap, "x");
        assert_eq!(without_colour(&coloured), "main m x");
        assert_eq!(without_colour("plain"), "plain");
    }

    #[test]
    fn words_are_quoted_where_they_must_be() {
        let check = |text: &str, expected| assert_eq!(word(text), expected);
        check("--config=/etc/app.yml", "--config=/etc/app.yml");
        check("two words", "\"two words\"");
        check("", "\"\"");
        check("say \"hi\"\n", "\"say \\\"hi\\\"\\n\"");
    }
}
