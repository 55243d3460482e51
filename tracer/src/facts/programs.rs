//! Which programs of a life are worth a look at its end: the main one, and those that ended as a dynamic
//! loader ends what it cannot start. It must not do I/O.

use crate::{
    event::{Event, Exec, ProcessId, What},
    timeline::Timeline,
};

/// Loaders end the process with 127, glibc's after a failed version check with 1 (elf/rtld.c).
const LOADER_FAILED: [u8; 2] = [127, 1];
/// Programs examined for one life.
const PROGRAMS_MAX: usize = 4;

/// The last successful exec of each process that may have failed to load, the main one first.
pub fn maybe_unloadable(timeline: &Timeline) -> Vec<(ProcessId, &Exec)> {
    let failed = timeline.entries.iter().filter(|event| match &event.what {
        What::Exit(exit) => exit.status.code.is_some_and(|code| LOADER_FAILED.contains(&code)),
        _ => false,
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
    timeline.entries.iter().rev().find_map(|event| exec_of(event, process))
}

fn exec_of(event: &Event, process: ProcessId) -> Option<&Exec> {
    match &event.what {
        What::Exec(exec) if event.process.id == process => Some(exec),
        _ => None,
    }
}

/// True unless it is known to have ended with status 0 or by a signal.
fn main_ended_badly(timeline: &Timeline) -> bool {
    let end = timeline.entries.iter().find_map(|event| match &event.what {
        What::Exit(exit) if event.process.id == timeline.main => Some(exit.status),
        _ => None,
    });
    end.is_none_or(|status| status.signal.is_none() && status.code != Some(0))
}
