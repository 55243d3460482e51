//! The report as an aligned table for people. It must not judge.

use super::check::{Check, Report, State};
use crate::render::Style;

/// One line for each check, below it what a lack costs and how to mend it; a summary at the end.
pub fn text(report: &Report, style: Style) -> String {
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (index, check) in report.checks.iter().enumerate() {
        out.push_str(&format!(
            "{}  {:<width$}  {}\n",
            painted(check.state, style),
            check.name,
            check.found
        ));
        // What several checks lack for one reason is told once, after the last of them.
        if report.checks.get(index + 1).is_none_or(|next| lack(next) != lack(check)) {
            lack_lines(check, width, &mut out);
        }
    }
    out.push('\n');
    out.push_str(&summary(report));
    out
}

fn lack(check: &Check) -> (State, &str, &str, &str) {
    (check.state, &check.found, &check.cost, &check.remedy)
}

fn lack_lines(check: &Check, width: usize, out: &mut String) {
    let indent = " ".repeat(WORD + 2 + width + 2);
    for (label, text) in [("costs", &check.cost), ("mend ", &check.remedy)] {
        if !text.is_empty() {
            out.push_str(&format!("{indent}{label}  {text}\n"));
        }
    }
}

/// Width of the longest word for a state.
const WORD: usize = 8;

fn painted(state: State, style: Style) -> String {
    let (word, code) = match state {
        State::Ok => ("ok", "32"),
        State::Degraded => ("degraded", "33"),
        State::Missing => ("missing", "1;31"),
    };
    match style {
        Style::Plain => format!("{word:<WORD$}"),
        Style::Coloured => format!("\x1b[{code}m{word:<WORD$}\x1b[0m"),
    }
}

fn summary(report: &Report) -> String {
    let (degraded, missing) = (report.count(State::Degraded), report.count(State::Missing));
    match (missing, degraded) {
        (0, 0) => "Everything works.\n".to_owned(),
        (0, _) => format!("All that is required works; {degraded} degraded.\n"),
        (_, 0) => format!("tracer cannot work here: {missing} missing.\n"),
        _ => format!("tracer cannot work here: {missing} missing, {degraded} degraded.\n"),
    }
}
