//! Who forked whom in one life, and which entries tell of which process. It must not judge.

use std::collections::HashMap;

use crate::capture::event::{BootNs, Event, Process, ProcessId, What};

/// Index over the entries of a timeline.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: HashMap<ProcessId, Vec<usize>>,
    children: HashMap<ProcessId, Vec<ProcessId>>,
    parents: HashMap<ProcessId, ProcessId>,
    execs: HashMap<ProcessId, Vec<usize>>,
    exits: HashMap<ProcessId, usize>,
}

impl Tree {
    pub(super) fn of(entries: &[Event], processes: &HashMap<ProcessId, Process>) -> Self {
        let mut tree = Self::default();
        for (index, event) in entries.iter().enumerate() {
            let id = event.process.id;
            if event.lost().is_some() {
                continue;
            }
            if event.exec().is_some() {
                tree.execs.entry(id).or_default().push(index);
            }
            if event.exit().is_some() {
                tree.exits.entry(id).or_insert(index);
            }
            tree.entries.entry(id).or_default().push(index);
        }
        tree.join_families(entries, processes);
        tree
    }

    /// Indexes of the entries that tell of it, in order of time.
    pub fn entries_of(&self, id: ProcessId) -> &[usize] {
        self.entries.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Its children, oldest first. A runtime's init made with CLONE_PARENT is a child of the
    /// runtime and of the stage that forked it.
    pub fn children(&self, id: ProcessId) -> &[ProcessId] {
        self.children.get(&id).map_or(&[], Vec::as_slice)
    }

    pub fn parent(&self, id: ProcessId) -> Option<ProcessId> {
        self.parents.get(&id).copied()
    }

    /// Indexes of its successful execs.
    pub fn execs(&self, id: ProcessId) -> &[usize] {
        self.execs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Index of its end.
    pub fn exit_index(&self, id: ProcessId) -> Option<usize> {
        self.exits.get(&id).copied()
    }

    fn join_families(&mut self, entries: &[Event], processes: &HashMap<ProcessId, Process>) {
        let pids = Pids::of(processes);
        let mut joined = std::collections::HashSet::new();
        // The first parent counts: an orphan's later one only adopted it.
        for event in entries {
            let child = event.process.id;
            let mut names = Vec::new();
            if !self.parents.contains_key(&child) && processes.contains_key(&child) {
                names.push((event.process.parent_pid, true));
            }
            if let What::Fork(fork) = &event.what {
                names.push((fork.forker_pid, false));
            }
            for (pid, real) in names {
                let Some(parent) = pids.at(pid, child.start_ns).filter(|it| *it != child) else {
                    continue;
                };
                if real {
                    self.parents.entry(child).or_insert(parent);
                }
                if joined.insert((parent, child)) {
                    self.children.entry(parent).or_default().push(child);
                }
            }
        }
        for children in self.children.values_mut() {
            children.sort_by_key(|id| (id.start_ns, id.pid));
        }
    }
}

/// Pids are used again: which process a pid meant at a time.
struct Pids(HashMap<u32, Vec<ProcessId>>);

impl Pids {
    fn of(processes: &HashMap<ProcessId, Process>) -> Self {
        let mut pids: HashMap<u32, Vec<ProcessId>> = HashMap::new();
        for process in processes.values() {
            pids.entry(process.id.pid).or_default().push(process.id);
        }
        for ids in pids.values_mut() {
            ids.sort_by_key(|id| id.start_ns);
        }
        Self(pids)
    }

    /// The youngest process of that pid which had started by then.
    fn at(&self, pid: u32, time_ns: BootNs) -> Option<ProcessId> {
        let ids = self.0.get(&pid)?;
        let started = ids.partition_point(|id| id.start_ns <= time_ns);
        ids.get(started.checked_sub(1)?).copied()
    }
}
