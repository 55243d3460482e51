//! Ends after a stop signal that the container runtime sent. Who asked for it is found out elsewhere.

use serde_json::Value;

use crate::capture::event::{Event, SignalEvent, ThreadState};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::{
        asker::{self, Asker},
        reaction::{self, Reaction},
        readiness::{self, Readiness},
        sender,
    },
    terms::WantedWhy,
    wording,
};

/// A runtime that forwards a signal does so within this time.
const FORWARD_NS: u64 = 1_000_000_000;

pub(in crate::diagnose::verdict) struct Stop<'a> {
    index: usize,
    pub event: &'a Event,
    signal: &'a SignalEvent,
}

/// Any end after TERM or KILL (or another stop signal) from the runtime, whatever the status.
pub(in crate::diagnose::verdict) fn by_runtime(case: &Case<'_>) -> Option<Verdict> {
    first_stop(case).map(|(first, end)| tell(case, &first, &end))
}

/// The first stop signal that the runtime sent, and the end after it.
pub(in crate::diagnose::verdict) fn first_stop<'a>(case: &Case<'a>) -> Option<(Stop<'a>, End<'a>)> {
    case.chain.iter().rev().find_map(|link| {
        let end = case.end(link.id)?;
        let stops =
            case.signals(link.id).map(|(index, event, signal)| Stop { index, event, signal });
        let mut stops =
            stops.filter(|stop| stop.index < end.index && stop.signal.signal.asks_for_the_end());
        Some((stops.find(|stop| sender::is_runtime(case, &stop.event.process, stop.signal))?, end))
    })
}

/// The same stop where it was wanted: no crash.
pub(in crate::diagnose::verdict) fn as_wanted(
    case: &Case<'_>,
    stop: &Stop<'_>,
    end: &End<'_>,
    why: WantedWhy,
) -> Verdict {
    let mut verdict = tell(case, stop, end);
    let reaction = reaction::to(case, (stop.index, stop.event, stop.signal), end);
    let outlasted = reaction.grace_ns.is_some();
    let (name, signal) = (case.name(stop.event.process.id), stop.signal.signal);
    let grace = if outlasted { "; it outlasted its grace period" } else { "" };
    verdict.summary = format!(
        "{name} was stopped by {signal}, as it should: {}; it {}{grace}.",
        why.text(),
        reaction.text
    );
    verdict.next_step = if outlasted {
        "Nothing is wrong with its end; so that it loses no work, let it end on SIGTERM within \
         terminationGracePeriodSeconds."
            .to_owned()
    } else {
        "Nothing is wrong.".to_owned()
    };
    verdict.details.insert("reason".to_owned(), why.name().into());
    verdict.details.insert("reason_source".to_owned(), "told".into());
    verdict.details.remove("probe");
    (verdict.cause, verdict.confidence) = (Cause::None, Confidence::None);
    verdict
}

/// Whom a forwarding runtime had the signal from: `runc run` passes on what it is sent.
fn origin<'a>(case: &Case<'a>, stop: &Stop<'a>) -> Option<(usize, &'a SignalEvent)> {
    let forwarder = stop.signal.sender.id;
    let received = case.signals(forwarder).rfind(|(index, event, signal)| {
        let just_before = stop.event.time_ns.saturating_sub(event.time_ns) <= FORWARD_NS;
        *index < stop.index && just_before && signal.signal == stop.signal.signal
    });
    received.map(|(index, _, signal)| (index, signal))
}

fn tell(case: &Case<'_>, stop: &Stop<'_>, end: &End<'_>) -> Verdict {
    let target = &stop.event.process;
    let reaction = reaction::to(case, (stop.index, stop.event, stop.signal), end);
    let readiness = readiness::of(case, stop.event.time_ns);
    let asker = asker::of(case, (stop.event.time_ns, end.time_ns), &readiness);
    let origin = origin(case, stop);
    let sender = origin.map_or(stop.signal, |(_, signal)| signal);
    let from = case.name_of(&sender.sender);
    let threads = threads(case, stop);
    let waiting = threads.as_ref().filter(|it| it.all_wait && readiness.nothing_bound());
    let (name, signal) = (case.name(target.id), stop.signal.signal);
    let state = match waiting {
        Some(threads) => format!("it never became ready: no bind, {}", threads.text),
        None => readiness.text(),
    };
    let mut draft = Draft::new(Cause::StoppedByRuntime, Confidence::Proven, target.id)
        .status(end.status)
        .detail("stop_signal", signal.name())
        .detail("sender_pid", sender.sender.agent_pid.unwrap_or(sender.sender.id.pid))
        .detail("sender_comm", sender.sender.comm.to_json_string())
        .text("sender_exe", &sender.sender_exe)
        .detail("reaction", reaction.name)
        .detail("reason", asker.reason)
        .known("reason_source", asker.source)
        .known("probe", asker.probe.clone())
        .detail("tcp_listening", ports(&readiness.tcp))
        .detail("udp_bound", ports(&readiness.udp))
        .detail("never_ready", waiting.is_some())
        .known("grace_seconds", reaction.grace_seconds())
        .evidence(
            format!("{from} sent {signal} to {name} from outside the container"),
            [stop.index],
        )
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index])
        .evidence(state.clone(), readiness.entries.clone());
    let command = case.facts.senders.iter().find(|it| it.pid == sender.sender.id.pid);
    if let Some(fact) = command.filter(|fact| !fact.command.is_empty()) {
        draft = draft.text("sender_command", &fact.command);
    }
    if let Some((index, _)) = origin {
        draft = draft.evidence(
            format!("{} passed on what it was sent", case.name_of(&stop.signal.sender)),
            [index, stop.index],
        );
    }
    if let Some(kill) = reaction.kill.filter(|kill| *kill != stop.index) {
        draft = draft.evidence("SIGKILL followed", [kill]);
    }
    if let Some(threads) = &threads {
        draft = draft
            .detail("threads", threads.total)
            .evidence(format!("at that moment: {}", threads.text), [threads.index]);
    }
    let mut asked = String::new();
    if let Some(text) = &asker.text {
        asked = format!("{text}; ");
        let shown = if asker.entries.is_empty() { vec![stop.index] } else { asker.entries.clone() };
        draft = draft.evidence(text.clone(), shown);
    }
    draft
        .summary(format!(
            "The container runtime ({from}) sent {signal} to {name}, which {}; {asked}{state}.",
            reaction.text
        ))
        .next_step(next_step(case, &asker, &reaction, &readiness, waiting.is_some()))
        .finish()
}

fn next_step(
    case: &Case<'_>,
    asker: &Asker,
    reaction: &Reaction,
    readiness: &Readiness,
    stuck: bool,
) -> String {
    if stuck && asker.probe.is_some() {
        return "Find out what its threads wait for at start (a lock, a peer, a name): no probe can succeed before."
            .to_owned();
    }
    if let Some(next_step) = asker.next_step.clone() {
        return next_step;
    }
    if stuck {
        return "Find out what its threads wait for at start (a lock, a peer, a name); a liveness probe that \
                finds no listener asked for this stop if nobody else did."
            .to_owned();
    }
    if readiness.tcp.is_empty() && !readiness.udp.is_empty() {
        return format!(
            "If a probe asked for this: a tcpSocket or httpGet probe cannot succeed on a UDP port, use an exec \
             probe or open a TCP health port beside UDP {}.",
            wording::list(&readiness.udp.iter().map(u16::to_string).collect::<Vec<_>>())
        );
    }
    if readiness.tcp.is_empty() {
        return "Find out why it opened no port (its configuration, its start-up log); a liveness probe that \
                finds no listener asked for this stop if nobody else did."
            .to_owned();
    }
    let main_of_namespace = case.process(case.blamed()).is_some_and(|it| it.container_pid == 1);
    if reaction.name == "ignored" && main_of_namespace {
        return "Handle SIGTERM in the program or run it under an init (tini, `docker run --init`); see the \
                pod's events for who asked for the stop."
            .to_owned();
    }
    "See the pod's events for who asked for the stop: a failed liveness or startup probe, a deletion, an \
     eviction or a node shutting down."
        .to_owned()
}

/// What the threads did at the first TERM or KILL.
struct Doing {
    index: usize,
    total: u32,
    all_wait: bool,
    text: String,
}

fn threads(case: &Case<'_>, stop: &Stop<'_>) -> Option<Doing> {
    let since_ns = stop.event.time_ns.saturating_sub(FORWARD_NS);
    let mut since =
        case.events(stop.event.process.id).filter(|(_, event)| event.time_ns >= since_ns);
    let (index, noted) = since.find_map(|(index, event)| Some((index, event.threads()?)))?;
    let waits = noted.threads.iter().filter(|it| it.state == ThreadState::Waiting);
    let all_wait = !noted.threads.is_empty() && waits.clone().count() == noted.threads.len();
    let mut calls: Vec<String> = Vec::new();
    for (_, name) in waits.clone().filter_map(|it| it.syscall) {
        if !calls.iter().any(|call| call == name) {
            calls.push(name.to_owned());
        }
    }
    calls.truncate(4);
    let inside = if calls.is_empty() { String::new() } else { format!(" ({})", calls.join(", ")) };
    let count = noted.threads.len();
    let text = match (all_wait, count) {
        (true, 1) => format!("its only thread waiting{inside}"),
        (true, _) => format!("all {count} threads waiting{inside}"),
        (false, _) => format!("{} of {count} threads waiting{inside}", waits.count()),
    };
    Some(Doing { index, total: noted.total, all_wait, text })
}

fn ports(ports: &[u16]) -> Value {
    Value::from(ports.to_vec())
}
