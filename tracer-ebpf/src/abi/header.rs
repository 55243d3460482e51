//! What every record begins with: kind, time, container and the process it is about.

use super::record;

/// What a record is. The value is the `kind` of its header.
#[repr(u16)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Exec = 1,
    ExecFailed = 2,
    Fork = 3,
    Exit = 4,
    Signal = 5,
    Threads = 6,
    Oom = 7,
    Bind = 8,
    Calls = 9,
    Words = 10,
    Cgroup = 11,
    LongCall = 12,
    Found = 13,
}

/// Number of kinds, and the size of an array indexed by kind (0 is unused).
pub const KINDS: usize = 14;

record! {
    /// One process as the kernel knew it at that moment.
    Task [72] {
        /// Process id in the initial pid namespace.
        tgid: u32,
        /// Thread id in the initial pid namespace.
        tid: u32,
        /// Process id in the process's own pid namespace.
        ns_tgid: u32,
        /// Process id in the agent's pid namespace; 0 where it is not visible there.
        agent_tgid: u32,
        /// Process id of `real_parent` in the initial namespace.
        parent: u32,
        /// Effective user and group id, in the initial user namespace.
        uid: u32,
        gid: u32,
        /// Bits of `task_flag`.
        flags: u32,
        /// `task_struct.start_boottime` of the leader: with tgid it names a process for ever.
        start_ns: u64,
        /// cgroup id that the process belongs to now (the chosen hierarchy).
        cgroup: u64,
        /// inum of its pid namespace.
        pid_ns: u32,
        /// `seccomp.mode`: 0 none, 1 strict, 2 filter.
        seccomp: u32,
        comm: [u8; 16],
    }
}

/// Bits of [`Task::flags`].
pub mod task_flag {
    /// Tracked: it belongs to a tracked container.
    pub const TRACKED: u32 = 1;
    /// First process of its tree: it came into the container from outside, not by fork.
    pub const ROOT: u32 = 2;
    /// It has not exec'd since it came in: it is still the runtime's init.
    pub const RUNTIME_INIT: u32 = 4;
    /// A kernel thread or the idle task.
    pub const KERNEL: u32 = 8;
}

record! {
    /// First 104 bytes of every record.
    Header [104] {
        kind: u16,
        abi: u16,
        /// Size of the whole record in bytes, this header included.
        size: u32,
        /// CLOCK_BOOTTIME in nanoseconds.
        time_ns: u64,
        /// Tracked cgroup (container) the record belongs to.
        cgroup: u64,
        /// CPU it was written on: with time it orders records.
        cpu: u32,
        _pad: u32,
        task: Task,
    }
}
