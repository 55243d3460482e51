//! Timelines and verdicts as people and programs read them. It must not decide anything, do I/O or
//! know the clock: boot times become wall-clock times by the offset that the facts hold.

pub mod explain;
mod html;
pub mod text;

#[cfg(test)]
pub(crate) mod samples;

pub use html::crash_page;
pub use text::{Detail, Style, crash_text, gap_of, in_one_line, printable, who, without_colour};
