//! What was seen of the machine, before it is judged: plain data. It must not do I/O.

use std::path::PathBuf;

use serde::Deserialize;

use crate::node::health::{Pins, Recorder, Store};

/// Everything that [`super::judge::judge`] needs. An `Err` holds the reason, in one line.
#[derive(Clone, Debug)]
pub struct Sight {
    /// `uname -r` and `uname -m`.
    pub release: String,
    pub machine: String,
    pub euid: u32,
    /// Whether our user namespace is the initial one, by the size of its id map.
    pub initial_user_namespace: Result<bool, String>,
    /// The mask of effective capabilities.
    pub capabilities: Result<u64, String>,
    /// The mode between brackets of /sys/kernel/security/lockdown.
    pub lockdown: Result<String, String>,
    /// Indexes into `tracer_ebpf::offsets::MEMBERS` that this kernel lacks.
    pub missing_members: Result<Vec<usize>, String>,
    /// SHA-256 of the embedded object; `None` for a stub.
    pub object: Option<String>,
    pub cgroups: Cgroups,
    /// Whether a cgroup of our own could be made.
    pub own_cgroup: Result<(), String>,
    /// Whether the object's maps, ring buffers among them, could be created.
    pub maps: Result<(), String>,
    /// Each hook, loaded and attached alone; empty where the maps could not be created.
    pub hooks: Vec<(&'static str, Result<(), String>)>,
    /// Whether a record came through the ring buffer, with all hooks attached; `None` where that was not tried.
    pub record: Option<Result<bool, String>>,
    /// Whether our pid namespace is the initial one.
    pub initial_pid_namespace: Result<bool, String>,
    /// Where tracefs is mounted.
    pub tracefs: Option<PathBuf>,
    pub core_pattern: Result<String, String>,
    /// Container runtimes that were found.
    pub runtimes: Vec<PathBuf>,
    /// The agent that runs here; `None` where none listens at its socket.
    pub agent: Result<Option<Agent>, String>,
}

/// What a running agent says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Agent {
    pub version: String,
    /// What keeps it from being ready.
    pub lacks: Vec<String>,
    pub recorder: Recorder,
    /// Not said by older agents.
    #[serde(default)]
    pub pins: Pins,
    pub store: Store,
}

/// The cgroup hierarchies.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// Where version 2 is mounted.
    pub unified: Option<PathBuf>,
    /// Whether any version 1 hierarchy with a controller is mounted.
    pub legacy: bool,
    /// The hierarchy by which containers are told apart.
    pub chosen: Result<PathBuf, String>,
    /// Where the memory controller is.
    pub memory: Option<PathBuf>,
}
