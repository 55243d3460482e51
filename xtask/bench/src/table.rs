//! Rows of figures, each beside its target: as text, as Markdown, as JSON. It is pure, and knows no
//! benchmark.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::sample::Sample;

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    pub what: String,
    pub value: f64,
    pub unit: Unit,
    /// How far half of the rounds were from the value at most.
    pub spread: Option<f64>,
    /// What it was compared with, in the same run.
    pub beside: String,
    pub target: Option<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Percent,
    /// A ratio.
    Times,
    Bytes,
    /// 2^20 bytes.
    Mebibytes,
    /// A number of things.
    Count,
    PerSecond,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

/// Rows under one heading.
#[derive(Debug, Clone)]
pub struct Section {
    pub name: &'static str,
    pub rows: Vec<Row>,
}

impl Row {
    pub fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        let what = what.into();
        Self { what, value, unit, spread: None, beside: String::new(), target: None }
    }

    /// The median of a sample, with its spread.
    pub fn median(what: impl Into<String>, sample: &Sample, unit: Unit) -> Self {
        let spread = (sample.len() > 1).then(|| sample.spread());
        Self { spread, ..Self::new(what, sample.median(), unit) }
    }

    #[must_use]
    pub fn beside(mut self, beside: impl Into<String>) -> Self {
        self.beside = beside.into();
        self
    }

    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// `None` without a target. What could not be measured misses it.
    pub fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::Below(bound) => self.value < bound,
        })
    }

    /// The rounds differ by more than lies between the figure and its target.
    fn is_within_spread(&self) -> bool {
        let distance = self.target.map(|target| match target {
            Target::AtMost(bound) | Target::AtLeast(bound) | Target::Below(bound) => {
                (self.value - bound).abs()
            }
        });
        matches!((distance, self.spread), (Some(distance), Some(spread)) if distance < spread)
    }

    fn cells(&self) -> [String; 5] {
        let mut value = self.unit.show(self.value);
        if let Some(spread) = self.spread {
            let _ = write!(value, " ± {}", number(spread));
        }
        let target = match self.target {
            None => String::new(),
            Some(Target::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
            Some(Target::AtLeast(least)) => format!("≥ {}", self.unit.show(least)),
            Some(Target::Below(bound)) => format!("< {}", self.unit.show(bound)),
        };
        let result = match (self.met(), self.is_within_spread()) {
            (None, _) => "",
            (Some(true), false) => "pass",
            (Some(false), false) => "miss",
            (Some(true), true) => "pass, within the spread",
            (Some(false), true) => "miss, within the spread",
        };
        [self.what.clone(), value, self.beside.clone(), target, result.to_owned()]
    }

    fn json(&self, section: &str) -> Value {
        let target = self.target.map(|target| match target {
            Target::AtMost(most) => json!({ "at_most": most }),
            Target::AtLeast(least) => json!({ "at_least": least }),
            Target::Below(bound) => json!({ "below": bound }),
        });
        json!({
            "section": section, "what": self.what, "value": self.value, "unit": self.unit.name(),
            "spread": self.spread, "beside": self.beside, "target": target, "met": self.met(),
        })
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Percent => "%",
            Self::Times => "times",
            Self::Bytes => "B",
            Self::Mebibytes => "MiB",
            Self::Count => "",
            Self::PerSecond => "/s",
        }
    }

    pub fn show(self, value: f64) -> String {
        format!("{} {}", number(value), self.name()).trim_end().to_owned()
    }
}

/// Three digits that matter, and no more.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        ..10.0 if value.fract() != 0.0 => 2,
        10.0..100.0 if value.fract() != 0.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

const HEADINGS: [&str; 5] = ["what", "measured", "beside", "target", "result"];

/// A table for a terminal.
pub fn text(sections: &[Section]) -> String {
    let cells = |section: &Section| section.rows.iter().map(Row::cells).collect::<Vec<_>>();
    let mut widths = HEADINGS.map(|heading| heading.chars().count());
    for row in sections.iter().flat_map(cells) {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &[String; 5]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(&HEADINGS.map(str::to_owned));
    for section in sections {
        line(&Default::default());
        line(&[
            section.name.to_uppercase(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
        cells(section).iter().for_each(&mut line);
    }
    text
}

pub fn markdown(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        let _ = writeln!(text, "### {}\n\n| {} |", section.name, HEADINGS.join(" | "));
        let _ = writeln!(text, "|---|---|---|---|---|");
        for row in &section.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push('\n');
    }
    text
}

pub fn json(sections: &[Section]) -> Value {
    let rows =
        sections.iter().flat_map(|section| section.rows.iter().map(|row| row.json(section.name)));
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> [Section; 1] {
        let rounds: Sample = [9.0, 12.25, 15.0].into_iter().collect();
        let rows = vec![
            Row::median("getppid", &rounds, Unit::Nanoseconds)
                .beside("floor 117 ns")
                .target(Target::AtMost(10.0)),
            Row::new("strace", 240.0, Unit::Times).target(Target::AtLeast(20.0)),
            Row::new("calls", 1e6, Unit::PerSecond),
        ];
        [Section { name: "calls", rows }]
    }

    #[test]
    fn each_row_says_whether_it_meets_its_target() {
        let met: Vec<_> = section()[0].rows.iter().map(Row::met).collect();
        assert_eq!(met, [Some(false), Some(true), None]);
    }

    #[test]
    fn what_could_not_be_measured_misses_its_target() {
        let row = Row::median("x", &Sample::default(), Unit::Percent).target(Target::Below(5.0));
        assert_eq!(row.met(), Some(false));
    }

    #[test]
    fn a_table_is_the_same_in_markdown_and_on_a_terminal() {
        let markdown = markdown(&section());
        assert!(
            markdown.contains(
                "| getppid | 12.2 ns ± 2.75 | floor 117 ns | ≤ 10 ns | miss, within the spread |\n"
            ),
            "{markdown}"
        );
        assert!(markdown.contains("| strace | 240 times |  | ≥ 20 times | pass |"), "{markdown}");
        let text = text(&section());
        assert!(text.contains("calls    1000000 /s\n"), "{text}");
    }

    #[test]
    fn json_has_numbers_and_not_their_texts() {
        let json = json(&section());
        assert_eq!(json[0]["value"], 12.25);
        assert_eq!(json[0]["target"]["at_most"], 10.0);
        assert_eq!(json[2]["met"], Value::Null);
    }
}
