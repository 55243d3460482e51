//! Ends by a signal that somebody sent, other than the runtime. It must not know faults.

use crate::{
    capture::event::{Disposition, Event, SignalEvent},
    linux::{signal::Signal, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::{
        programs,
        reaction::{self, Reaction},
        sender,
    },
    rules::fault,
    wording,
    words::LastWords,
};

/// A handler that stops a program has done so by then.
const HANDLED_NS: u64 = 10_000_000_000;

/// The status with which timeout(1) says that the time was up.
const TIME_WAS_UP: u8 = 124;

/// `timeout` ended the program that it ran.
pub(in crate::diagnose::verdict) fn by_timeout(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.status.code == Some(TIME_WAS_UP))?;
    let program = case.program(id)?;
    let is_it = |it: &Text| programs::file_name(it.as_bytes()) == b"timeout";
    if !is_it(&program.path) && !program.args.first().is_some_and(is_it) {
        return None;
    }
    let (child, index, sent) = case.tree.children(id).iter().find_map(|child| {
        let by_it = |it: &&SignalEvent| it.sender.id == id && it.code.names_sender();
        let mut signals = case.signals(*child);
        signals.find_map(|(index, _, it)| by_it(&it).then_some((*child, index, it)))
    })?;
    let began_ns = case.process(child)?.id.start_ns;
    let after = wording::span(case.event(index).time_ns.saturating_sub(began_ns));
    let (name, victim) = (case.name(id), case.name(child));
    let ended = case.end(child).map(|it| wording::ended(it.status));
    let ended = ended.unwrap_or_else(|| "has not ended yet".to_owned());
    let entries: Vec<usize> =
        [index].into_iter().chain(case.end(child).map(|it| it.index)).collect();
    let said = LastWords::of(case, &[child]).quote();
    let words = said.as_ref().map(|(text, _)| format!("; its last words: \"{text}\""));
    let mut draft = Draft::new(Cause::KilledBySignal, Confidence::Proven, id)
        .status(end.status)
        .detail("signal", sent.signal.name())
        .detail("sender_pid", sent.sender.agent_pid.unwrap_or(sent.sender.id.pid))
        .detail("sender_comm", sent.sender.comm.to_json_string())
        .detail("timed_out", victim.clone())
        .evidence(format!("{name} sent {} to {victim}, which {ended}", sent.signal), entries)
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index]);
    if let Some((text, at)) = &said {
        draft = draft.evidence(format!("last words: {text}"), [*at]);
    }
    Some(
        draft
            .summary(format!(
                "{name} ended {victim} with {} after {after}, as its time was up, and {}{}.",
                sent.signal,
                wording::ended(end.status),
                words.unwrap_or_default()
            ))
            .next_step(format!(
                "Find out why {victim} was not done in time, or give `timeout` more of it."
            ))
            .finish(),
    )
}

/// Ended by a signal, or after having handled a stop signal from somebody else.
pub(in crate::diagnose::verdict) fn by_signal(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    if fault::reasoned_end(case).is_some() {
        return None;
    }
    if let Some(signal) = end.status.signal {
        let sent =
            || case.signals(id).filter(|(index, _, it)| it.signal == signal && *index < end.index);
        // A handler that cleans up ends by raising the signal once more: who sent it first is meant.
        let asked = |(_, event, it): &(usize, &Event, &SignalEvent)| {
            let soon = end.time_ns.saturating_sub(event.time_ns) <= HANDLED_NS;
            soon && it.disposition == Disposition::Handled
                && it.sender.id != id
                && it.code.names_sender()
        };
        let last = sent().next_back();
        let again = last.is_some_and(|(_, _, it)| it.sender.id == id && it.code.names_sender());
        let last = sent().rfind(asked).filter(|_| again).or(last);
        return Some(tell(case, &end, signal, last, Confidence::Proven));
    }
    let stop = case.signals(id).rfind(|(index, event, it)| {
        let stops = matches!(
            it.signal,
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT | Signal::SIGHUP
        );
        let soon = end.time_ns.saturating_sub(event.time_ns) <= HANDLED_NS;
        let handled = it.disposition == Disposition::Handled && it.code.names_sender();
        *index < end.index
            && stops
            && soon
            && handled
            && it.sender.id != id
            && !sender::is_runtime(case, &event.process, it)
    })?;
    let signal = stop.2.signal;
    let says_so = end.status.code.is_some_and(|code| u32::from(code) == 128 + signal.0);
    let asked = says_so || !end.failed();
    let confidence = if says_so { Confidence::Proven } else { Confidence::Likely };
    asked.then(|| tell(case, &end, signal, Some(stop), confidence))
}

fn tell(
    case: &Case<'_>,
    end: &End<'_>,
    signal: Signal,
    sent: Option<(usize, &Event, &SignalEvent)>,
    confidence: Confidence,
) -> Verdict {
    let id = case.blamed();
    let name = case.name(id);
    let mut draft = Draft::new(Cause::KilledBySignal, confidence, id)
        .status(end.status)
        .detail("signal", signal.name())
        .detail("core", end.status.core);
    let sender = sent.map(|(_, _, it)| it).filter(|it| it.code.names_sender());
    let source = sent.and_then(|(_, _, it)| it.code.own_source());
    let told = sender.filter(|it| it.sender.id != id).and_then(|it| sender::of(case, it));
    let by = match (sender, source) {
        (Some(it), _) if it.sender.id == id => "by itself".to_owned(),
        (Some(it), _) => {
            let how = told.as_ref().map(|told| told.text.clone()).unwrap_or_default();
            format!("{}by {}{how}", place(it), case.name_of(&it.sender))
        }
        (None, Some(source)) => format!("by {source}"),
        (None, None) if sent.is_some() => "by the kernel itself".to_owned(),
        (None, None) => "by a sender that was not recorded".to_owned(),
    };
    if let Some((index, _, it)) = sent {
        draft = draft.evidence(format!("{signal} was sent to {name} {by}"), [index]);
        if sender.is_some() {
            draft = draft
                .detail("sender_pid", it.sender.agent_pid.unwrap_or(it.sender.id.pid))
                .detail("sender_comm", it.sender.comm.to_json_string())
                .detail("sender_uid", it.sender.uid)
                .text("sender_exe", &it.sender_exe);
            if let Some(told) = &told {
                draft = draft
                    .text("sender_command", &told.command)
                    .known("sender_parent_command", told.parent.as_ref().map(Text::to_json_string));
            }
        }
    }
    let before = outlived(case, sent, end);
    let mut after = String::new();
    if let Some((index, reaction, earlier)) = &before {
        after = format!("; sent {earlier} before, it {}", reaction.text);
        draft = draft
            .detail("stop_signal", earlier.name())
            .detail("reaction", reaction.name)
            .known("grace_seconds", reaction.grace_seconds())
            .evidence(format!("sent {earlier} before, it {}", reaction.text), [*index]);
    }
    let limit = sent.filter(|_| sender.is_none()).and_then(|it| cpu_limit(case, it, end));
    let meaning = match &limit {
        Some(text) => text.as_str(),
        None if source.is_some() => "",
        None => meaning(signal, sender.is_none() && sent.is_some()),
    };
    if limit.is_some() {
        draft = draft.detail("limit_name", "RLIMIT_CPU");
    }
    let how = match end.status.signal {
        Some(_) if end.status.core => {
            format!("was killed by {signal}, sent {by}; a core was dumped")
        }
        Some(_) => format!("was killed by {signal}, sent {by}"),
        None => format!("handled {signal}, sent {by}, and {}", wording::ended(end.status)),
    };
    draft
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index])
        .summary(format!("{name} {how}{meaning}{after}."))
        .next_step(match (&limit, source) {
            (Some(_), _) => "Raise RLIMIT_CPU (ulimit -t), or find what used the time.".to_owned(),
            (None, Some(source)) => format!(
                "Look in the program for {source} that raises {signal}, and whether a handler for it is missing."
            ),
            (None, None) => next_step(case, signal, sender),
        })
        .finish()
}

/// The stop signal that a killed process did not obey, and what it did about it.
fn outlived(
    case: &Case<'_>,
    killed: Option<(usize, &Event, &SignalEvent)>,
    end: &End<'_>,
) -> Option<(usize, Reaction, Signal)> {
    let (kill, _, _) = killed.filter(|(_, _, it)| it.signal == Signal::SIGKILL)?;
    let mut earlier = case.signals(case.blamed());
    let (index, event, sent) = earlier.find(|(index, event, it)| {
        let stops = matches!(it.signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT);
        *index < kill && stops && it.sender.id != event.process.id
    })?;
    Some((index, reaction::to(case, (index, event, sent), end), sent.signal))
}

fn place(signal: &SignalEvent) -> &'static str {
    if signal.sender.tracked { "" } else { "from outside the container " }
}

/// Used up to within this time: the kernel looks at each tick (kernel/time/posix-cpu-timers.c).
const TICK_NS: u64 = 50_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// At the hard limit of CPU time the kernel kills the process from within itself, at the soft one it sends SIGXCPU.
fn cpu_limit(
    case: &Case<'_>,
    (index, event, sent): (usize, &Event, &SignalEvent),
    end: &End<'_>,
) -> Option<String> {
    let id = event.process.id;
    let used_ns = end.exit.user_time_ns.saturating_add(end.exit.system_time_ns);
    let warned = case.signals(id).any(|(at, _, it)| at < index && it.signal == Signal::SIGXCPU);
    let whole = used_ns >= SECOND_NS && used_ns % SECOND_NS <= TICK_NS;
    let own = sent.sender.id == id && sent.code.from_kernel();
    let killed = sent.signal == Signal::SIGKILL && own && (warned || whole);
    killed.then(|| {
        format!(": it had used up its CPU time (RLIMIT_CPU), {} in all", wording::span(used_ns))
    })
}

/// Signals of the kernel that tell of a limit, a timer, a closed reader or a terminal (signal(7)).
fn meaning(signal: Signal, from_kernel: bool) -> &'static str {
    match signal {
        Signal::SIGPIPE => ": it wrote to a pipe or socket that nobody reads any more",
        Signal::SIGXCPU if from_kernel => ": it used up its CPU time (RLIMIT_CPU)",
        Signal::SIGXFSZ if from_kernel => ": it wrote a file beyond its size limit (RLIMIT_FSIZE)",
        Signal::SIGALRM if from_kernel => ": an alarm that it had set ran out (alarm, setitimer)",
        Signal::SIGVTALRM | Signal::SIGPROF if from_kernel => {
            ": a timer of CPU time that it had set ran out (setitimer)"
        }
        Signal::SIGHUP if from_kernel => ": its terminal was closed",
        Signal::SIGINT | Signal::SIGQUIT if from_kernel => ": it was typed at its terminal",
        _ => "",
    }
}

fn next_step(case: &Case<'_>, signal: Signal, sender: Option<&SignalEvent>) -> String {
    match (signal, sender) {
        (Signal::SIGPIPE, _) => {
            "See who read its output and why that one went away, or ignore SIGPIPE and handle EPIPE.".to_owned()
        }
        (Signal::SIGALRM | Signal::SIGVTALRM | Signal::SIGPROF, None) => {
            format!("Look in the program for the timer, and handle {signal} or stop the timer in time.")
        }
        (Signal::SIGHUP | Signal::SIGINT | Signal::SIGQUIT, None) => {
            "Nothing is wrong if somebody at the terminal meant it; else run it without a terminal.".to_owned()
        }
        (Signal::SIGXCPU, _) => "Raise RLIMIT_CPU (ulimit -t), or find what used the time.".to_owned(),
        (Signal::SIGXFSZ, _) => "Raise RLIMIT_FSIZE (ulimit -f), or find which file grew.".to_owned(),
        (_, Some(it)) if it.sender.id != case.blamed() => {
            format!("Ask why {} sends {signal}.", case.name_of(&it.sender))
        }
        (_, Some(_)) => format!("Look in the program for where it raises {signal}."),
        (_, None) => format!("Find out who sends {signal}: the sender was the kernel or is not recorded."),
    }
}
