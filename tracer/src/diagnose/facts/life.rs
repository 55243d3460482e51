//! What is gathered about one life while it lasts. It must not know of other lives.

use std::time::Duration;

use super::{
    cgroups::{Hierarchy, Membership},
    executable, held,
    held::Held,
    holders, listeners,
    model::{Executable, FileState, Listeners, MemoryCgroup, PidsCgroup, PortFact, SenderFact},
    namespace::Namespace,
    pace::Pace,
    process_dir::ProcessDir,
    regular::Budget,
};
use crate::capture::event::{Bind, Event, Exec, ExecFailed, Process, ProcessId, SignalEvent};

/// Everything known of one life before its end.
#[derive(Debug)]
pub struct Life {
    /// Roots that its processes saw, the latest last.
    pub held: Vec<Held>,
    /// Namespaces of container inits in the making: they may be gone before anything else tells of them.
    inits: Vec<(ProcessId, Namespace)>,
    pub executables: Vec<Executable>,
    pub ports: Vec<PortFact>,
    pub senders: Vec<SenderFact>,
    pub listeners: Vec<Listeners>,
    pub membership: Option<Membership>,
    /// Pids cgroups at the first sight of the life.
    pids_before: Vec<PidsCgroup>,
    /// Cgroups as they were last read: they are removed soon after the end.
    memory: Vec<MemoryCgroup>,
    pids: Vec<PidsCgroup>,
    executable_pace: Pace,
    port_pace: Pace,
    sender_pace: Pace,
    cgroup_pace: Pace,
}

const HELD_MAX: usize = 4;
const INITS_MAX: usize = 4;
const EXECUTABLES_MAX: usize = 32;
const PORTS_MAX: usize = 16;
const SENDERS_MAX: usize = 16;
const LISTENERS_MAX: usize = 8;
const COMMAND_MAX: usize = 4096;
/// Bytes read, and the time spent, for one failing exec.
const EXECUTABLE_BYTES: u64 = 1 << 20;
const EXECUTABLE_TIME: Duration = Duration::from_millis(200);
const SECOND_NS: u64 = 1_000_000_000;

impl Life {
    pub fn new() -> Self {
        Self {
            held: Vec::new(),
            inits: Vec::new(),
            executables: Vec::new(),
            ports: Vec::new(),
            senders: Vec::new(),
            listeners: Vec::new(),
            membership: None,
            pids_before: Vec::new(),
            memory: Vec::new(),
            pids: Vec::new(),
            executable_pace: Pace::new(128, SECOND_NS / 20),
            port_pace: Pace::new(8, SECOND_NS),
            sender_pace: Pace::new(16, SECOND_NS / 10),
            cgroup_pace: Pace::new(8, SECOND_NS / 10),
        }
    }

    /// Holds the namespace of a container's init from its birth: it has milliseconds of work before it, but its
    /// entrypoint may fail at once.
    pub fn forked(&mut self, process: &Process) {
        if !begins_container(process) || self.inits.iter().any(|(id, _)| *id == process.id) {
            return;
        }
        let namespace = ProcessDir::of(process).ok().as_ref().and_then(Namespace::of);
        if let Some(namespace) = namespace {
            if self.inits.len() >= INITS_MAX {
                self.inits.remove(0);
            }
            self.inits.push((process.id, namespace));
        }
    }

    /// Holds what the inits that never became a program would have seen.
    pub fn hold_inits(&mut self) {
        for (_, namespace) in std::mem::take(&mut self.inits) {
            self.hold_namespace(&namespace);
        }
    }

    /// Holds what the process sees if that was not seen before in this life.
    pub fn exec(&mut self, event: &Event, exec: &Exec, hierarchies: &[Hierarchy]) {
        let is_new = self.held.iter().all(|held| held.mount_ns != exec.mount_ns);
        if is_new || event.process.root || self.membership.is_none() {
            self.look_at(&event.process, hierarchies);
        }
        if is_new {
            self.hold_init(&event.process);
        }
    }

    /// Holds what a process sees that ran before its container was tracked.
    pub fn found(&mut self, event: &Event, hierarchies: &[Hierarchy]) {
        if self.membership.is_none() || event.process.root {
            self.look_at(&event.process, hierarchies);
        }
    }

    /// Describes what could not be executed, in the root of who tried, else in the one that is held.
    pub fn exec_failed(
        &mut self,
        event: &Event,
        failed: &ExecFailed,
        hierarchies: &[Hierarchy],
        arch: &str,
    ) {
        if !self.executable_pace.allows(event.time_ns) {
            return;
        }
        if self.held.is_empty() {
            self.look_at(&event.process, hierarchies);
        }
        self.hold_init(&event.process);
        let executable = self.describe(&event.process, failed, arch).unwrap_or(Executable {
            path: failed.path.clone(),
            pid: event.process.id.pid,
            file: FileState::Unknown,
            ..Executable::default()
        });
        let same =
            |known: &Executable| (known.pid, &known.path) == (executable.pid, &executable.path);
        self.executables.retain(|known| !same(known));
        if self.executables.len() >= EXECUTABLES_MAX {
            self.executables.remove(0);
        }
        self.executables.push(executable);
    }

    fn describe(&self, process: &Process, failed: &ExecFailed, arch: &str) -> Option<Executable> {
        if failed.path_truncated {
            return None;
        }
        let alive = ProcessDir::of(process).ok();
        let own_root = alive.as_ref().and_then(held::root_of);
        let namespace = self.namespace_of(process);
        // The root of a container's init is its own or unknown, never that of its runtime.
        let known = if begins_container(process) {
            self.held.iter().rev().find(|held| Some(held.mount_ns) == namespace)
        } else {
            self.held.last()
        };
        let root = own_root.as_ref().or(known.map(|held| &held.root))?;
        let is_relative = !failed.path.as_bytes().starts_with(b"/");
        let start = match failed.dirfd {
            Some(descriptor) if is_relative => alive.as_ref()?.descriptor_path(descriptor)?,
            Some(_) | None => alive
                .and_then(|process| process.working_directory())
                .or_else(|| Some(known?.cwd.clone()))?,
        };
        // execveat with AT_EMPTY_PATH executes the descriptor itself.
        let path =
            if failed.path.is_empty() && failed.dirfd.is_some() { &start } else { &failed.path };
        let budget = Budget::new(EXECUTABLE_BYTES, EXECUTABLE_TIME);
        let executable = executable::describe(root, &start, path, process.id.pid, arch, &budget);
        Some(Executable { path: failed.path.clone(), ..executable })
    }

    /// Looks up who holds the address, at once: at the life's end it may be free again.
    pub fn bind_refused(&mut self, event: &Event, bind: &Bind) {
        if !self.port_pace.allows(event.time_ns) {
            return;
        }
        let Some(fact) = holders::find(&event.process, bind) else { return };
        let same = |known: &&mut PortFact| {
            (&known.protocol, known.port, known.net_ns) == (&fact.protocol, fact.port, fact.net_ns)
        };
        match self.ports.iter_mut().find(same) {
            // Who held it a moment ago says more than that nobody does any more.
            Some(known) => {
                if !fact.holders.is_empty() {
                    *known = fact;
                }
            }
            None => {
                if self.ports.len() < PORTS_MAX {
                    self.ports.push(fact);
                }
            }
        }
    }

    /// Notes what sent a signal from outside the life, while it still runs, and where the one that gets it listens.
    pub fn signal(&mut self, event: &Event, signal: &SignalEvent) {
        let sender = &signal.sender;
        let is_outside = signal.code.names_sender()
            && !sender.kernel_thread
            && sender.id != event.process.id
            && !(sender.tracked && sender.cgroup == event.process.cgroup);
        if is_outside && signal.signal.asks_for_the_end() {
            self.listens(&event.process);
        }
        let is_known = self.senders.iter().any(|known| known.pid == sender.id.pid);
        if !is_outside || is_known || self.senders.len() >= SENDERS_MAX {
            return;
        }
        if !self.sender_pace.allows(event.time_ns) {
            return;
        }
        if let Ok(process) = ProcessDir::of(sender) {
            let command = process.command(COMMAND_MAX);
            if !command.is_empty() {
                self.senders.push(SenderFact { pid: sender.id.pid, command });
            }
        }
    }

    fn listens(&mut self, process: &Process) {
        let is_known = self.listeners.iter().any(|known| known.pid == process.id.pid);
        if !is_known && self.listeners.len() < LISTENERS_MAX {
            self.listeners.extend(listeners::of(process));
        }
    }

    /// Reads the cgroups while they are sure to exist: at an OOM kill, where the usage is still that of
    /// the kill, and at the end of a process that came in from outside.
    pub fn read_cgroups(&mut self, event: &Event, hierarchies: &[Hierarchy]) {
        if !self.cgroup_pace.allows(event.time_ns) {
            return;
        }
        let own = membership_of(&event.process, hierarchies);
        let Some(membership) = own.or_else(|| self.membership.clone()) else { return };
        merge(&mut self.memory, membership.memory(), |cgroup| cgroup.id);
        merge(&mut self.pids, membership.pids(), |cgroup| cgroup.path.clone());
        self.membership.get_or_insert(membership);
    }

    /// Memory cgroups: as last read before the end, those above as they are now.
    pub fn memory(&self) -> Vec<MemoryCgroup> {
        let mut memory = self.memory.clone();
        let now = self.membership.iter().flat_map(Membership::memory);
        memory.extend(now.filter(|cgroup| self.memory.iter().all(|known| known.id != cgroup.id)));
        memory
    }

    /// Pids cgroups, the latest figures of each, counting only refusals of this life.
    pub fn pids(&self) -> Vec<PidsCgroup> {
        let mut pids = self.pids.clone();
        let now = self.membership.iter().flat_map(Membership::pids).collect();
        merge(&mut pids, now, |cgroup| cgroup.path.clone());
        for cgroup in &mut pids {
            let before = self.pids_before.iter().find(|known| known.path == cgroup.path);
            let before = before.and_then(|known| known.refused).unwrap_or(0);
            cgroup.refused = cgroup.refused.map(|refused| refused.saturating_sub(before));
        }
        pids
    }

    /// The root that a process with this mount namespace saw, if it could be held; the latest where the namespace is
    /// not known.
    pub fn held_for(&self, mount_ns: Option<u32>) -> Option<&Held> {
        match mount_ns {
            // Another namespace may hold other files at the same paths.
            Some(known) => self.held.iter().rev().find(|held| held.mount_ns == known),
            None => self.held.last(),
        }
    }

    fn look_at(&mut self, process: &Process, hierarchies: &[Hierarchy]) {
        if let Ok(alive) = ProcessDir::of(process) {
            self.hold(&alive, hierarchies);
        }
        // A process that has ended but was not waited for has no root any more.
        if self.held.is_empty() && is_own_child(process) {
            self.held.extend(Held::own());
        }
    }

    fn hold(&mut self, alive: &ProcessDir, hierarchies: &[Hierarchy]) {
        // It may have moved since it was last seen: runtimes, and wrappers, set limits before the last exec.
        let now = membership(alive, hierarchies);
        if now.is_some() && now != self.membership {
            self.membership = now;
            let pids = self.membership.iter().flat_map(Membership::pids).collect();
            merge_new(&mut self.pids_before, pids, |cgroup| cgroup.path.clone());
        }
        if self.held.len() >= HELD_MAX || self.is_held(alive) {
            return;
        }
        self.held.extend(Held::of(alive));
    }

    /// Holds the namespace in which a container's init was born, if its root is not held yet.
    fn hold_init(&mut self, process: &Process) {
        if let Some(index) = self.inits.iter().position(|(id, _)| *id == process.id) {
            let (_, namespace) = self.inits.remove(index);
            self.hold_namespace(&namespace);
            self.inits.push((process.id, namespace));
        }
    }

    fn hold_namespace(&mut self, namespace: &Namespace) {
        let is_held = self.held.iter().any(|held| held.mount_ns == namespace.inum());
        if !is_held && self.held.len() < HELD_MAX {
            self.held.extend(Held::of_namespace(namespace));
        }
    }

    fn namespace_of(&self, process: &Process) -> Option<u32> {
        let own = self.inits.iter().find(|(id, _)| *id == process.id);
        own.map(|(_, namespace)| namespace.inum())
    }

    fn is_held(&self, process: &ProcessDir) -> bool {
        let root = process.stat("root").ok().map(|stat| (stat.st_dev, stat.st_ino));
        let mount_ns = process.namespace("ns/mnt");
        self.held.iter().any(|held| Some(held.mount_ns) == mount_ns && held.root.identity() == root)
    }
}

/// True for the first process of a pid namespace that has not become a program yet.
fn begins_container(process: &Process) -> bool {
    process.runtime_init && process.container_pid == 1
}

/// True for the command of `tracer exec`. The parent's pid is that of the initial pid namespace: it can
/// be compared where the agent's is the same.
fn is_own_child(process: &Process) -> bool {
    let in_initial_namespace = process.agent_pid == Some(process.id.pid);
    in_initial_namespace && process.root && process.parent_pid == std::process::id()
}

fn membership_of(process: &Process, hierarchies: &[Hierarchy]) -> Option<Membership> {
    membership(&ProcessDir::of(process).ok()?, hierarchies)
}

fn membership(process: &ProcessDir, hierarchies: &[Hierarchy]) -> Option<Membership> {
    let cgroup: Vec<u8> = process.read("cgroup", 64 << 10).ok()?;
    Some(Membership::parse(&cgroup, hierarchies))
}

/// Adds what is not known yet.
fn merge_new<T, K: PartialEq>(known: &mut Vec<T>, later: Vec<T>, key: impl Fn(&T) -> K) {
    for item in later {
        if known.iter().all(|known| key(known) != key(&item)) {
            known.push(item);
        }
    }
}

/// Replaces what is known by what was read later; what is new comes last.
fn merge<T, K: PartialEq>(known: &mut Vec<T>, later: Vec<T>, key: impl Fn(&T) -> K) {
    for item in later {
        match known.iter_mut().find(|known| key(known) == key(&item)) {
            Some(known) => *known = item,
            None => known.push(item),
        }
    }
}
