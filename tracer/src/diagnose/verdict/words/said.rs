//! What was kept of one stream, as lines: its head, its tail, and that something between them is lost. It must not know
//! what the lines mean.

/// The bytes of one stream that were kept.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::diagnose::verdict) struct Said<'a> {
    pub head: &'a [u8],
    pub tail: &'a [u8],
    /// Bytes between the two that nobody kept.
    pub lost_between: u64,
    /// More was said before the head.
    pub cut_before: bool,
}

/// One line, without its end and without colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) struct Line {
    pub text: String,
    /// Its beginning is lost.
    pub cut: bool,
}

impl<'a> Said<'a> {
    /// Only the end of what was said.
    #[cfg(test)]
    pub fn tail(tail: &'a [u8], cut_before: bool) -> Self {
        Self { tail, cut_before, ..Self::default() }
    }

    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.lost_between > 0 && !self.head.is_empty() {
            split(self.head, self.cut_before, &mut lines);
            split(self.tail, true, &mut lines);
        } else {
            let cut = self.cut_before || self.lost_between > 0;
            split(&[self.head, self.tail].concat(), cut, &mut lines);
        }
        lines
    }
}

impl Line {
    pub fn trimmed(&self) -> &str {
        self.text.trim()
    }

    pub fn is_blank(&self) -> bool {
        self.trimmed().is_empty()
    }

    pub fn is_indented(&self) -> bool {
        self.text.starts_with([' ', '\t'])
    }
}

fn split(bytes: &[u8], cut: bool, lines: &mut Vec<Line>) {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        lines.push(Line { text: plain(line), cut: cut && number == 0 });
    }
}

/// As text, without the escape sequences that colour it. Tabs stay, since they tell frames.
fn plain(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut coloured = false;
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\u{1b}' => coloured = true,
                // An escape sequence ends with a letter (ECMA-48, 5.4).
                _ if coloured => coloured = !character.is_ascii_alphabetic(),
                '\t' => text.push(character),
                '\r' => {}
                _ if character.is_control() => {}
                _ => text.push(character),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(said: &Said<'_>) -> Vec<String> {
        said.lines().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn head_and_tail_are_lines_of_their_own_where_something_between_is_lost() {
        let said =
            Said { head: b"one\ntw", tail: b"ree\nfour", lost_between: 9, cut_before: false };
        assert_eq!(texts(&said), ["one", "tw", "ree", "four"]);
        assert_eq!(said.lines().iter().filter(|line| line.cut).count(), 1);
        assert_eq!(texts(&Said { lost_between: 0, ..said }), ["one", "twree", "four"]);
    }

    #[test]
    fn colours_are_taken_away() {
        assert_eq!(texts(&Said::tail(b"\x1b[31mERROR\x1b[0m no", false)), ["ERROR no"]);
    }
}
