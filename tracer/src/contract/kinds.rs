//! What each kind of timeline entry tells (docs/events.md).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    exit_status::ExitStatus,
    network::Network,
    process::{Process, is_false},
    text::length,
};

/// A successful exec; the process has its executable and arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    pub capabilities_effective: String,
    /// Inode numbers.
    pub mount_namespace: u32,
    pub network_namespace: u32,
}

/// An execve or execveat that returned an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecFailed {
    /// `ENOENT`; `errno N` for a number that Linux does not name.
    pub errno: String,
    pub file: File,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_args_b64: Option<Vec<String>>,
    pub command_args: Vec<String>,
    pub args_truncated: bool,
    /// Descriptor that the path starts from; `None` for the working directory.
    pub directory_fd: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_b64: Option<String>,
    /// As the program gave it, maybe relative; of a descriptor from the root of its mount namespace.
    pub path: String,
    /// A given path lacks its end, a descriptor's its beginning.
    pub truncated: bool,
    /// The call named the file by an open descriptor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_descriptor: Option<bool>,
}

/// A new process: the entry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    pub forker_pid: u32,
}

/// A process that ran already when the tracer came: the entry's, at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub found_time: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_args_b64: Option<Vec<String>>,
    pub command_args: Vec<String>,
    pub file: File,
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub exit: ExitStatus,
    pub limits: Limits,
    /// `None` where the recorder was off.
    pub written_bytes: Option<Written>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub working_directory_b64: Option<String>,
    /// `None` where it could not be read.
    pub working_directory: Option<String>,
    /// Of its memory cgroup; `None` where this kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capabilities_bounding: Option<String>,
    pub max_rss_bytes: u64,
    pub failed_calls: u32,
    pub forks: u32,
    pub capabilities_effective: String,
    /// The flight recorder was on from its first exec.
    pub recorded: bool,
    pub user_time_ns: u64,
    pub system_time_ns: u64,
}

/// Soft limits, `None` for infinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub processes: Option<u64>,
    pub address_space_bytes: Option<u64>,
    pub core_bytes: Option<u64>,
    /// Recordings of older programs lack them.
    #[serde(flatten)]
    pub more: Option<MoreLimits>,
}

/// All of them are there, or none: one that is left out is no infinity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoreLimits {
    #[serde(deserialize_with = "Option::deserialize")]
    pub locked_memory_bytes: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub file_size_bytes: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub cpu_seconds: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub stack_bytes: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub data_bytes: Option<u64>,
}

/// Bytes ever written to descriptors 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub stdout: u64,
    pub stderr: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub peak_bytes: u64,
    /// `None` for none.
    pub limit_bytes: Option<u64>,
}

/// A signal generated for the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// `SIGSEGV`
    pub signal: String,
    /// Name of its si_code: `SI_USER`, `SEGV_MAPERR`.
    pub code: Cow<'static, str>,
    /// The task in whose context it was generated, itself for a fault.
    pub sender: Process,
    pub result: Delivery,
    pub disposition: Disposition,
    /// To the process rather than to one thread.
    pub group: bool,
    /// Of SIGSYS: what was refused.
    pub syscall: Option<Syscall>,
    /// Of a fault.
    pub address: Option<String>,
    /// Of SIGILL: up to 16 bytes from that address on, two digits each.
    pub instruction: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    Delivered,
    /// The kernel dropped it.
    Ignored,
    AlreadyPending,
    Lost,
    #[serde(untagged)]
    Unknown(String),
}

/// How a process meets a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    Default,
    Ignored,
    Handled,
    #[serde(untagged)]
    Unknown(String),
}

/// A system call; its name is `unknown` where this program's table lacks the number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscall {
    pub number: u32,
    pub name: Cow<'static, str>,
}

/// What the threads of the process did at its first SIGTERM or SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threads {
    /// Threads it had, listed or not.
    pub total: u32,
    pub threads: Vec<Thread>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    pub thread_id: u32,
    /// `running`, `waiting`, `uninterruptible`, `stopped`, `dead`, `other`
    pub state: Cow<'static, str>,
    /// The one it is in.
    pub syscall: Option<Syscall>,
}

/// The OOM killer chose the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oom {
    /// The task that asked for memory.
    pub trigger: Process,
    pub total_vm_bytes: u64,
    pub file_bytes: u64,
    pub anon_bytes: u64,
    pub shmem_bytes: u64,
    /// Soft limit, `None` for infinity.
    pub open_files_limit: Option<u64>,
    /// Ever written to descriptors 1 and 2 together; `None` where the recorder was off.
    pub written_bytes: Option<u64>,
    pub oom_score_adj: i32,
    /// The victim's own first, the root last.
    pub memory_cgroups: Vec<MemoryCgroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCgroup {
    pub id: String,
    pub usage_bytes: u64,
    /// `None` for none.
    pub limit_bytes: Option<u64>,
    /// All its processes are killed together.
    pub oom_group: bool,
}

/// bind(2) or listen(2) with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// `bind` or `listen`.
    pub operation: Cow<'static, str>,
    /// `None` where it succeeded.
    pub errno: Option<String>,
    pub fd: i32,
    pub family: Cow<'static, str>,
    /// Local port after the call, 0 for none.
    pub port: u16,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub v6_only: bool,
    /// Inode number.
    pub network_namespace: u32,
    /// The address that bind was given; listen has none.
    pub network: Network,
}

/// A failed system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Count of the process's failed calls, from 1.
    pub seq: u32,
    pub syscall: Syscall,
    /// `None` for a DNS message.
    pub errno: Option<String>,
    /// The first five, as passed.
    pub arguments: Vec<String>,
    /// The call itself succeeded and told of an error: SO_ERROR, a DNS answer.
    pub reported: bool,
    /// How often a call like it had failed before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeats: Option<u32>,
    /// When the first like it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_time: Option<String>,
    /// The same name was opened later, or the same address reached.
    #[serde(skip_serializing_if = "is_false", default)]
    pub made_good: bool,
    /// Another address was reached later, at the same port.
    #[serde(skip_serializing_if = "is_false", default)]
    pub same_port_reached: bool,
    /// Successful opens of the process after it, and connects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opened_later: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connected_later: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<File>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pids_cgroup: Option<PidsCgroup>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dns: Option<Dns>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<Network>,
}

/// Of a refused fork: the pids cgroup that was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidsCgroup {
    pub count: u64,
    pub max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    pub question: Question,
    /// Address of the name server.
    pub server: Option<String>,
    /// `NXDOMAIN`; `None` for a question.
    pub response_code: Option<Cow<'static, str>>,
    pub answer_count: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name_b64: Option<String>,
    /// Without the last dot.
    pub name: String,
}

/// Failed calls of the process that were overwritten by later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsForgotten {
    pub count: u32,
}

/// The last bytes that the process wrote to a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub stream: Stream,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text_b64: Option<String>,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head_b64: Option<String>,
    /// The first bytes of the last burst, where it is longer than what is kept of its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head: Option<String>,
    /// Bytes between head and text that were not kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skipped_bytes: Option<u64>,
    /// Bytes ever written.
    pub total_bytes: u64,
    /// Its descriptor led to /dev/null at every write.
    #[serde(skip_serializing_if = "is_false", default)]
    pub discarded: bool,
}

impl Words {
    /// How many of the bytes that were written are in it.
    pub fn kept_bytes(&self) -> u64 {
        let head = self.head.as_ref().map_or(0, |head| length(self.head_b64.as_deref(), head));
        let kept = head + length(self.text_b64.as_deref(), &self.text);
        u64::try_from(kept).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Any other descriptor of the runtime's init.
    Init,
    #[serde(untagged)]
    Unknown(String),
}

/// A cgroup was made or removed, or a process moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupChange {
    pub change: Change,
    pub cgroup: Cgroup,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Made,
    Removed,
    MovedIn,
    MovedOut,
    #[serde(untagged)]
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    pub id: String,
    /// Depth below the root of its hierarchy.
    pub level: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_b64: Option<String>,
    /// From the root of its hierarchy.
    pub path: String,
}

/// A gap in a life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub of: Of,
    pub count: u64,
}

/// What is missing in a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Process,
    Recorder,
    Container,
    Undecodable,
    Forgotten,
    /// Events that the store could not take in time.
    Store,
    /// Lines that whoever reads them was too slow for.
    Lines,
    /// Records of a kind.
    #[serde(untagged)]
    Records(Cow<'static, str>),
}
