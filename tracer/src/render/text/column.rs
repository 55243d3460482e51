//! The columns of a timeline: marker, index, offset, who, what.

use super::style::{Paint, Style, printable, shown};
use crate::event::{BootNs, Event, What};

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
    let whos = width(|row| row.who.chars().count());
    let mut out = String::new();
    for row in rows {
        let marker = if row.paint == Paint::Fatal { "▶" } else { " " };
        let aside =
            format!("{:>indexes$}  {:>offsets$}  {:<whos$}", row.index, row.offset, row.who);
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
pub(super) fn offset(time_ns: BootNs, began_ns: BootNs) -> String {
    let sign = if time_ns < began_ns { '-' } else { '+' };
    let micros = time_ns.abs_diff(began_ns) / 1000;
    format!("{sign}{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
}

/// `app[4242]`, pid of the initial namespace; nobody for what no process did.
pub(super) fn who(event: &Event) -> String {
    match &event.what {
        What::Lost(_) => "-".to_owned(),
        What::Exec(_)
        | What::ExecFailed(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Exit(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::Bind(_)
        | What::Call(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Cgroup(_) => {
            printable(&format!("{}[{}]", shown(&event.process.comm), event.process.id.pid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_seconds_to_the_microsecond() {
        assert_eq!(offset(3_412_999, 0), "+0.003412s");
        assert_eq!(offset(61_000_000_000, 0), "+61.000000s");
        assert_eq!(offset(0, 10_000), "-0.000010s");
    }
}
