//! The ordered events of one life, with its gaps. It must not do I/O or know the clock.

mod main_process;
mod order;
mod tree;

use std::collections::HashMap;

pub use tree::Tree;

use crate::capture::event::{BootNs, Event, LostKind, Process, ProcessId, What};

/// The record of one life. Entries are in order of time; indexes into `entries` are what evidence cites.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// The main process: the one that the runtime's init became by exec; the init itself where it never did.
    pub main: ProcessId,
    pub began_ns: BootNs,
    /// Latest state of each process seen.
    pub processes: HashMap<ProcessId, Process>,
    pub entries: Vec<Event>,
    /// Records lost for this life.
    pub lost: u64,
}

/// No event tells of a process, so there is no life to speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no recorded event belongs to a process of this life")]
pub struct NoProcess;

impl Timeline {
    /// Orders the events of one life, drops what was told twice and finds the main process. Events of
    /// equal time keep the order in which they are given (that of their CPUs).
    ///
    /// # Errors
    /// [`NoProcess`] if the events name no process: there are none, or only gaps and cgroup changes.
    pub fn build(events: Vec<Event>) -> Result<Self, NoProcess> {
        let entries = order::in_order(events);
        let processes = latest_states(&entries);
        let began_ns = entries.first().map(|event| event.time_ns).ok_or(NoProcess)?;
        let tree = Tree::of(&entries, &processes);
        let main = main_process::find(&entries, &processes, &tree).ok_or(NoProcess)?;
        // What the agent itself let go of is not lost: the store has it.
        let lost = lost(&entries, |kind| kind != LostKind::Forgotten);
        Ok(Self { main, began_ns, processes, entries, lost })
    }

    /// Whether the main process is known to run a program: it exec'd one, or was found running.
    pub fn main_has_begun(&self) -> bool {
        let ran =
            |event: &Event| event.exec().is_some_and(|exec| !main_process::is_runtime_itself(exec));
        let was_running =
            |event: &Event| matches!(event.what, What::Found(_)) && !event.process.runtime_init;
        let mut of_main = self.entries.iter().filter(|event| event.process.id == self.main);
        of_main.any(|event| ran(event) || was_running(event))
    }

    /// Who forked whom, and which entries tell of whom.
    pub fn tree(&self) -> Tree {
        Tree::of(&self.entries, &self.processes)
    }

    /// Tracked processes whose end is not recorded, oldest first: they live on, or their end was lost.
    pub fn living(&self) -> Vec<ProcessId> {
        let tree = self.tree();
        let mut living: Vec<ProcessId> = self
            .processes
            .values()
            .filter(|process| process.tracked && tree.exit_index(process.id).is_none())
            .map(|process| process.id)
            .collect();
        living.sort_by_key(|id| (id.start_ns, id.pid));
        living
    }

    /// Entries that say something is missing: lost records, forgotten calls.
    pub fn gaps(&self) -> Vec<usize> {
        let is_gap =
            |event: &Event| matches!(event.what, What::Lost(_) | What::CallsForgotten(1..));
        (0..self.entries.len()).filter(|index| is_gap(&self.entries[*index])).collect()
    }

    /// Records of one kind that were lost.
    pub fn lost_of(&self, kind: LostKind) -> u64 {
        lost(&self.entries, |lost| lost == kind)
    }
}

/// Lost records of the kinds that count.
fn lost(entries: &[Event], counts: impl Fn(LostKind) -> bool) -> u64 {
    let lost = entries.iter().filter_map(Event::lost).filter(|lost| counts(lost.of));
    lost.fold(0, |sum, lost| sum.saturating_add(lost.count))
}

/// A gap, or a cgroup change made from outside, tells nothing of the life's own processes.
fn latest_states(entries: &[Event]) -> HashMap<ProcessId, Process> {
    let mut processes = HashMap::new();
    for event in entries {
        let from_outside = !event.process.tracked && matches!(event.what, What::Cgroup(_));
        if !from_outside && !matches!(event.what, What::Lost(_)) {
            processes.insert(event.process.id, event.process.clone());
        }
    }
    processes
}

#[cfg(test)]
mod tests;
