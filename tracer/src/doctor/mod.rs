//! `tracer doctor`: what this kernel and these permissions allow, what each lack costs, how to mend it.
//! It must not change anything that outlives it.

mod capabilities;
mod check;
mod hooks;
mod judge;
mod look;
mod members;
mod sight;
mod table;

#[cfg(test)]
mod samples;

pub use check::{Check, Report, State};

use std::io::{self, IsTerminal, Write};

use anyhow::Context;

use crate::{exec::Format, render::Style};

/// Exit code where something required is missing.
const REQUIRED_MISSING: u8 = 1;
/// Exit code of `tracer doctor` for its own failures.
pub const OWN_FAILURE: u8 = 2;

/// Looks at everything, prints the report to stdout and returns the exit code.
///
/// # Errors
/// The report cannot be written; a reader that has gone is no error.
pub fn run(format: Format) -> anyhow::Result<u8> {
    let report = Report { checks: judge::judge(&look::look()) };
    let text = match format {
        Format::Text => table::text(&report, style()),
        Format::Json => serde_json::to_string(&report.document())? + "\n",
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(error).context("cannot write to stdout");
        }
        Ok(()) | Err(_) => {}
    }
    Ok(if report.ok() { 0 } else { REQUIRED_MISSING })
}

/// Colour on a terminal, unless NO_COLOR is set to anything (no-color.org).
fn style() -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !refused { Style::Coloured } else { Style::Plain }
}
