//! How a process ended, as crashes and entries say it.

use serde::{Deserialize, Serialize};

/// `None` and false where the end was not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExitStatus {
    pub code: Option<u8>,
    /// `SIGSEGV`
    pub signal: Option<String>,
    pub core: bool,
}
