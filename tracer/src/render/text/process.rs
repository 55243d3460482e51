//! A process in a line.

use super::style::printable;
use crate::contract::Process;

/// `app[4242]`
pub(super) fn named(process: &Process) -> String {
    let comm = process.comm.as_deref().unwrap_or("?");
    printable(&format!("{comm}[{}]", process.pid))
}
