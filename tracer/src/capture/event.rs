//! Events: decoded records. It must not know bytes, containers' names or Kubernetes.

use std::net::{IpAddr, SocketAddr};

use crate::linux::{
    errno::Errno,
    signal::{Signal, SignalCode},
    text::Text,
};

/// Nanoseconds of CLOCK_BOOTTIME.
pub type BootNs = u64;

/// A process for ever: pids are used again, a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// In the initial pid namespace.
    pub pid: u32,
    pub start_ns: BootNs,
}

/// One process as the kernel knew it when the event happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub id: ProcessId,
    pub tid: u32,
    /// Its pid in its own pid namespace (in the container).
    pub container_pid: u32,
    /// Its pid in the agent's pid namespace, for /proc; `None` where it is not visible.
    pub agent_pid: Option<u32>,
    pub parent_pid: u32,
    /// Effective user and group id, initial user namespace.
    pub uid: u32,
    pub gid: u32,
    /// cgroup id it belongs to now.
    pub cgroup: u64,
    /// inum of its pid namespace.
    pub pid_ns: u32,
    /// A seccomp filter is on.
    pub seccomp: bool,
    pub comm: Text,
    pub tracked: bool,
    /// It came into the container from outside.
    pub root: bool,
    /// It has not exec'd since it came in.
    pub runtime_init: bool,
    pub kernel_thread: bool,
    /// Of a signal's sender: its cgroup is below a watched root; `None` where nobody looked.
    pub below_root: Option<bool>,
    /// Of a signal's sender: it sees files as the agent does, and its pid namespace lies around the target's; `None` where
    /// nobody looked.
    pub above: Option<bool>,
}

/// Something that happened to a process of a tracked container.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub time_ns: BootNs,
    /// The tracked cgroup.
    pub cgroup: u64,
    pub process: Process,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Exec(Exec),
    ExecFailed(ExecFailed),
    Fork(Fork),
    Exit(Exit),
    Signal(SignalEvent),
    Threads(Threads),
    Oom(Oom),
    Bind(Bind),
    Call(Call),
    /// How many failed calls of this process are no longer known.
    CallsForgotten(u32),
    Words(Words),
    Cgroup(CgroupChange),
    Lost(Lost),
    Found(Found),
}

/// What happened, for those who look for one kind of event; `None` where it is of another.
impl Event {
    pub fn exec(&self) -> Option<&Exec> {
        let What::Exec(exec) = &self.what else { return None };
        Some(exec)
    }

    /// Path and arguments of the program that it tells of: one that was run, or that was found running.
    pub fn program(&self) -> Option<(&Text, &[Text])> {
        match &self.what {
            What::Exec(exec) => Some((&exec.path, &exec.args)),
            What::Found(found) => Some((&found.path, &found.args)),
            What::ExecFailed(_)
            | What::Fork(_)
            | What::Exit(_)
            | What::Signal(_)
            | What::Threads(_)
            | What::Oom(_)
            | What::Bind(_)
            | What::Call(_)
            | What::CallsForgotten(_)
            | What::Words(_)
            | What::Cgroup(_)
            | What::Lost(_) => None,
        }
    }

    pub fn exec_failed(&self) -> Option<&ExecFailed> {
        let What::ExecFailed(failed) = &self.what else { return None };
        Some(failed)
    }

    pub fn exit(&self) -> Option<&Exit> {
        let What::Exit(exit) = &self.what else { return None };
        Some(exit)
    }

    pub fn signal(&self) -> Option<&SignalEvent> {
        let What::Signal(signal) = &self.what else { return None };
        Some(signal)
    }

    pub fn threads(&self) -> Option<&Threads> {
        let What::Threads(threads) = &self.what else { return None };
        Some(threads)
    }

    pub fn oom(&self) -> Option<&Oom> {
        let What::Oom(oom) = &self.what else { return None };
        Some(oom)
    }

    pub fn bind(&self) -> Option<&Bind> {
        let What::Bind(bind) = &self.what else { return None };
        Some(bind)
    }

    pub fn call(&self) -> Option<&Call> {
        let What::Call(call) = &self.what else { return None };
        Some(call)
    }

    pub fn words(&self) -> Option<&Words> {
        let What::Words(words) = &self.what else { return None };
        Some(words)
    }

    pub fn lost(&self) -> Option<&Lost> {
        let What::Lost(lost) = &self.what else { return None };
        Some(lost)
    }
}

/// A successful exec.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub path: Text,
    /// Arguments that were kept (4 KiB of them).
    pub args: Vec<Text>,
    pub args_truncated: bool,
    /// Bytes of the whole argv.
    pub args_length: u64,
    pub cap_effective: u64,
    pub mount_ns: u32,
    pub net_ns: u32,
    pub device: u32,
    pub inode: u64,
}

/// An execve or execveat that returned an error.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecFailed {
    pub errno: Errno,
    /// As the program gave it, maybe relative.
    pub path: Text,
    pub path_truncated: bool,
    pub args: Vec<Text>,
    pub args_truncated: bool,
    /// Directory descriptor of execveat; `None` for the working directory.
    pub dirfd: Option<i32>,
}

/// The event's process is the child.
#[derive(Clone, Debug, PartialEq)]
pub struct Fork {
    pub forker_pid: u32,
}

/// It ran already when its container came to be tracked; the event's time is its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// When it was found.
    pub found_ns: BootNs,
    /// Its program and arguments by then, from /proc; empty where it had ended.
    pub path: Text,
    pub args: Vec<Text>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Exit code, 0 to 255, unless a signal ended it.
    pub code: Option<u8>,
    pub signal: Option<Signal>,
    /// The kernel wrote a core dump (or piped it).
    pub core: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    pub status: Status,
    pub cwd: Option<Text>,
    /// Soft limits, `None` for infinity.
    pub limits: Limits,
    pub max_rss_bytes: u64,
    /// Bytes ever written to stdout and stderr; `None` if the recorder was off.
    pub written: Option<[u64; 2]>,
    pub failed_calls: u32,
    pub forks: u32,
    pub cap_effective: u64,
    /// The recorder was on from its birth.
    pub recorded: bool,
    pub user_time_ns: u64,
    pub system_time_ns: u64,
    /// Of its memory cgroup; `None` where that is not known.
    pub memory: Option<MemoryUse>,
    /// `None` where they are not recorded.
    pub more_limits: Option<MoreLimits>,
    /// Bounding set of capabilities; `None` where it is not recorded.
    pub cap_bounding: Option<u64>,
}

/// What a memory cgroup had used at most, and may use; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    pub peak_bytes: u64,
    pub limit_bytes: Option<u64>,
}

/// Further soft limits, `None` for infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoreLimits {
    pub locked_memory_bytes: Option<u64>,
    pub file_size_bytes: Option<u64>,
    pub cpu_seconds: Option<u64>,
    pub stack_bytes: Option<u64>,
    pub data_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub processes: Option<u64>,
    pub address_space_bytes: Option<u64>,
    pub core_bytes: Option<u64>,
}

/// A signal generated for the event's process.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalEvent {
    pub signal: Signal,
    pub code: SignalCode,
    /// The task that generated it (itself, for a fault).
    pub sender: Process,
    /// Name of the sender's executable file, empty for a kernel thread.
    pub sender_exe: Text,
    pub result: Delivery,
    pub disposition: Disposition,
    /// To the whole process rather than one thread.
    pub group: bool,
    /// Of SIGSYS: number and name of the refused system call.
    pub syscall: Option<(u32, &'static str)>,
    /// Of SEGV, BUS, ILL, FPE.
    pub address: Option<u64>,
    /// Of ILL: up to 16 bytes from there on, the instruction first; empty where they are not known.
    pub instruction: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// The kernel dropped it: ignored, or default action of a namespace's init.
    Ignored,
    AlreadyPending,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Default,
    Ignored,
    Handled,
}

/// What the threads of the event's process did at its first TERM or KILL.
#[derive(Clone, Debug, PartialEq)]
pub struct Threads {
    pub total: u32,
    pub threads: Vec<Thread>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    pub tid: u32,
    pub state: ThreadState,
    /// Number and name of the system call it is in.
    pub syscall: Option<(u32, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    Running,
    Waiting,
    Uninterruptible,
    Stopped,
    Dead,
    Other,
}

/// The event's process was chosen by the OOM killer.
#[derive(Clone, Debug, PartialEq)]
pub struct Oom {
    /// The task that asked for memory.
    pub trigger: Process,
    pub total_vm_bytes: u64,
    pub file_bytes: u64,
    pub anon_bytes: u64,
    pub shmem_bytes: u64,
    pub open_files_limit: Option<u64>,
    /// Bytes written to stdout and stderr before; `None` if the recorder was off.
    pub written: Option<u64>,
    pub oom_score_adj: i32,
    /// The victim's memory cgroup first, the root last.
    pub memcgs: Vec<Memcg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memcg {
    pub id: u64,
    pub usage_bytes: u64,
    pub limit_bytes: Option<u64>,
    pub oom_group: bool,
}

/// bind(2) or listen(2).
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    pub listen: bool,
    /// `None` if it succeeded.
    pub errno: Option<Errno>,
    pub fd: i32,
    pub address: Address,
    pub protocol: Protocol,
    /// Local port after the call.
    pub port: u16,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub net_ns: u32,
    /// `AF_*`
    pub family: u32,
    pub v6_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    /// Number of `IPPROTO_*`, or 0 for a unix socket.
    Other(u8),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    None,
    Inet(SocketAddr),
    /// Path of a unix socket; abstract names begin with `@`.
    Unix(Text),
    Netlink,
    /// Address family that is not decoded.
    Family(u16),
}

impl Address {
    pub fn inet(&self) -> Option<SocketAddr> {
        let Self::Inet(inet) = self else { return None };
        Some(*inet)
    }

    /// The port that an internet address asks for; 0 asks for any.
    pub fn port(&self) -> Option<u16> {
        self.inet().map(|inet| inet.port()).filter(|port| *port != 0)
    }

    /// Path of a unix socket, or its abstract name.
    pub fn unix(&self) -> Option<&Text> {
        let Self::Unix(path) = self else { return None };
        Some(path)
    }
}

/// A failed system call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Count of the process's failed calls, from 1.
    pub seq: u32,
    pub number: u32,
    pub name: &'static str,
    /// EINPROGRESS for a pending connect.
    pub errno: Errno,
    pub args: [u64; 5],
    pub object: Object,
    /// The call itself succeeded and told of an error: SO_ERROR, a DNS answer.
    pub reported: bool,
    /// Of socket calls.
    pub protocol: Option<Protocol>,
    pub after: After,
}

/// What is known of the time after a failed call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// How often a call like it had failed before: the event tells of the last.
    pub repeats: u32,
    /// When the first like it failed, where it was repeated.
    pub first_ns: Option<BootNs>,
    /// The same name was opened later, or the same address reached.
    pub made_good: bool,
    /// Another address was reached later, at the same port.
    pub same_port_reached: bool,
    /// Successful opens and connects of its process after it; `None` where they were not counted.
    pub opened: Option<u32>,
    pub connected: Option<u32>,
}

/// What a call was about.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    None,
    /// As the program gave it; relative to `dirfd` or the working directory.
    Path {
        path: Text,
        truncated: bool,
    },
    /// The open file behind a descriptor, from the root of its mount namespace.
    File {
        path: Text,
        truncated: bool,
    },
    Address(Address),
    Dns(Dns),
    /// Of a refused fork: the pids cgroup that was full.
    Pids {
        count: u64,
        max: u64,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// Name asked for, without the last dot.
    pub question: Text,
    pub answer: Option<DnsAnswer>,
    /// Whom it was sent to, or came from.
    pub server: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    pub code: u8,
    pub records: u16,
}

/// Last bytes written to a stream, and the first of a burst that is longer.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    pub stream: Stream,
    /// The beginning of the last long burst; empty where `bytes` has all that is kept.
    pub head: Text,
    /// Bytes between `head` and `bytes` that are not kept.
    pub skipped_bytes: u64,
    pub bytes: Text,
    /// Bytes ever written; more than `bytes` holds if the beginning is gone.
    pub total_bytes: u64,
    /// Its descriptor led to /dev/null at every write: whoever started it did not want to know.
    pub discarded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
    /// Any other descriptor of a runtime's init.
    Init,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CgroupChange {
    pub change: Change,
    pub id: u64,
    pub level: u32,
    pub path: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Made,
    Removed,
    MovedIn,
    MovedOut,
}

/// Records that the kernel side could not send or keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    pub of: LostKind,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostKind {
    Exec,
    ExecFailed,
    Fork,
    Exit,
    Signal,
    Threads,
    Oom,
    Bind,
    Calls,
    Words,
    Cgroup,
    Process,
    Recorder,
    Container,
    /// Bytes from the kernel that no decoder accepts.
    Undecodable,
    /// Entries between the beginning and the end of a long life that the agent no longer holds.
    Forgotten,
}
