//! Signal numbers of Linux and their names (asm-generic/signal.h), for both sides.

macro_rules! signals {
    ($($name:ident = $number:literal;)*) => {
        $(pub const $name: u32 = $number;)*

        /// The name of a signal, `None` for a real-time one and for a number that is none.
        pub fn name(number: u32) -> Option<&'static str> {
            match number { $($number => Some(stringify!($name)),)* _ => None }
        }
    };
}

signals! {
    SIGHUP = 1; SIGINT = 2; SIGQUIT = 3; SIGILL = 4; SIGTRAP = 5; SIGABRT = 6; SIGBUS = 7; SIGFPE = 8;
    SIGKILL = 9; SIGUSR1 = 10; SIGSEGV = 11; SIGUSR2 = 12; SIGPIPE = 13; SIGALRM = 14; SIGTERM = 15;
    SIGSTKFLT = 16; SIGCHLD = 17; SIGCONT = 18; SIGSTOP = 19; SIGTSTP = 20; SIGTTIN = 21; SIGTTOU = 22;
    SIGURG = 23; SIGXCPU = 24; SIGXFSZ = 25; SIGVTALRM = 26; SIGPROF = 27; SIGWINCH = 28; SIGIO = 29;
    SIGPWR = 30; SIGSYS = 31;
}
