//! A life as it is stored. It must not know SQL.

use std::fmt;

use crate::{capture::event::ProcessId, contract::ExitStatus, node::identity::Identity};

/// A container instance for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LifeKey {
    /// /proc/sys/kernel/random/boot_id
    pub boot_id: String,
    /// Whole id.
    pub container_id: String,
}

impl fmt::Display for LifeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {} of boot {}", self.container_id, self.boot_id)
    }
}

/// A container instance and what is known of it. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its container id is that of `identity`.
    pub boot_id: String,
    pub identity: Identity,
    pub cgroup_id: u64,
    pub began_ns: i64,
    /// `None` until the main process is known.
    pub main: Option<ProcessId>,
    /// Arguments of the main process's exec; empty until it is known.
    pub command: Vec<String>,
    /// The container's own limit; `None` for no limit, or not known.
    pub memory_limit_bytes: Option<u64>,
    /// `None` while it lasts.
    pub end: Option<End>,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub time_ns: i64,
    pub exit: ExitStatus,
    /// A cause's name; `none` for an end that is no crash.
    pub cause: String,
}

impl Life {
    pub fn key(&self) -> LifeKey {
        LifeKey { boot_id: self.boot_id.clone(), container_id: self.identity.container_id.clone() }
    }
}
