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

use std::{ops::ControlFlow, path::Path};

use crate::{
    cli::terminal::{print, style},
    exec::Format,
};

/// Exit code where something required is missing.
const REQUIRED_MISSING: u8 = 1;
/// Exit code of `tracer doctor` for its own failures.
pub const OWN_FAILURE: u8 = 2;

/// Looks at everything, the agent at `socket` included, prints the report to stdout and returns the exit code.
///
/// # Errors
/// The report cannot be written; a reader that has gone is no error.
pub fn run(format: Format, socket: &Path) -> anyhow::Result<u8> {
    let report = Report { checks: judge::judge(&look::look(socket)) };
    let text = match format {
        Format::Text => table::text(&report, style()),
        Format::Json => serde_json::to_string(&report.document())? + "\n",
    };
    // A reader that has gone has its answer all the same.
    let _: ControlFlow<()> = print(&text)?;
    Ok(if report.ok() { 0 } else { REQUIRED_MISSING })
}
