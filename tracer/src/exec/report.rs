//! Prints why the command ended.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
};

use anyhow::Context;

use super::{Format, Job, Recording};
use crate::{
    cli::terminal::style_on,
    contract::crash_object,
    diagnose::verdict::{Cause, verdict},
    render::{Detail, crash_text},
};

/// Prints timeline and verdict as the job wants them.
///
/// # Errors
/// The output cannot be written; a reader that has gone is no error.
pub fn print(job: &Job, id: &str, recording: &Recording) -> anyhow::Result<()> {
    let (timeline, facts) = (&recording.timeline, &recording.facts);
    let verdict = verdict(timeline, facts, &job.terms);
    let to_terminal = job.output_file.is_none() && io::stderr().is_terminal();
    let text = match job.format {
        // Nothing is to be explained, and nothing advised.
        Format::Text if verdict.cause == Cause::None && job.detail == Detail::Folded => {
            format!("tracer: {}\n", verdict.summary)
        }
        Format::Text => {
            let object = crash_object(id, timeline, facts, &verdict);
            crash_text(&object, style_on(to_terminal), job.detail)
        }
        Format::Json => serde_json::to_string(&crash_object(id, timeline, facts, &verdict))? + "\n",
    };
    let (written, to) = match (&job.output_file, job.format) {
        (Some(path), _) => {
            let file =
                File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            (write(file, &text), path.display().to_string())
        }
        (None, Format::Text) => (write(io::stderr(), &text), "stderr".to_owned()),
        (None, Format::Json) => (write(io::stdout(), &text), "stdout".to_owned()),
    };
    written.with_context(|| format!("cannot write to {to}"))
}

fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
