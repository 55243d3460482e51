//! Words of the outputs: one for each variant of the event types. They are a contract
//! (docs/events.md) and never change without a new schema version.

use std::borrow::Cow;

use crate::{
    capture::event::{LostKind, Protocol, ThreadState, What},
    linux::signal::{Signal, SignalCode},
};

pub fn kind(what: &What) -> &'static str {
    match what {
        What::Exec(_) => "exec",
        What::ExecFailed(_) => "exec_failed",
        What::Fork(_) => "fork",
        What::Exit(_) => "exit",
        What::Signal(_) => "signal",
        What::Threads(_) => "threads",
        What::Oom(_) => "oom",
        What::Bind(_) => "bind",
        What::Call(_) => "call",
        What::CallsForgotten(_) => "calls_forgotten",
        What::Words(_) => "words",
        What::Cgroup(_) => "cgroup",
        What::Lost(_) => "lost",
        What::Found(_) => "found",
    }
}

pub fn thread_state(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "running",
        ThreadState::Waiting => "waiting",
        ThreadState::Uninterruptible => "uninterruptible",
        ThreadState::Stopped => "stopped",
        ThreadState::Dead => "dead",
        ThreadState::Other => "other",
    }
}

pub fn lost(kind: LostKind) -> &'static str {
    match kind {
        LostKind::Exec => "exec",
        LostKind::ExecFailed => "exec_failed",
        LostKind::Fork => "fork",
        LostKind::Exit => "exit",
        LostKind::Signal => "signal",
        LostKind::Threads => "threads",
        LostKind::Oom => "oom",
        LostKind::Bind => "bind",
        LostKind::Calls => "calls",
        LostKind::Words => "words",
        LostKind::Cgroup => "cgroup",
        LostKind::Process => "process",
        LostKind::Recorder => "recorder",
        LostKind::Container => "container",
        LostKind::Undecodable => "undecodable",
        LostKind::Forgotten => "forgotten",
    }
}

/// `tcp`, `udp`; a number that has no word here as `ipproto_132`. `None` for protocol 0.
pub fn transport(protocol: Protocol) -> Option<Cow<'static, str>> {
    match protocol {
        Protocol::Tcp => Some("tcp".into()),
        Protocol::Udp => Some("udp".into()),
        Protocol::Other(0) => None,
        Protocol::Other(number) => Some(format!("ipproto_{number}").into()),
    }
}

/// `AF_INET` (include/linux/socket.h); a number that has no word here as `AF_17`.
pub fn family(number: u32) -> Cow<'static, str> {
    match number {
        0 => "AF_UNSPEC".into(),
        1 => "AF_UNIX".into(),
        2 => "AF_INET".into(),
        10 => "AF_INET6".into(),
        16 => "AF_NETLINK".into(),
        17 => "AF_PACKET".into(),
        38 => "AF_ALG".into(),
        40 => "AF_VSOCK".into(),
        other => format!("AF_{other}").into(),
    }
}

/// `NXDOMAIN` (RFC 1035); a code that has no word here as `RCODE6`.
pub fn dns_code(code: u8) -> Cow<'static, str> {
    match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        other => format!("RCODE{other}").into(),
    }
}

/// Name of an `si_code` (include/uapi/asm-generic/siginfo.h), such as `SI_USER` or `SEGV_MAPERR`.
/// A signal without siginfo has the kernel's own word for that (include/linux/sched/signal.h).
pub fn signal_code(signal: Signal, code: SignalCode) -> Cow<'static, str> {
    match code {
        SignalCode::User => "SI_USER".into(),
        SignalCode::Thread => "SI_TKILL".into(),
        SignalCode::Queue => "SI_QUEUE".into(),
        SignalCode::KernelSent => "SEND_SIG_PRIV".into(),
        SignalCode::NoInfo => "SEND_SIG_NOINFO".into(),
        SignalCode::Kernel(0x80) => "SI_KERNEL".into(),
        SignalCode::Kernel(code) => match fault_code(signal, code) {
            Some(name) => name.into(),
            None => format!("si_code {code}").into(),
        },
        SignalCode::Other(-2) => "SI_TIMER".into(),
        SignalCode::Other(-3) => "SI_MESGQ".into(),
        SignalCode::Other(-4) => "SI_ASYNCIO".into(),
        SignalCode::Other(-5) => "SI_SIGIO".into(),
        SignalCode::Other(-60) => "SI_ASYNCNL".into(),
        SignalCode::Other(code) => format!("si_code {code}").into(),
    }
}

fn fault_code(signal: Signal, code: i32) -> Option<&'static str> {
    let names: &[&str] = match signal {
        Signal::SIGSEGV => &[
            "SEGV_MAPERR",
            "SEGV_ACCERR",
            "SEGV_BNDERR",
            "SEGV_PKUERR",
            "SEGV_ACCADI",
            "SEGV_ADIDERR",
            "SEGV_ADIPERR",
            "SEGV_MTEAERR",
            "SEGV_MTESERR",
            "SEGV_CPERR",
        ],
        Signal::SIGBUS => {
            &["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"]
        }
        Signal::SIGILL => &[
            "ILL_ILLOPC",
            "ILL_ILLOPN",
            "ILL_ILLADR",
            "ILL_ILLTRP",
            "ILL_PRVOPC",
            "ILL_PRVREG",
            "ILL_COPROC",
            "ILL_BADSTK",
        ],
        Signal::SIGFPE => &[
            "FPE_INTDIV",
            "FPE_INTOVF",
            "FPE_FLTDIV",
            "FPE_FLTOVF",
            "FPE_FLTUND",
            "FPE_FLTRES",
            "FPE_FLTINV",
            "FPE_FLTSUB",
        ],
        Signal::SIGTRAP => {
            &["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"]
        }
        Signal::SIGCHLD => &[
            "CLD_EXITED",
            "CLD_KILLED",
            "CLD_DUMPED",
            "CLD_TRAPPED",
            "CLD_STOPPED",
            "CLD_CONTINUED",
        ],
        Signal::SIGSYS => &["SYS_SECCOMP", "SYS_USER_DISPATCH"],
        _ => &[],
    };
    let index = usize::try_from(code).ok()?.checked_sub(1)?;
    names.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_codes_are_named_as_in_siginfo() {
        let check = |signal, raw, expected: &str| {
            assert_eq!(signal_code(signal, SignalCode::from_raw(raw)), expected);
        };
        check(Signal::SIGTERM, 0, "SI_USER");
        check(Signal::SIGABRT, -6, "SI_TKILL");
        check(Signal::SIGSEGV, 1, "SEGV_MAPERR");
        check(Signal::SIGSEGV, 0x80, "SI_KERNEL");
        check(Signal::SIGSYS, 1, "SYS_SECCOMP");
        check(Signal::SIGBUS, 9, "si_code 9");
        check(Signal::SIGUSR1, -77, "si_code -77");
        check(Signal::SIGKILL, tracer_ebpf::abi::signal::INFO_PRIV, "SEND_SIG_PRIV");
    }

    #[test]
    fn numbers_without_a_word_are_still_told_apart() {
        assert_eq!(family(17), "AF_PACKET");
        assert_eq!(family(99), "AF_99");
        assert_eq!(dns_code(3), "NXDOMAIN");
        assert_eq!(dns_code(6), "RCODE6");
        assert_eq!(transport(Protocol::Other(132)).unwrap(), "ipproto_132");
    }
}
