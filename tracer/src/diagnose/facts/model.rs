//! What was looked up about a life: plain data, stored beside recorded crashes. It must not do I/O.

use serde::{Deserialize, Serialize};

use crate::linux::text::Text;

/// Everything looked up about one life. Empty fields mean: not looked up, or nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub machine: Machine,
    /// One for each failed exec, and one for the main executable.
    pub executables: Vec<Executable>,
    /// One for each path of a failed call that a rule may blame.
    pub paths: Vec<PathFact>,
    /// One for each bind that failed with EADDRINUSE.
    pub ports: Vec<PortFact>,
    pub memory: Vec<MemoryCgroup>,
    pub pids: Vec<PidsCgroup>,
    /// What the dynamic loader would find for the main executable.
    pub loader: Option<LoaderReport>,
    /// Mount points of the life's mount namespace.
    pub mounts: Vec<Mount>,
    /// Processes that sent signals and runtimes that were seen: pid to what it is.
    pub senders: Vec<SenderFact>,
    /// Where processes listened when they were first told to stop from outside.
    pub listeners: Vec<Listeners>,
    /// What the container runtime itself said of the end, where it was asked.
    pub runtime_message: Option<String>,
    /// Addresses of the `nameserver` lines in the life's /etc/resolv.conf, looked up where it sent DNS messages.
    pub name_servers: Vec<String>,
    /// Domains of the `search` line beside them.
    pub search_domains: Vec<Text>,
    /// One for each file whose lock was refused.
    pub locks: Vec<LockFact>,
    /// What the user of a process that was refused a watch has in use.
    pub watches: Option<WatchFact>,
    /// What could not be looked up, and why.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// `uname -r`
    pub kernel: String,
    /// `x86_64`, `aarch64`
    pub arch: String,
    /// CLOCK_REALTIME minus CLOCK_BOOTTIME, in nanoseconds.
    pub boot_offset_ns: i64,
    /// /proc/sys/kernel/threads-max, pid_max
    pub threads_max: Option<u64>,
    pub pid_max: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Those flags of /proc/cpuinfo by which the levels of x86-64 are told apart; `None` on other machines.
    pub cpu_flags: Option<Vec<String>>,
}

/// A file that was, or should have been, executed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Executable {
    /// As given to execve, and as an absolute path in the container where that differs.
    pub path: Text,
    pub resolved: Option<Text>,
    pub pid: u32,
    pub file: FileState,
    pub kind: ExecutableKind,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutableKind {
    #[default]
    Unknown,
    Elf {
        /// `x86-64`, `aarch64`, ... and whether this kernel runs it.
        machine: String,
        native: bool,
        /// PT_INTERP and what is there.
        interpreter: Option<Text>,
        interpreter_file: Option<FileState>,
    },
    Script {
        /// The interpreter as the kernel reads it from the shebang line (a CR kept).
        interpreter: Text,
        argument: Option<Text>,
        interpreter_file: FileState,
    },
    /// Neither ELF nor shebang: its first bytes.
    Other {
        first_bytes: Text,
    },
    Empty,
}

/// What is at a path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    #[default]
    Unknown,
    /// The longest prefix that exists; the next component is missing.
    Missing { existing_prefix: Text },
    Present {
        /// `regular`, `directory`, `symlink`, `fifo`, `socket`, `character_device`, `block_device`
        file_type: String,
        /// Permission bits, e.g. 0o600.
        mode: u32,
        uid: u32,
        gid: u32,
        size_bytes: u64,
    },
    /// It could not be looked at: error name.
    Unreadable { reason: String },
}

/// A path that a failed call named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathFact {
    pub path: Text,
    /// Absolute, in the container.
    pub resolved: Text,
    pub file: FileState,
    /// Directories on the way, from the root: path, mode, uid, gid.
    pub parents: Vec<(Text, u32, u32, u32)>,
    pub mount: Option<Mount>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    pub mount_point: Text,
    pub fs_type: String,
    pub source: Text,
    pub read_only: bool,
    pub noexec: bool,
    /// Device files there cannot be opened.
    pub nodev: bool,
    /// From statvfs: bytes in all and still free to the unprivileged; inodes likewise.
    pub size_bytes: Option<u64>,
    pub free_bytes: Option<u64>,
    pub free_inodes: Option<u64>,
}

/// Who holds an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortFact {
    /// `tcp`, `tcp6`, `udp`, `udp6`
    pub protocol: String,
    pub port: u16,
    pub net_ns: u32,
    pub holders: Vec<Holder>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Local address of the holding socket, `0.0.0.0:9443`.
    pub address: String,
    /// Whom it talks with, of one that does not listen.
    pub peer: Option<String>,
    /// In the initial pid namespace as far as the agent sees; `None` if no process was found.
    pub pid: Option<u32>,
    pub comm: Text,
    pub command: Text,
}

/// A file whose lock was refused, and who holds locks on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockFact {
    /// As the failed call had it.
    pub path: Text,
    pub holders: Vec<LockHolder>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockHolder {
    /// As the agent sees it; `None` where the kernel names nobody.
    pub pid: Option<u32>,
    pub comm: Text,
    pub command: Text,
}

/// Use of inotify by one user, on the whole node, and its limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchFact {
    pub uid: u32,
    /// As far as the agent sees, after the end of the process that was refused.
    pub instances: u64,
    pub watches: u64,
    /// /proc/sys/fs/inotify/max_user_instances, max_user_watches
    pub max_instances: Option<u64>,
    pub max_watches: Option<u64>,
    /// The search for it came to its end.
    pub complete: bool,
    /// Those with most of it, the greatest first.
    pub holders: Vec<WatchHolder>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchHolder {
    pub pid: u32,
    pub comm: Text,
    pub instances: u64,
    pub watches: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryCgroup {
    /// cgroup id and path below the controller's root.
    pub id: u64,
    pub path: Text,
    pub limit_bytes: Option<u64>,
    pub usage_bytes: Option<u64>,
    pub failures: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsCgroup {
    pub path: Text,
    pub max: Option<u64>,
    pub current: Option<u64>,
    /// Times a fork was refused (pids.events max), and whether it counted up during this life.
    pub refused: Option<u64>,
}

/// Result of looking for the main executable's libraries as its loader would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoaderReport {
    pub executable: Text,
    pub interpreter: Text,
    /// Libraries that are nowhere: name, the file that needs it, folders searched.
    pub missing: Vec<MissingLibrary>,
    /// Symbol versions that the library found does not define.
    pub versions: Vec<MissingVersion>,
    /// Names of the libraries that were found, the executable's own and those that they need.
    pub found: Vec<Text>,
    /// Undefined symbols that no library defines (musl has no versions).
    pub symbols: Vec<MissingSymbol>,
    /// Files that need more of the processor than every x86-64 has.
    pub processor: Vec<NeededProcessor>,
}

/// GNU_PROPERTY_X86_ISA_1_NEEDED of a file (x86-64 psABI, "Program Property"): a bit for each level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NeededProcessor {
    pub file: Text,
    pub levels: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MissingLibrary {
    pub name: Text,
    pub needed_by: Text,
    pub searched: Vec<Text>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MissingVersion {
    pub version: Text,
    pub library: Text,
    pub library_path: Text,
    pub needed_by: Text,
    /// Highest version of the same family that the library defines.
    pub highest: Option<Text>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MissingSymbol {
    pub symbol: Text,
    pub needed_by: Text,
}

/// Open sockets of a process that wait for others: ports of TCP listeners and of UDP sockets without a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listeners {
    pub pid: u32,
    pub tcp: Vec<u16>,
    pub udp: Vec<u16>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SenderFact {
    pub pid: u32,
    pub command: Text,
}
