//! What is reported of a death. Pure.

use crate::{capture::event::ProcessId, contract::CrashObject};

/// A crash or incident, ready to be reported.
#[derive(Debug)]
pub struct Report {
    pub object: CrashObject,
    pub cause: &'static str,
    /// With colour.
    pub text: String,
    /// The process of an incident.
    pub process: Option<ProcessId>,
    /// A line is written of it: a crash, or what became of one that was reported before.
    pub is_line: bool,
}
