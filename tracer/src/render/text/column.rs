//! The columns of a timeline: marker, index, offset, who, what.

use unicode_width::UnicodeWidthStr as _;

use super::style::{Paint, Style};

pub(super) struct Row {
    /// `7`, or `7-12` of entries that it tells together.
    pub index: String,
    pub offset: String,
    pub who: String,
    /// One line, and those that continue it.
    pub what: Vec<String>,
    pub paint: Paint,
}

/// Rows with their columns aligned.
pub(super) fn rows(rows: &[Row], style: Style) -> String {
    let width = |column: fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or_default();
    let indexes = width(|row| row.index.len());
    let offsets = width(|row| row.offset.len());
    let whos = width(|row| row.who.width());
    let mut out = String::new();
    for row in rows {
        let marker = if row.paint == Paint::Fatal { "▶" } else { " " };
        // What formats a text counts letters, not columns.
        let rest = " ".repeat(whos - row.who.width());
        let aside = format!("{:>indexes$}  {:>offsets$}  {}{rest}", row.index, row.offset, row.who);
        let mut aside = style.paint(Paint::Aside, &aside);
        let mut marker =
            style.paint(if marker == "▶" { Paint::Fatal } else { Paint::Plain }, marker);
        for line in &row.what {
            out.push_str(&format!("{marker} {aside}  {}\n", style.paint(row.paint, line)));
            aside = " ".repeat(indexes + offsets + whos + 4);
            marker = " ".to_owned();
        }
    }
    out
}

/// `+0.003412s`
pub fn offset(offset_ns: i64) -> String {
    let sign = if offset_ns < 0 { '-' } else { '+' };
    let micros = offset_ns.unsigned_abs() / 1000;
    format!("{sign}{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_name_takes_its_columns() {
        let row = |who: &str| Row {
            index: "0".to_owned(),
            offset: "+0.000001s".to_owned(),
            who: who.to_owned(),
            what: vec!["x".to_owned()],
            paint: Paint::Plain,
        };
        let text = rows(&[row("名[1]"), row("app[1]")], Style::Plain);
        let columns: Vec<usize> = text.lines().map(|line| line.width()).collect();
        assert_eq!(columns[0], columns[1], "{text}");
    }

    #[test]
    fn offsets_are_seconds_to_the_microsecond() {
        assert_eq!(offset(3_412_999), "+0.003412s");
        assert_eq!(offset(61_000_000_000), "+61.000000s");
        assert_eq!(offset(-10_000), "-0.000010s");
    }
}
