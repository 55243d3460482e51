//! One container from its cgroup's birth to its removal: who it is, which process is its main one, and when its life is
//! over. It must not do I/O or know the clock.

use std::{collections::HashSet, sync::Arc};

use crate::{
    capture::event::{BootNs, Event, Exit, Found, LostKind, Process, ProcessId, What, Words},
    contract,
    diagnose::{facts::Facts, timeline::Timeline},
    linux::{signal::Signal, text::Text},
    node::{identity::Identity, store::LifeKey},
};

use super::history::History;

/// Processes of one container that are counted as living; beyond them its end is known by that of its cgroup.
const LIVING: usize = 4096;
/// Processes that were killed while the container lived on, and are still to be reported.
const VICTIMS: usize = 16;

/// A container whose cgroup is tracked.
#[derive(Debug)]
pub struct Container {
    pub cgroup: u64,
    pub life: Arc<LifeKey>,
    /// When it was first seen.
    pub since_ns: BootNs,
    pub who: Who,
    pub history: History,
    /// The process that its runtime's init became.
    pub main: Option<ProcessId>,
    pub stage: Stage,
    /// Its cgroup is gone.
    pub is_removed: bool,
    /// It was there before it was watched, and what runs in it is being found.
    pub is_being_found: bool,
    /// Its main process went on when the recorder was switched off.
    pub outlived_recorder: bool,
    /// The runtime was asked about its end.
    pub explained: bool,
    /// What it said.
    pub runtime_message: Option<String>,
    /// How often its end was reported.
    pub revision: u32,
    /// The facts of an end that was reported by the path alone: it will be reported again, by name.
    reported_by_path: Option<Box<Facts>>,
    /// The recorder was on for its main process.
    recorded: bool,
    /// The oldest process that was found in it.
    found: Option<ProcessId>,
    living: HashSet<ProcessId>,
    victims: Vec<(ProcessId, BootNs)>,
}

/// What attribution found out.
#[derive(Clone, Debug)]
pub enum Who {
    /// Asked, no answer yet: its events are held.
    Asked,
    /// The runtime did not answer in time, but still may: its events are held, its death is reported by what the path says.
    ByPath(Arc<Attribution>),
    /// Selected.
    Settled(Arc<Attribution>),
}

impl Who {
    /// Whose it is, as far as that is known.
    pub fn owner(&self) -> Option<&Arc<Attribution>> {
        match self {
            Self::Asked => None,
            Self::ByPath(owner) | Self::Settled(owner) => Some(owner),
        }
    }
}

/// Programs that hold a pod's namespaces: Kubernetes' own, and OpenShift's.
const PAUSES: [&[u8]; 2] = [b"/pause", b"/usr/bin/pod"];

#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    pub identity: Arc<Identity>,
    /// As every line names them.
    pub container: contract::Container,
    pub k8s: Option<contract::K8s>,
    pub capture_output: bool,
}

impl Attribution {
    pub fn new(identity: Identity, capture_output: bool) -> Self {
        let (container, k8s) = (contract::Container::of(&identity), contract::K8s::of(&identity));
        Self { identity: Arc::new(identity), container, k8s, capture_output }
    }
}

/// How far a life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its main process has not begun.
    Starting,
    Running,
    /// Over; the verdict is due.
    Ended,
    /// The verdict was reported.
    Reported,
}

impl Container {
    pub fn new(cgroup: u64, life: LifeKey, since_ns: BootNs) -> Self {
        Self {
            cgroup,
            life: Arc::new(life),
            since_ns,
            who: Who::Asked,
            history: History::default(),
            main: None,
            stage: Stage::Starting,
            is_removed: false,
            is_being_found: false,
            outlived_recorder: false,
            explained: false,
            runtime_message: None,
            revision: 0,
            reported_by_path: None,
            recorded: false,
            found: None,
            living: HashSet::new(),
            victims: Vec::new(),
        }
    }

    /// Whether an event speaks of all of its process, as far as the recorder is concerned, which was switched off at
    /// `off_ns`: of one that lived on only the beginning is known, which must not be taken for all. Takes away what would be.
    pub fn keeps_of_recorder(&mut self, event: &mut Event, off_ns: BootNs) -> bool {
        if event.process.id.start_ns >= off_ns || event.time_ns <= off_ns {
            return true;
        }
        if let What::Exit(exit) = &mut event.what {
            exit.written = None;
            self.outlived_recorder |= self.main == Some(event.process.id);
        }
        event.words().is_none()
    }

    /// Takes an event of the container. Returns whether its life ended by it.
    pub fn add(&mut self, event: Event) -> bool {
        if self.is_over() {
            return false;
        }
        let id = event.process.id;
        let is_exec = matches!(event.what, What::Exec(_));
        let exit = event.exit().map(|exit| exit.recorded);
        let killed = is_killed(&event);
        let is_found = matches!(event.what, What::Found(_)) && !event.process.runtime_init;
        let age = |id: &ProcessId| (id.start_ns, id.pid);
        if is_found && self.found.is_none_or(|oldest| age(&id) < age(&oldest)) {
            self.found = Some(id);
        }
        self.count(&event);
        let time_ns = event.time_ns;
        self.history.push(event);
        if is_exec && self.main.is_none() {
            self.look_for_main();
        }
        let is_noted = self.victims.iter().any(|(victim, _)| *victim == id);
        if killed && self.main != Some(id) && !is_noted && self.victims.len() < VICTIMS {
            self.victims.push((id, time_ns));
        }
        let over = match self.main {
            Some(main) => exit.is_some() && main == id,
            // A runtime's init that ends without an exec is a failed entrypoint.
            None => exit.is_some() && self.living.is_empty(),
        };
        if over {
            self.recorded = exit.unwrap_or_default();
            self.stage = Stage::Ended;
        }
        over
    }

    /// Its main process is known from elsewhere.
    pub fn runs_as(&mut self, main: ProcessId) {
        self.main = Some(main);
        self.stage = Stage::Running;
    }

    /// It is known whose it is, as far as `who` says.
    pub fn attribute(&mut self, who: Who) {
        self.who = who;
        if self.keeps_no_output() {
            self.history.retain(|event| !is_output(event));
        }
    }

    /// Whether this must not be kept of it.
    pub fn must_not_keep(&self, event: &Event) -> bool {
        is_output(event) && self.keeps_no_output()
    }

    fn keeps_no_output(&self) -> bool {
        self.who.owner().is_some_and(|owner| !owner.capture_output)
    }

    /// Whether its end is reported by what its path says alone.
    pub fn is_by_path(&self) -> bool {
        match self.who {
            Who::ByPath(_) => true,
            Who::Asked | Who::Settled(_) => false,
        }
    }

    /// Whether it seems to hold a pod's namespaces and do nothing else. For those known by their path alone.
    pub fn is_pause(&self) -> bool {
        let is_pause = |path: &Text| PAUSES.contains(&path.as_bytes());
        let is_it = |event: &Event| event.program().is_some_and(|(path, _)| is_pause(path));
        let events = self.history.events();
        events.iter().any(|event| Some(event.process.id) == self.main && is_it(event))
    }

    /// Whether nothing that happens matters any more.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Reported)
    }

    /// Whether nothing ever happened in it.
    pub fn is_blank(&self) -> bool {
        self.history.is_empty()
    }

    /// Whether the recorder was on from the first exec of its main process on.
    pub fn was_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether the runtime knows more of its end than the recorder: why it could not be started, and what it wrote
    /// while the recorder was off, or beyond what is kept.
    pub fn needs_explaining(&self) -> bool {
        !self.explained && (self.needs_waiting() || self.wrote_more_than_is_kept())
    }

    /// Whether that is worth waiting for.
    pub fn needs_waiting(&self) -> bool {
        self.main.is_none() || !self.recorded || self.outlived_recorder
    }

    /// Of the last burst of its main process some bytes are missing.
    fn wrote_more_than_is_kept(&self) -> bool {
        let Some(main) = self.main else { return false };
        let lacks = |event: &Event| event.words().is_some_and(|words| words.skipped_bytes > 0);
        self.history.events().iter().any(|event| event.process.id == main && lacks(event))
    }

    /// An event for what its main process wrote, at its end; `None` if nothing is known of that process.
    pub fn output_event(&self, words: Words) -> Option<Event> {
        let main = self.main?;
        let of_main = |event: &&Event| event.process.id == main;
        let last = self.history.events().into_iter().rev().find(|event| of_main(&event))?;
        Some(Event { what: What::Words(words), ..last })
    }

    /// Its end was reported; nothing of it is held any longer.
    pub fn reported(&mut self) {
        self.stage = Stage::Reported;
        self.reported_by_path = None;
        self.history = History::default();
        self.living = HashSet::new();
        self.victims = Vec::new();
    }

    /// Its end was reported by its path. All is held for the time when it is known whose it is.
    pub fn reported_by_path(&mut self, facts: Facts) {
        self.stage = Stage::Reported;
        self.reported_by_path = Some(Box::new(facts));
    }

    /// Whether its end was reported, and will not be reported better.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Reported && self.reported_by_path.is_none()
    }

    /// Where its end was reported by the path it must be reported again. Returns whether that is so.
    pub fn reopen(&mut self) -> bool {
        let again = self.reported_by_path.is_some();
        if again {
            self.stage = Stage::Ended;
        }
        again
    }

    /// The facts with which its end was reported by the path.
    pub fn take_facts(&mut self) -> Option<Facts> {
        self.reported_by_path.take().map(|facts| *facts)
    }

    /// Its cgroup is gone, and so is every process of it. Returns whether its life ended by it: whether its end was lost.
    pub fn cgroup_removed(&mut self) -> bool {
        let over = !self.is_over() && !self.history.is_empty();
        if over {
            self.stage = Stage::Ended;
        }
        over
    }

    /// It is gone, and its end was not recorded: where nothing is held of it, that its main process ran is what is known.
    pub fn ends_unseen(&mut self, now: BootNs) {
        if !self.history.is_empty() {
            return;
        }
        let found = Found { found_ns: now, path: Text::default(), args: Vec::new() };
        let process = unseen(self.cgroup, self.main);
        let time_ns = process.id.start_ns.max(self.since_ns.min(now));
        self.main = Some(process.id);
        let event = Event { time_ns, cgroup: self.cgroup, process, what: What::Found(found) };
        self.history.push(event);
        self.history.add_lost(LostKind::Exit, 1);
    }

    /// All that ran in it was found. The oldest process is the main one: others came by `kubectl exec`. A runtime's init
    /// is none yet.
    pub fn found_all(&mut self) {
        self.is_being_found = false;
        if let Some(oldest) = self.found
            && self.main.is_none()
            && self.stage == Stage::Starting
        {
            self.runs_as(oldest);
        }
    }

    /// Processes killed before a time, which are not to be reported again.
    pub fn take_victims(&mut self, before_ns: BootNs) -> Vec<ProcessId> {
        let due = |(_, time_ns): &(ProcessId, BootNs)| *time_ns < before_ns;
        let (due, later) = self.victims.drain(..).partition(due);
        self.victims = later;
        let due: Vec<(ProcessId, BootNs)> = due;
        due.into_iter().map(|(id, _)| id).collect()
    }

    fn count(&mut self, event: &Event) {
        let id = event.process.id;
        if matches!(event.what, What::Exit(_)) {
            self.living.remove(&id);
        } else if event.process.tracked && !matches!(event.what, What::Lost(_)) {
            self.add_living(id);
        }
    }

    fn add_living(&mut self, id: ProcessId) {
        if self.living.len() < LIVING {
            self.living.insert(id);
        }
    }

    fn look_for_main(&mut self) {
        let Ok(timeline) = Timeline::build(self.history.events()) else { return };
        if timeline.main_has_begun() {
            self.main = Some(timeline.main);
            self.stage = Stage::Running;
        }
    }
}

/// The main process of a life of which an earlier agent knew no more than that, if at all.
fn unseen(cgroup: u64, main: Option<ProcessId>) -> Process {
    Process {
        id: main.unwrap_or(ProcessId { pid: 0, start_ns: 0 }),
        tid: 0,
        container_pid: 0,
        agent_pid: None,
        parent_pid: 0,
        uid: 0,
        gid: 0,
        cgroup,
        pid_ns: 0,
        seccomp: false,
        comm: Text::from("its main process"),
        tracked: true,
        root: true,
        runtime_init: false,
        kernel_thread: false,
        below_root: None,
        above: None,
    }
}

/// What a program wrote; the runtime's own word is not.
fn is_output(event: &Event) -> bool {
    matches!(event.what, What::Words(_)) && !event.process.runtime_init
}

/// The kernel ends a process: for want of memory, or for its own doing.
fn is_killed(event: &Event) -> bool {
    let by_own_doing = |exit: &Exit| exit.status.signal.is_some_and(Signal::is_own_doing);
    event.oom().is_some() || event.exit().is_some_and(by_own_doing)
}
