//! One death: what was recorded of it, whose end it is, and what can be asked about both. It must not know blame or words.

use std::collections::HashSet;

use crate::{
    capture::event::{
        BootNs, Event, Exec, ExecFailed, Exit, Process, ProcessId, SignalEvent, Status, What,
    },
    diagnose::{
        facts::Facts,
        timeline::{Timeline, Tree},
    },
    linux::text::Text,
};

use super::{evidence::programs, terms::Terms};

/// What evidence and words are read from.
pub(super) struct Death<'a> {
    pub timeline: &'a Timeline,
    pub facts: &'a Facts,
    pub tree: Tree,
    pub terms: &'a Terms,
    /// Whose end is to be explained.
    pub main: ProcessId,
}

/// The end of one process.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub index: usize,
    pub time_ns: BootNs,
    pub status: Status,
    pub exit: &'a Exit,
}

impl End<'_> {
    pub fn failed(&self) -> bool {
        self.status.signal.is_some() || self.status.code != Some(0)
    }
}

impl<'a> Death<'a> {
    pub fn process(&self, id: ProcessId) -> Option<&'a Process> {
        self.timeline.processes.get(&id)
    }

    pub fn event(&self, index: usize) -> &'a Event {
        &self.timeline.entries[index]
    }

    /// Entries that tell of one process, in order, with their indexes.
    pub fn events(&self, id: ProcessId) -> impl DoubleEndedIterator<Item = (usize, &'a Event)> {
        let entries = &self.timeline.entries;
        self.tree.entries_of(id).iter().map(move |index| (*index, &entries[*index]))
    }

    pub fn end(&self, id: ProcessId) -> Option<End<'a>> {
        let index = self.tree.exit_index(id)?;
        let event = self.event(index);
        let exit = event.exit()?;
        Some(End { index, time_ns: event.time_ns, status: exit.status, exit })
    }

    /// The program it last became, and when.
    pub fn last_exec(&self, id: ProcessId) -> Option<(usize, BootNs, &'a Exec)> {
        let index = *self.tree.execs(id).last()?;
        let event = self.event(index);
        Some((index, event.time_ns, event.exec()?))
    }

    /// The program it last became, its own or, for a process that never exec'd, that of the
    /// nearest ancestor which did.
    pub fn program(&self, id: ProcessId) -> Option<&'a Exec> {
        let mut seen = HashSet::new();
        let mut at = Some(id);
        while let Some(id) = at.filter(|id| seen.insert(*id)) {
            if let Some((_, _, exec)) = self.last_exec(id) {
                return Some(exec);
            }
            at = self.tree.parent(id);
        }
        None
    }

    /// No exec of it is recorded, and its flags do not say otherwise.
    pub fn never_execd(&self, id: ProcessId) -> bool {
        let came_in_execd = self.process(id).is_some_and(|p| p.root && !p.runtime_init);
        self.tree.execs(id).is_empty() && !came_in_execd
    }

    /// Failed execs of it since it last became a program.
    pub fn failed_execs(
        &self,
        id: ProcessId,
    ) -> impl DoubleEndedIterator<Item = (usize, &'a ExecFailed)> {
        let since = self.tree.execs(id).last().copied();
        self.events(id)
            .filter(move |(index, _)| since.is_none_or(|since| *index > since))
            .filter_map(|(index, event)| Some((index, event.exec_failed()?)))
    }

    pub fn signals(
        &self,
        id: ProcessId,
    ) -> impl DoubleEndedIterator<Item = (usize, &'a Event, &'a SignalEvent)> {
        self.events(id).filter_map(|(index, event)| Some((index, event, event.signal()?)))
    }

    pub fn is_shell(&self, id: ProcessId) -> bool {
        match self.program(id) {
            Some(exec) => programs::is_shell(exec),
            None => self.process(id).is_some_and(|it| programs::is_shell_name(it.comm.as_bytes())),
        }
    }

    /// A shell, or a program whose only work is to run another.
    pub fn is_wrapper(&self, id: ProcessId) -> bool {
        self.is_shell(id) || self.program(id).is_some_and(programs::is_launcher)
    }

    /// By its program, or, where that is not known since it is outside of the container, by its name.
    pub fn is_runtime(&self, id: ProcessId) -> bool {
        match self.program(id) {
            Some(exec) => {
                // A first argument can be chosen: it counts only for runtimes that run themselves by a descriptor.
                let by_descriptor = programs::is_by_descriptor(exec);
                programs::is_runtime(&exec.path)
                    || (by_descriptor && exec.args.first().is_some_and(programs::is_runtime))
            }
            None => self.process(id).is_some_and(|it| {
                !it.tracked && it.below_root != Some(true) && programs::is_runtime(&it.comm)
            }),
        }
    }

    /// The first process of a container inside the tracked tree, seen from `outer`.
    pub fn is_inner_init(&self, id: ProcessId, outer: ProcessId) -> bool {
        match (self.process(id), self.process(outer)) {
            (Some(it), Some(outer)) => it.container_pid == 1 && it.pid_ns != outer.pid_ns,
            _ => false,
        }
    }

    /// Failed calls of it were overwritten by later ones.
    pub fn forgot_calls(&self, id: ProcessId) -> bool {
        self.events(id).any(|(_, event)| matches!(event.what, What::CallsForgotten(1..)))
    }

    /// All that happened to it was recorded: none of the life's records was lost, and its recorder was on from birth.
    pub fn saw_all_of(&self, id: ProcessId) -> bool {
        self.timeline.lost == 0 && self.end(id).is_some_and(|end| end.exit.recorded)
    }

    /// `gateway (pid 4211)`
    pub fn name(&self, id: ProcessId) -> String {
        let Some(process) = self.process(id) else { return format!("process {}", id.pid) };
        let program = self.last_exec(id).map(|(_, _, exec)| programs::name(exec));
        let name = program.filter(|name| !name.is_empty()).unwrap_or_else(|| process.comm.clone());
        format!("{name} (pid {})", process.agent_pid.unwrap_or(id.pid))
    }

    /// The name of one that may not belong to this life.
    pub fn name_of(&self, process: &Process) -> String {
        if process.tracked && self.process(process.id).is_some() {
            return self.name(process.id);
        }
        format!("{} (pid {})", process.comm, process.agent_pid.unwrap_or(process.id.pid))
    }

    /// True if no process of the life wrote a byte to stdout or stderr, `None` if that is not known.
    pub fn wrote_nothing(&self) -> Option<bool> {
        let mut known = false;
        for event in &self.timeline.entries {
            let heard = event.words().is_some_and(|it| it.total_bytes > 0 && !it.discarded);
            let by_its_end = event.exit().and_then(|exit| exit.written).map(|it| it != [0, 0]);
            let by_its_kill = event.oom().and_then(|oom| oom.written).map(|it| it != 0);
            let wrote = by_its_end.or(by_its_kill);
            if heard || wrote == Some(true) {
                return Some(false);
            }
            known |= wrote.is_some();
        }
        known.then_some(true)
    }

    /// The process wrote what nobody kept, as where output is not captured: it may have said what it ended of.
    pub fn is_unheard(&self, id: ProcessId) -> bool {
        let mut wrote = false;
        for (_, event) in self.events(id) {
            if event.words().is_some_and(|words| words.total_bytes > 0) {
                return false;
            }
            if let Some(exit) = event.exit() {
                wrote = exit.written.is_none_or(|bytes| bytes != [0, 0]);
            }
        }
        wrote
    }

    /// An argument of the program is this path, or ends with it: `-Dkey.store=/etc/app/key.p12`.
    pub fn is_argument(&self, id: ProcessId, path: &Text) -> bool {
        let given = |argument: &Text| {
            let rest = argument.as_bytes().strip_suffix(path.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(b"=") || rest.ends_with(b":"))
        };
        path.as_bytes().len() > 1
            && self.program(id).is_some_and(|exec| exec.args.iter().skip(1).any(given))
    }

    /// A path of the blamed process made absolute, where its working directory is known.
    pub fn absolute(&self, path: &Text) -> Text {
        if path.as_bytes().starts_with(b"/") {
            return path.clone();
        }
        let known = self.facts.paths.iter().find(|fact| fact.path == *path);
        known
            .map(|fact| fact.resolved.clone())
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| path.clone())
    }
}
