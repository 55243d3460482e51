//! Paragraphs and tables on a terminal, wrapped to its width. It knows nothing of what they say.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Strong,
    Aside,
    Cause,
}

/// The page that everything is printed on: stdout.
#[derive(Debug)]
pub struct Page {
    width: usize,
    coloured: bool,
}

/// A cell: pieces of text, each beginning a line of its own.
pub type Cell = Vec<(Ink, String)>;

/// Between two columns of a table.
pub const GAP: usize = 2;

impl Page {
    pub fn new(no_color: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = io::stdout().is_terminal() && !no_color && !refused;
        Self { width: columns().unwrap_or(100).clamp(72, 120), coloured }
    }

    /// For tables of many columns.
    pub fn wide(no_color: bool) -> Self {
        Self { width: columns().unwrap_or(160).clamp(120, 160), ..Self::new(no_color) }
    }

    pub fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Characters of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    pub fn line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    /// Text, indented and wrapped.
    pub fn paragraph(&self, indent: usize, ink: Ink, text: &str) -> io::Result<()> {
        let margin = " ".repeat(indent);
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{margin}{}", self.inked(ink, &line)))?;
        }
        Ok(())
    }

    /// A table with a rule under its first row and an empty line between the others.
    pub fn table<const COLUMNS: usize>(
        &self,
        rows: &[[Cell; COLUMNS]],
        widths: &[usize; COLUMNS],
    ) -> io::Result<()> {
        for (index, row) in rows.iter().enumerate() {
            self.row(row, widths)?;
            if index == 0 {
                self.line(&"─".repeat(self.width))?;
            } else if index + 1 < rows.len() {
                self.line("")?;
            }
        }
        Ok(())
    }

    fn row<const COLUMNS: usize>(
        &self,
        row: &[Cell; COLUMNS],
        widths: &[usize; COLUMNS],
    ) -> io::Result<()> {
        let wrapped = |(cell, width): (&Cell, &usize)| -> Cell {
            let pieces = cell
                .iter()
                .flat_map(|(ink, text)| wrap(text, *width).into_iter().map(|line| (*ink, line)));
            pieces.collect()
        };
        let cells: Vec<Cell> = row.iter().zip(widths).map(wrapped).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for index in 0..height {
            let mut line = String::new();
            // Padding is due only when something follows.
            let mut due = 0;
            for (cell, width) in cells.iter().zip(widths) {
                if let Some((ink, text)) = cell.get(index).filter(|(_, text)| !text.is_empty()) {
                    line.push_str(&" ".repeat(due));
                    line.push_str(&self.inked(*ink, text));
                    due = width + GAP - text.chars().count();
                } else {
                    due += width + GAP;
                }
            }
            self.line(&line)?;
        }
        Ok(())
    }

    fn inked(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Strong => "1",
            Ink::Aside => "2",
            Ink::Cause => "1;31",
        };
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Columns of the terminal that the page is printed on, if it is one.
fn columns() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(stdout).ok().map(|size| size.ws_col.into())
}

/// Lines of at most `width` characters, broken at spaces, or anywhere in a word that is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut length = 0;
        for word in paragraph.split_whitespace().flat_map(|word| cut(word, width)) {
            let word_length = word.chars().count();
            if length > 0 && length + 1 + word_length > width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(&word);
            length += word_length;
        }
        lines.push(line);
    }
    lines
}

fn cut(word: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    characters.chunks(width.max(1)).map(|chunk| chunk.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("/very/long/path", 6), ["/very/", "long/p", "ath"]);
        assert_eq!(wrap("a\nb", 9), ["a", "b"]);
    }
}
