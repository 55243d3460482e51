//! Puts events in order and drops what was told twice. It must not know what they mean for a life.

use std::collections::{HashMap, HashSet};

use crate::{
    capture::event::{BootNs, Call, Event, Object, ProcessId, What},
    linux::errno::Errno,
};

/// A failed exec, bind or listen is told by its own hook and by the flight recorder, each reading
/// the clock once: this far apart they are still one call.
const SAME_CALL_NS: u64 = 1_000_000;

/// Sorted by time; events of equal time keep their order.
pub(super) fn in_order(mut events: Vec<Event>) -> Vec<Event> {
    // Of one call told with its path cut and whole, the whole one comes first and stays.
    events.sort_by_key(|event| (event.time_ns, is_cut(&event.what)));
    let mut seen = HashSet::new();
    events.retain(|event| seen.insert((event.process.id, event.time_ns, mark(&event.what))));
    let told = told_by_their_own_hook(&events);
    events.retain(|event| !is_twin(event, &told));
    events
}

fn is_cut(what: &What) -> bool {
    let What::Call(call) = what else { return false };
    matches!(
        call.object,
        Object::Path { truncated: true, .. } | Object::File { truncated: true, .. }
    )
}

/// What tells two events of one process and one moment apart.
fn mark(what: &What) -> (u8, u64, u64) {
    match what {
        What::Exec(_) => (0, 0, 0),
        What::ExecFailed(failed) => (1, u64::from(failed.errno.0.unsigned_abs()), 0),
        What::Fork(_) => (2, 0, 0),
        What::Exit(_) => (3, 0, 0),
        What::Signal(signal) => (4, u64::from(signal.signal.0), u64::from(signal.sender.id.pid)),
        What::Threads(_) => (5, 0, 0),
        What::Oom(_) => (6, 0, 0),
        What::Bind(bind) => (7, u64::from(bind.listen), u64::from(bind.fd.unsigned_abs())),
        What::Call(call) => (8, u64::from(call.seq), u64::from(call.number)),
        What::CallsForgotten(_) => (9, 0, 0),
        What::Words(words) => (10, words.stream as u64, 0),
        What::Cgroup(change) => (11, change.change as u64, change.id),
        What::Lost(lost) => (12, lost.of as u64, lost.count),
        What::Found(_) => (13, 0, 0),
    }
}

type Told = HashMap<(ProcessId, Errno, Family), Vec<BootNs>>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    Exec,
    Bind,
    Listen,
}

fn told_by_their_own_hook(events: &[Event]) -> Told {
    let mut told = Told::new();
    for event in events {
        let Some((errno, family)) = refused(event) else { continue };
        told.entry((event.process.id, errno, family)).or_default().push(event.time_ns);
    }
    told
}

fn refused(event: &Event) -> Option<(Errno, Family)> {
    if let Some(failed) = event.exec_failed() {
        return Some((failed.errno, Family::Exec));
    }
    let bind = event.bind()?;
    Some((bind.errno?, if bind.listen { Family::Listen } else { Family::Bind }))
}

fn is_twin(event: &Event, told: &Told) -> bool {
    let Some(call) = event.call() else { return false };
    let Some(family) = family(call) else { return false };
    told.get(&(event.process.id, call.errno, family)).is_some_and(|times| {
        let after = times.partition_point(|time| time + SAME_CALL_NS < event.time_ns);
        times.get(after).is_some_and(|time| *time <= event.time_ns.saturating_add(SAME_CALL_NS))
    })
}

fn family(call: &Call) -> Option<Family> {
    match call.name {
        "execve" | "execveat" => Some(Family::Exec),
        "bind" => Some(Family::Bind),
        "listen" => Some(Family::Listen),
        _ => None,
    }
}
