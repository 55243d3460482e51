//! Timelines and verdicts as people and programs read them. It must not decide anything, do I/O or
//! know the clock: boot times become wall-clock times by the offset that the facts hold.

pub mod json;
pub mod names;
pub mod text;
mod time;

#[cfg(test)]
mod samples;

pub use json::crash_object;
pub use text::{Detail, Style, crash_text, timeline_text, verdict_text};
