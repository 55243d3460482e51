//! Map values that user space reads or writes: tracked containers, processes, settings, counters.

use super::record;

record! {
    /// Value of TRACKED, key: cgroup id. One container, with what it may still use.
    Container [72] {
        /// Start of the budget's window, CLOCK_BOOTTIME.
        window_ns: u64,
        /// What it has used in this window: records in DEATHS and in EVENTS.
        deaths: u32,
        events: u32,
        /// Recorders it holds. These counts are kept loosely: they may be off by a few, below 0 too.
        recorders: u32,
        /// Processes it holds.
        processes: u32,
        /// cgroup id of the watched root it was found under.
        root: u64,
        /// When it was tracked.
        since_ns: u64,
        /// Bits of `container_flag`.
        flags: u32,
        /// Streams of its processes that are kept.
        streams: u32,
        /// Address of the inode of what its main process had as descriptor 1 and 2 when it began.
        stdio: [u64; 2],
        /// Beginnings of streams that are kept.
        heads: u32,
        _pad: u32,
    }
}

/// Bits of [`Container::flags`].
pub mod container_flag {
    /// Nobody wants to know of it: its processes are let go of, nothing of it is sent or counted as lost.
    pub const UNWANTED: u32 = 1;
    /// Processes came into it: cgroups made inside of it are part of it, and not tracked themselves.
    pub const INHABITED: u32 = 2;
    /// A pod's, by its name: a folder of containers, whatever runs in it.
    pub const FOLDER: u32 = 4;
}

record! {
    /// Value of PROCESSES, key: tgid. Kept from fork or attach to exit.
    Process [80] {
        /// The tracked container.
        cgroup: u64,
        start_ns: u64,
        /// Bits of `header::task_flag`.
        flags: u32,
        forks: u32,
        /// tgid of the tracked parent, 0 for a root.
        parent: u32,
        /// 1 once its threads were noted at a TERM or KILL.
        threads_noted: u32,
        /// 1 if the recorder was on at its birth.
        recorder: u32,
        execs: u32,
        /// Failed calls and questions to name servers ever seen.
        failed: u32,
        /// Streams of it that are kept.
        streams: u32,
        /// Bytes ever written to stdout and stderr, where these did not lead to /dev/null.
        written: [u64; 2],
        /// When it last spoke with a name server, 0 if not lately.
        dns_ns: u64,
        /// Successful opens and connects.
        opened: u32,
        connected: u32,
    }
}

record! {
    /// Key of LOST.
    LostKey [16] {
        cgroup: u64,
        /// `header::Kind`, or `LOST_*`.
        kind: u32,
        _pad: u32,
    }
}

/// A process could not be tracked: its container's share of PROCESSES was used up, or all of it.
pub const LOST_PROCESS: u32 = 100;
/// A process got no recorder: its container's share or the map was full.
pub const LOST_RECORDER: u32 = 101;
/// A process's words could not be kept.
pub const LOST_WORDS: u32 = 102;
/// A container could not be tracked.
pub const LOST_CONTAINER: u32 = 103;
/// A process that came in from outside could not be tracked, as a container's main one: all of PROCESSES was used up.
pub const LOST_MAIN: u32 = 104;

/// Index in USED: losses for which LOST had no room.
pub const UNCOUNTED: u32 = 4;

record! {
    /// Settings, the frozen global SETTINGS, written once before load.
    Settings [64] {
        /// Subsystem index of the chosen cgroup v1 hierarchy; `u32::MAX` for the default (v2) hierarchy.
        cgroup_subsystem: u32,
        /// Subsystem index of the memory controller; `u32::MAX` where there is none.
        memory_subsystem: u32,
        /// inum of the agent's pid namespace.
        agent_pid_ns: u32,
        /// 1 to keep last words.
        capture_output: u32,
        /// 1 if `mark_victim` gives a task (6.8 and later), 0 if it gives a pid.
        victim_is_task: u32,
        /// Bytes between elements of `mm->rss_stat`.
        rss_stride: u32,
        /// Budgets per container and window.
        deaths_budget: u32,
        events_budget: u32,
        /// inum of the agent's mount namespace, where what is watched may run in it; else 0.
        agent_mount_ns: u32,
        _pad2: u32,
        /// Subsystem index of the pids controller; `u32::MAX` where there is none.
        pids_subsystem: u32,
        _pad: u32,
        /// Length of the budget's window.
        window_ns: u64,
        /// Page shift, for completeness of page counts.
        page_shift: u32,
        /// hierarchy id (`cgroup_root.hierarchy_id`) of the chosen hierarchy: cgroup_mkdir of others is not ours.
        hierarchy_id: u32,
    }
}

/// System calls whose number, from the machine's own table, the programs must know; indexes into the
/// frozen global NUMBERS. A call that the machine lacks has number `u32::MAX`.
pub mod number {
    pub const WRITE: usize = 0;
    pub const WRITEV: usize = 1;
    pub const CONNECT: usize = 2;
    pub const BIND: usize = 3;
    pub const LISTEN: usize = 4;
    pub const GETSOCKOPT: usize = 5;
    pub const SENDTO: usize = 6;
    pub const SENDMSG: usize = 7;
    pub const SENDMMSG: usize = 8;
    pub const RECVFROM: usize = 9;
    pub const RECVMSG: usize = 10;
    pub const EXECVE: usize = 11;
    pub const EXECVEAT: usize = 12;
    pub const CLONE: usize = 13;
    pub const CLONE3: usize = 14;
    pub const FORK: usize = 15;
    pub const VFORK: usize = 16;
    pub const READ: usize = 17;
    pub const FCNTL: usize = 18;
    pub const RT_SIGQUEUEINFO: usize = 19;
    pub const RT_TGSIGQUEUEINFO: usize = 20;
    pub const PIDFD_SEND_SIGNAL: usize = 21;
    pub const COUNT: usize = 22;
    /// Names, in the order of the indexes.
    pub const NAMES: [&str; COUNT] = [
        "write",
        "writev",
        "connect",
        "bind",
        "listen",
        "getsockopt",
        "sendto",
        "sendmsg",
        "sendmmsg",
        "recvfrom",
        "recvmsg",
        "execve",
        "execveat",
        "clone",
        "clone3",
        "fork",
        "vfork",
        "read",
        "fcntl",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "pidfd_send_signal",
    ];
}

/// What a system call's arguments are about; values of the frozen global SHAPES, indexed by number.
pub mod shape {
    pub const NONE: u8 = 0;
    /// Argument n (0 to 2) is a path.
    pub const PATH0: u8 = 1;
    pub const PATH1: u8 = 2;
    pub const PATH2: u8 = 3;
    /// Argument n is a descriptor.
    pub const FD0: u8 = 4;
    pub const FD2: u8 = 5;
    pub const FD4: u8 = 6;
    /// Argument 1 is a socket address of size argument 2.
    pub const ADDRESS: u8 = 7;
    /// The bits above.
    pub const KIND: u8 = 0x07;
    /// An open: its success makes earlier failures of the same name good.
    pub const OPENS: u8 = 0x10;
    /// It only looks whether a path is there.
    pub const LOOKS: u8 = 0x20;
    /// EAGAIN of it is a refusal, not a request to try again when something is ready.
    pub const REFUSES: u8 = 0x40;
    /// A call whose success is looked at too.
    pub const SUCCESS: u8 = 0x80;
}

/// System call numbers that SHAPES covers.
pub const SHAPES: usize = 512;
