//! What every record begins with: kind, time, container and the process it is about.

use super::record;

macro_rules! kinds {
    ($($kind:ident $number:literal $name:literal $first_body:literal,)*) => {
        /// What a record is. The value is the `kind` of its header.
        #[repr(u16)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Kind { $($kind = $number,)* }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// The kind of a number, `None` for one of a newer program.
            pub fn of(number: u16) -> Option<Kind> {
                match number { $($number => Some(Kind::$kind),)* _ => None }
            }

            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            /// Bytes of the body in its first layout, header included: what a record has whose header names none.
            pub fn first_body(self) -> usize {
                match self { $(Kind::$kind => $first_body,)* }
            }
        }
    };
}

// Name in messages and the size of the first layout, which never changes: later fields follow it.
kinds! {
    Exec 1 "exec" 160,
    ExecFailed 2 "exec_failed" 136,
    Fork 3 "fork" 112,
    Exit 4 "exit" 208,
    Signal 5 "signal" 240,
    Threads 6 "threads" 112,
    Oom 7 "oom" 616,
    Bind 8 "bind" 280,
    Calls 9 "calls" 7808,
    Words 10 "words" 3272,
    Cgroup 11 "cgroup" 128,
    LongCall 12 "long_call" 352,
    Found 13 "found" 104,
    Said 14 "said" 152,
}

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
    /// Of a signal's sender: its cgroup is below a watched root.
    pub const BELOW_ROOT: u32 = 16;
    /// Of a signal's sender: its cgroup is not below a watched root. With neither bit nobody looked.
    pub const OUTSIDE: u32 = 32;
    /// Of a signal's sender: its mount namespace is the agent's, and its pid namespace lies around the target's.
    pub const ABOVE: u32 = 64;
    /// Of a signal's sender: that is not so. With neither bit nobody looked.
    pub const NOT_ABOVE: u32 = 128;
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
        /// Size of the record's fixed part, this header included; counted bytes follow it. 0: that of the first layout
        /// ([`Kind::first_body`]). A fixed part only ever grows at its end.
        body: u32,
        task: Task,
    }
}
