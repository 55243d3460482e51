//! Signals of Linux, their names and `si_code` values (asm-generic/signal.h, siginfo.h).

use std::fmt;

use tracer_ebpf::{
    abi::signal::{INFO_NONE, INFO_PRIV},
    signal as number,
};

/// A signal number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(pub u32);

macro_rules! signals {
    ($($name:ident)*) => {
        impl Signal {
            $(pub const $name: Signal = Signal(number::$name);)*
        }
    };
}

signals! {

    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE
    SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
    SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU
    SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO
    SIGPWR SIGSYS
}

/// First real-time signal as the kernel counts.
const SIGRTMIN: u32 = 32;

impl Signal {
    /// A signal by which a process ends for its own doing: a fault, a refused system call, abort(3).
    pub fn is_own_doing(self) -> bool {
        let own =
            [Self::SIGSEGV, Self::SIGBUS, Self::SIGILL, Self::SIGFPE, Self::SIGSYS, Self::SIGABRT];
        own.contains(&self)
    }

    /// A signal by which runtimes and people end a process from outside; systemd's is SIGRTMIN+3 of the kernel's count.
    pub fn asks_for_the_end(self) -> bool {
        const SYSTEMD_HALT: Signal = Signal(SIGRTMIN + 3);
        [Self::SIGTERM, Self::SIGKILL, Self::SIGINT, Self::SIGQUIT, SYSTEMD_HALT].contains(&self)
    }

    /// How make, shells and supervisors call the end by a fault, in lower case (strsignal(3)).
    pub fn described(self) -> Option<&'static str> {
        match self {
            Self::SIGSEGV => Some("segmentation fault"),
            Self::SIGBUS => Some("bus error"),
            Self::SIGILL => Some("illegal instruction"),
            Self::SIGFPE => Some("floating point exception"),
            Self::SIGSYS => Some("bad system call"),
            Self::SIGXCPU => Some("cpu time limit exceeded"),
            Self::SIGXFSZ => Some("file size limit exceeded"),
            _ => None,
        }
    }

    /// `SIGSEGV`; real-time signals as `SIGRTMIN+3`, counted from the kernel's 32.
    pub fn name(self) -> String {
        match number::name(self.0) {
            Some(name) => name.to_owned(),
            None if self.0 == SIGRTMIN => "SIGRTMIN".to_owned(),
            None if (SIGRTMIN..=64).contains(&self.0) => format!("SIGRTMIN+{}", self.0 - SIGRTMIN),
            None => format!("signal {}", self.0),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a signal came from: `si_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalCode {
    /// kill(2): SI_USER.
    User,
    /// tgkill(2): SI_TKILL.
    Thread,
    /// sigqueue(3): SI_QUEUE.
    Queue,
    /// SI_KERNEL and positive codes: the kernel itself, for what the task did.
    Kernel(i32),
    /// Without siginfo, from the kernel itself (SEND_SIG_PRIV).
    KernelSent,
    /// Without siginfo, from user space (SEND_SIG_NOINFO).
    NoInfo,
    Other(i32),
}

impl SignalCode {
    pub fn from_raw(code: i32) -> Self {
        match code {
            INFO_PRIV => Self::KernelSent,
            INFO_NONE => Self::NoInfo,
            0 => Self::User,
            -6 => Self::Thread,
            -1 => Self::Queue,
            1.. => Self::Kernel(code),
            other => Self::Other(other),
        }
    }

    /// True if a process sent it: the task that was running then is its sender. Of all others it is whoever ran on that
    /// processor (kernel/time/posix-timers.c, ipc/mqueue.c, fs/fcntl.c).
    pub fn names_sender(self) -> bool {
        match self {
            Self::User | Self::Thread | Self::Queue | Self::NoInfo => true,
            Self::Kernel(_) | Self::KernelSent | Self::Other(_) => false,
        }
    }

    /// What sent it on behalf of the process itself: a timer of its own, and the like.
    pub fn own_source(self) -> Option<&'static str> {
        match self {
            Self::Other(-2) => Some("a timer of its own (timer_create)"),
            Self::Other(-3) => Some("a message queue that it watches (mq_notify)"),
            Self::Other(-4) => Some("asynchronous I/O of its own (aio)"),
            Self::Other(-5) => Some("a descriptor that it watches (O_ASYNC)"),
            Self::Other(-60) => Some("a look-up of names of its own (getaddrinfo_a)"),
            Self::Other(_) => Some("the kernel on its own behalf"),
            Self::User
            | Self::Thread
            | Self::Queue
            | Self::NoInfo
            | Self::Kernel(_)
            | Self::KernelSent => None,
        }
    }

    /// True if no process sent it: a fault, or the kernel's own decision.
    pub fn from_kernel(self) -> bool {
        match self {
            Self::Kernel(_) | Self::KernelSent => true,
            Self::User | Self::Thread | Self::Queue | Self::NoInfo | Self::Other(_) => false,
        }
    }
}
