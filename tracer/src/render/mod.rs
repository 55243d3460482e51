//! Crashes and their entries as people read them. It must not decide anything, do I/O or
//! know the clock.

pub mod explain;
mod html;
pub mod text;

#[cfg(test)]
pub(crate) mod samples;

pub use html::crash_page;
pub use text::{Detail, Style, crash_text, gap_of, in_one_line, printable, who, without_colour};
