//! Signals that a process brought upon itself: faults of the kernel's making, seccomp, abort. It must not
//! know signals from others.

use crate::{
    capture::event::{Delivery, Disposition, Event, ProcessId, SignalEvent},
    diagnose::facts::processor,
    linux::signal::{Signal, SignalCode},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::{
        failure::Failure,
        pace,
        select::{self, Chosen},
    },
    wording,
    words::naming::Naming,
};

/// SI_KERNEL: a general protection fault, which tells no address (arch/x86/kernel/traps.c).
const SI_KERNEL: i32 = 128;
/// SEGV_MAPERR, SEGV_ACCERR; BUS_ADRERR, BUS_OBJERR; FPE_INTDIV (asm-generic/siginfo.h).
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const FPE_INTDIV: i32 = 1;
const TRAP_BRKPT: i32 = 1;
/// How programs end themselves without a system call.
const TRAP: &str = "breakpoint instruction, by which programs end where a check of their own fails";
/// No program maps the first pages: an address there is a member of a null pointer.
const NULL_PAGES: u64 = 64 << 10;
/// A handler that tells of a fault is done by then: the JVM writes a report.
const TOLD_NS: u64 = 30_000_000_000;
/// From a failed call to the abort after the report of it.
const GIVING_UP_NS: u64 = 1_000_000_000;
/// How programs tell of a fault that they caught.
const SIGNS: &[&str] = &[
    "sigsegv",
    "sigbus",
    "sigfpe",
    "segmentation",
    "nil pointer",
    "invalid memory",
    "divide by zero",
    "division by zero",
    "bus error",
    "overflowed its stack",
    "fatal error has been detected",
];
/// The status with which Go ends after a panic (runtime/panic.go).
const PANICKED: u8 = 2;

/// SEGV, BUS, ILL, FPE or SYS from the kernel, that ended the process or after which it gave up at once.
pub(in crate::diagnose::verdict) fn by_kernel(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    match end.status.signal {
        Some(_) if abort_was_dropped(case, id, &end) => None,
        Some(signal) => {
            let last = last_of(case, id, signal, &end);
            if let Some(caught) = raised_again(case, id, &end, last) {
                return Some(caught);
            }
            let cause = cause(signal)?;
            match last {
                Some((index, event, fault)) if fault.code.from_kernel() => Some(tell(
                    case,
                    cause,
                    Confidence::Proven,
                    &end,
                    Some((index, event, fault)),
                    signal,
                )),
                // Someone sent it: killed_by_signal.
                Some(_) => None,
                None => Some(tell(case, cause, Confidence::Likely, &end, None, signal)),
            }
        }
        None => gave_up(case, id, &end),
    }
}

/// An abort of which nothing says why.
pub(in crate::diagnose::verdict) fn abort(case: &Case<'_>) -> Option<Verdict> {
    if reasoned_end(case).is_some() {
        return None;
    }
    abort_anyway(case)
}

/// The entry of the signal by which it ended itself, where its last words name a failed call by object and error: that is
/// the reason, and to abort is only how it gave up.
pub(in crate::diagnose::verdict) fn reasoned_end(case: &Case<'_>) -> Option<usize> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.status.signal.is_some())?;
    let words = case.last_words();
    let named = |chosen: &Chosen<'_>| {
        let naming = words.naming(&chosen.failure);
        let near = end.time_ns.saturating_sub(chosen.failure.time_ns) <= GIVING_UP_NS;
        near && naming.is_some_and(|(naming, _)| naming == Naming::Both)
    };
    let aborted = last_of(case, id, Signal::SIGABRT, &end).filter(|(_, _, it)| it.sender.id == id);
    let index = aborted.map(|it| it.0).or_else(|| trapped(case, id, &end).map(|it| it.0))?;
    case.chosen.as_ref().is_some_and(named).then_some(index)
}

/// A SIGABRT that the process sent to itself, or an instruction that is there to end it.
pub(in crate::diagnose::verdict) fn abort_anyway(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    let dropped = abort_was_dropped(case, id, &end);
    let trap = trapped(case, id, &end).filter(|_| !dropped);
    if end.status.signal != Some(Signal::SIGABRT) && !dropped && trap.is_none() {
        return None;
    }
    let last = last_of(case, id, Signal::SIGABRT, &end).filter(|_| trap.is_none());
    if last.is_some_and(|(_, _, signal)| signal.sender.id != id) {
        return None;
    }
    let name = case.name(id);
    let said_by = case.last_words();
    let words = said_by.quote();
    let said =
        words.as_ref().map_or(String::new(), |(text, _)| format!("; its last words: \"{text}\""));
    let seen = last.is_some() || trap.is_some();
    let confidence = if seen { Confidence::Proven } else { Confidence::Likely };
    let mut draft = Draft::new(Cause::Abort, confidence, id).status(end.status);
    if let Some((index, _, _)) = last {
        draft = draft.evidence(format!("{name} sent SIGABRT to itself"), [index]);
    }
    if let Some((index, _)) = trap {
        draft = draft.evidence(format!("{name} ran into a {TRAP}"), [index]);
    }
    draft = draft.evidence(format!("{name} {}", wording::ended(end.status)), [end.index]);
    if let Some((text, index)) = &words {
        draft = draft
            .evidence(format!("last words: {text}"), [*index])
            .detail("last_words", text.as_str());
    }
    if let Some(told) = said_by.told() {
        let reading = &told.reading;
        draft = draft
            .detail("runtime", reading.runtime.name())
            .known("type", Some(reading.type_name.as_str()).filter(|it| !it.is_empty()))
            .known("message", Some(reading.message.as_str()).filter(|it| !it.is_empty()));
    }
    let mut before = String::new();
    if let Some(failure) = last_failure(case, id, &end) {
        before = format!(" after {} had failed with {}", failure.call, failure.errno);
        draft = draft.errno(failure.errno).detail("syscall", failure.call).evidence(
            format!("just before, {} failed with {}", failure.call, failure.errno),
            failure.entries,
        );
    }
    let how = match (end.status.signal.filter(|_| dropped), trap) {
        (Some(signal), _) => format!(
            "abort (SIGABRT, which the kernel drops for the main process of a container: {signal} ended it instead)"
        ),
        (None, Some((_, signal))) => format!("a {TRAP} ({signal})"),
        (None, None) => "abort (SIGABRT)".to_owned(),
    };
    Some(
        draft
            .summary(format!("{name} gave up by itself with {how}{before}{said}."))
            .next_step(
                "Look at the assertion, uncaught exception or allocation failure that its last words or a \
                 core dump name.",
            )
            .finish(),
    )
}

/// A breakpoint that nobody set and nobody handles: V8, Chromium and compilers end programs so where a check fails (int3 of
/// x86_64, brk of aarch64). A debugger's would have been taken by it.
fn trapped(case: &Case<'_>, id: ProcessId, end: &End<'_>) -> Option<(usize, Signal)> {
    let signal = end.status.signal.filter(|it| *it == Signal::SIGTRAP)?;
    let (index, _, event) = last_of(case, id, signal, end)?;
    let own = matches!(event.code, SignalCode::Kernel(SI_KERNEL | TRAP_BRKPT));
    own.then_some((index, signal))
}

/// abort(3) of a namespace's init, that has no handler: its SIGABRT is dropped, and what ends it is the instruction that
/// the C library has ready for that (glibc's ABORT_INSTRUCTION, musl's a_crash), by the fault it makes.
fn abort_was_dropped(case: &Case<'_>, id: ProcessId, end: &End<'_>) -> bool {
    let is_fault =
        [Signal::SIGSEGV, Signal::SIGILL, Signal::SIGTRAP].map(Some).contains(&end.status.signal);
    let last = last_of(case, id, Signal::SIGABRT, end).filter(|_| is_fault);
    last.is_some_and(|(_, event, signal)| {
        signal.sender.id == id
            && signal.result == Delivery::Ignored
            && end.time_ns.saturating_sub(event.time_ns) <= pace::SOON_NS
    })
}

fn cause(signal: Signal) -> Option<Cause> {
    match signal {
        Signal::SIGSEGV => Some(Cause::Segfault),
        Signal::SIGBUS => Some(Cause::BusError),
        Signal::SIGILL => Some(Cause::IllegalInstruction),
        Signal::SIGFPE => Some(Cause::ArithmeticFault),
        Signal::SIGSYS => Some(Cause::SeccompViolation),
        _ => None,
    }
}

/// The last signal of that number before the end: a program with a handler sees the first one itself.
fn last_of<'a>(
    case: &Case<'a>,
    id: ProcessId,
    signal: Signal,
    end: &End<'_>,
) -> Option<(usize, &'a Event, &'a SignalEvent)> {
    case.signals(id).rfind(|(index, _, it)| it.signal == signal && *index < end.index)
}

/// A handler (faulthandler, the JVM's, Sentry's, Rust's for a full stack) tells of a fault, then raises its signal again
/// or aborts: the fault is what ended the process.
fn raised_again(
    case: &Case<'_>,
    id: ProcessId,
    end: &End<'_>,
    last: Option<(usize, &Event, &SignalEvent)>,
) -> Option<Verdict> {
    let (again, raised, _) =
        last.filter(|(_, _, it)| it.sender.id == id && it.code.names_sender())?;
    let (index, event, fault) = case.signals(id).rfind(|(index, event, it)| {
        let caught = it.disposition == Disposition::Handled && it.code.from_kernel();
        let soon = raised.time_ns.saturating_sub(event.time_ns) <= TOLD_NS;
        *index < again && caught && soon && cause(it.signal).is_some()
    })?;
    let cause = cause(fault.signal)?;
    let is_same = end.status.signal == Some(fault.signal);
    let says = case.last_words().mention(SIGNS).is_some();
    // Some runtimes catch faults as part of their work: an abort may be about something else.
    let at_once = raised.time_ns.saturating_sub(event.time_ns) <= pace::SOON_NS;
    if !(is_same || says || at_once) {
        return None;
    }
    let confidence = if is_same || says { Confidence::Proven } else { Confidence::Likely };
    Some(tell(case, cause, confidence, end, Some((index, event, fault)), fault.signal))
}

/// Runtimes with a handler (Go) turn a fault into a message and a status. Others (Java) catch faults as part of
/// their work, so that only a null pointer or a division counts, and only if the end follows at once, with Go's
/// status or words that tell of the fault.
fn gave_up(case: &Case<'_>, id: ProcessId, end: &End<'_>) -> Option<Verdict> {
    let words = case.last_words();
    let says = words.mention(SIGNS).is_some();
    let panicked = end.status.code == Some(PANICKED) && words.is_empty();
    if !end.failed() || !(says || panicked) {
        return None;
    }
    let (index, event, fault) = case.signals(id).rfind(|(index, event, it)| {
        let soon = end.time_ns.saturating_sub(event.time_ns) <= pace::SOON_NS;
        let telling = match it.signal {
            Signal::SIGSEGV => it.address.is_some_and(|address| address < NULL_PAGES),
            Signal::SIGFPE | Signal::SIGBUS => true,
            _ => false,
        };
        let caught = it.disposition == Disposition::Handled && it.code.from_kernel();
        soon && telling && caught && *index < end.index
    })?;
    let cause = cause(fault.signal)?;
    Some(tell(case, cause, Confidence::Likely, end, Some((index, event, fault)), fault.signal))
}

fn tell(
    case: &Case<'_>,
    cause: Cause,
    confidence: Confidence,
    end: &End<'_>,
    fault: Option<(usize, &Event, &SignalEvent)>,
    signal: Signal,
) -> Verdict {
    let id = case.blamed();
    let name = case.name(id);
    let mut draft = Draft::new(cause, confidence, id)
        .status(end.status)
        .detail("signal", signal.name())
        .detail("core", end.status.core);
    let mut thread = String::new();
    if let Some((index, event, it)) = fault {
        if event.process.tid != id.pid {
            thread = " in a thread that is not its first".to_owned();
            draft = draft.detail("thread_id", event.process.tid);
        }
        draft = draft
            .known("fault_address", address(it).map(|it| format!("{it:#x}")))
            .known("syscall", it.syscall.map(|(_, name)| name))
            .known("syscall_number", it.syscall.map(|(number, _)| number))
            .evidence(
                format!("the kernel raised {signal} in {name}: {}", meaning(signal, Some(it))),
                [index],
            );
    }
    let core = match (end.status.signal, end.status.core) {
        (None, _) => format!("; it handled the signal and {}", wording::ended(end.status)),
        (Some(ending), core) if ending != signal => {
            let core = if core { ", and a core was dumped" } else { "" };
            format!("; its handler ended it by {ending}{core}")
        }
        (Some(_), true) => "; a core was dumped".to_owned(),
        (Some(_), false) => String::new(),
    };
    draft
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index])
        .summary(format!(
            "{name} was ended by {signal}{thread}: {}{core}.",
            meaning(signal, fault.map(|(_, _, it)| it))
        ))
        .next_step(next_step(signal, fault.and_then(|(_, _, it)| it.syscall)))
        .finish()
}

fn address(fault: &SignalEvent) -> Option<u64> {
    fault.address.filter(|_| fault.code != SignalCode::Kernel(SI_KERNEL))
}

fn meaning(signal: Signal, fault: Option<&SignalEvent>) -> String {
    let code = match fault.map(|it| it.code) {
        Some(SignalCode::Kernel(code)) => code,
        _ => 0,
    };
    let at = fault.and_then(address);
    let place = at.map(|it| format!(" at address {it:#x}")).unwrap_or_default();
    match signal {
        Signal::SIGSEGV => match at {
            Some(it) if it < NULL_PAGES => format!("it used a null pointer (address {it:#x})"),
            Some(_) if code == SEGV_ACCERR => {
                format!("it used memory against its protection{place}")
            }
            Some(_) => format!("it used memory that is not mapped{place}"),
            None if code == SI_KERNEL => {
                "it used an address that the processor refuses (which one is not told)".to_owned()
            }
            None => "it used memory that is not its own".to_owned(),
        },
        Signal::SIGBUS if code == BUS_ADRALN => format!("it used misaligned memory{place}"),
        Signal::SIGBUS => format!(
            "it used mapped memory that has nothing behind it{place}: past the end of a file, or on a filesystem that is \
             full, as /dev/shm may be"
        ),
        Signal::SIGILL => {
            let bytes = fault.map_or(&[][..], |it| &it.instruction);
            illegal(bytes, &place)
        }
        Signal::SIGFPE if code == FPE_INTDIV => {
            format!("it divided an integer by zero{place}")
        }
        Signal::SIGFPE => format!("an arithmetic operation failed{place}"),
        Signal::SIGSYS => match fault.and_then(|it| it.syscall) {
            Some((number, name)) => {
                format!("a seccomp filter kills for the system call {name} (number {number})")
            }
            None => "a seccomp filter kills for a system call that it made".to_owned(),
        },
        _ => String::new(),
    }
}

/// What can be said of an illegal instruction by its bytes.
fn illegal(bytes: &[u8], place: &str) -> String {
    if processor::is_undefined_by_intent(bytes) {
        return format!(
            "it ran into an instruction that is undefined by intent (ud2){place}, by which programs and compilers end where a \
             check fails or execution must not come to"
        );
    }
    let shown = match bytes {
        [] => String::new(),
        bytes => format!(" ({})", wording::instruction(bytes)),
    };
    format!(
        "it ran an instruction that is undefined, or that this processor does not have{shown}{place}"
    )
}

fn next_step(signal: Signal, syscall: Option<(u32, &'static str)>) -> String {
    match signal {
        Signal::SIGBUS => {
            "See which file the program maps: whether /dev/shm or another tmpfs under it is full (make it larger: an emptyDir \
             of medium Memory at /dev/shm), or who truncates the file.".to_owned()
        }
        Signal::SIGILL => {
            "Find the place with a core dump (ulimit -c) or under a debugger: a check that failed, a damaged program, or an \
             instruction of a newer processor (then build without -march=native).".to_owned()
        }
        Signal::SIGFPE => "Find the division in a core dump or debugger; its divisor was zero.".to_owned(),
        Signal::SIGSYS => format!(
            "Allow {} in the container's seccomp profile if it is legitimate.",
            syscall.map_or("that system call", |(_, name)| name)
        ),
        _ => "Find the place with a core dump (ulimit -c, kernel.core_pattern) or under a debugger.".to_owned(),
    }
}

/// A failed call that stands right before the abort.
fn last_failure<'a>(case: &Case<'a>, id: ProcessId, end: &End<'_>) -> Option<Failure<'a>> {
    // What the words acquit stood there all the same.
    let voices = case.voices(id);
    let failure = select::cause(case, id, &voices)
        .map(|it| it.failure)
        .or_else(|| select::hint(case, id, &voices))?;
    let near = end.time_ns.saturating_sub(failure.time_ns) <= pace::SOON_NS;
    (near && !failure.is_lookup()).then_some(failure)
}
