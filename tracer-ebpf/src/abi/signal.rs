//! A signal that was generated for a tracked process, and what its threads were doing.

use super::header::{Header, Task};
use super::record;

/// What the target had arranged: [`Signal::disposition`].
pub mod disposition {
    pub const DEFAULT: u32 = 0;
    pub const IGNORED: u32 = 1;
    pub const HANDLED: u32 = 2;
}

/// What became of it: [`Signal::result`], `TRACE_SIGNAL_*` of include/trace/events/signal.h.
pub mod result {
    pub const DELIVERED: u32 = 0;
    pub const IGNORED: u32 = 1;
    pub const ALREADY_PENDING: u32 = 2;
    pub const OVERFLOW_FAIL: u32 = 3;
    pub const LOSE_INFO: u32 = 4;
}

record! {
    /// `signal_generate`; the header's task is the target.
    Signal [264] {
        header: Header,
        /// The task in whose context it was generated.
        sender: Task,
        signal: u32,
        /// `si_code`; see `INFO_NONE` and `INFO_PRIV` for signals without siginfo.
        code: i32,
        /// One of `result`.
        result: u32,
        /// One of `disposition`.
        disposition: u32,
        /// 1 if sent to the whole process.
        group: u32,
        /// System call number of a SIGSYS, -1 otherwise.
        syscall: i32,
        /// `si_addr` of SEGV, BUS, ILL, FPE.
        address: u64,
        /// Name of the sender's executable file (`mm->exe_file`), NUL padded.
        sender_exe: [u8; 32],
        /// What stands at `address` of a SIGILL: the instruction.
        instruction: [u8; 16],
        /// How many bytes of it could be read.
        instruction_bytes: u32,
        _pad: u32,
    }
}

/// `code` of a signal sent with SEND_SIG_NOINFO (from user space by the kernel's own count).
pub const INFO_NONE: i32 = i32::MIN;
/// `code` of a signal sent with SEND_SIG_PRIV (by the kernel itself).
pub const INFO_PRIV: i32 = i32::MIN + 1;

/// Most threads that are noted.
pub const THREADS_MAX: usize = 64;

record! {
    /// One thread: what it was doing.
    Thread [16] {
        tid: u32,
        /// `task_struct.__state`: 0 running, 1 interruptible, 2 uninterruptible.
        state: u32,
        /// System call it is in, -1 for none.
        syscall: i32,
        _pad: u32,
    }
}

record! {
    /// Threads of the header's task at its first TERM or KILL: header, then `count` of [`Thread`].
    Threads [112] {
        header: Header,
        count: u32,
        /// `signal->nr_threads`, noted or not.
        total: u32,
    }
}
