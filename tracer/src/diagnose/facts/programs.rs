//! Which programs of a life are worth a look at its end: the main one, and those that ended as a dynamic
//! loader ends what it cannot start. It must not do I/O.

use crate::{
    capture::event::{Event, Exec, ProcessId},
    diagnose::timeline::Timeline,
};

/// Loaders end the process with 127, glibc's after a failed version check with 1 (elf/rtld.c).
const LOADER_FAILED: [u8; 2] = [127, 1];
/// Programs examined for one life.
const PROGRAMS_MAX: usize = 4;

/// The last successful exec of each process that may have failed to load, the main one first.
pub fn maybe_unloadable(timeline: &Timeline) -> Vec<(ProcessId, &Exec)> {
    let failed = timeline.entries.iter().filter(|event| {
        let code = event.exit().and_then(|exit| exit.status.code);
        code.is_some_and(|code| LOADER_FAILED.contains(&code))
    });
    let mut processes: Vec<ProcessId> = Vec::new();
    if main_ended_badly(timeline) {
        processes.push(timeline.main);
    }
    // The latest end is the nearest to the end of the life.
    for event in failed.rev() {
        if !processes.contains(&event.process.id) {
            processes.push(event.process.id);
        }
    }
    processes
        .into_iter()
        .filter_map(|process| Some((process, last_exec(timeline, process)?)))
        .take(PROGRAMS_MAX)
        .collect()
}

/// The last program that a process executed.
pub fn last_exec(timeline: &Timeline, process: ProcessId) -> Option<&Exec> {
    events_of(timeline, process).rev().find_map(Event::exec)
}

fn events_of(timeline: &Timeline, process: ProcessId) -> impl DoubleEndedIterator<Item = &Event> {
    timeline.entries.iter().filter(move |event| event.process.id == process)
}

/// True unless it is known to have ended with status 0 or by a signal.
fn main_ended_badly(timeline: &Timeline) -> bool {
    let exit = events_of(timeline, timeline.main).find_map(Event::exit);
    exit.is_none_or(|exit| exit.status.signal.is_none() && exit.status.code != Some(0))
}
