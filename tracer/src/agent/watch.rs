//! What the agent knows of its node, and what it does with each event: to which container it belongs, when that container
//! is over, what is told of it. It must not wait for anything.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    arming::Arming,
    cluster::Cluster,
    container::{Container, Known, Stage, Who},
    ending,
    explain::{self, Explained},
    inventory,
    loops::Loops,
    losses::Losses,
    pods::Pods,
    teller::Teller,
};
use crate::{
    attribute::{
        cgroup_path::{self, CgroupPath},
        roots::Root,
        selection::{self, Selection},
    },
    contract::names,
    event::{BootNs, CgroupChange, Change, Event, ProcessId, What},
    facts::{Facts, Gatherer, boot_offset_ns},
    identity::Source,
    kernel::{LoadError, Programs},
    metrics::{ByCause, ByKind, ByRule, EventsLost, Metrics, set_total},
    redact::Redactor,
    store::{End, Life, LifeKey},
};

/// Containers that are held at once; the kernel side tracks as many.
const CONTAINERS: usize = 4096;
/// A child that was killed may take its main process with it: so long is waited before it is told of on its own.
const MAIN_FOLLOWS_NS: u64 = 1_500_000_000;
/// Events whose container is not known yet: told in the other ring, a moment later.
const STRAYS: usize = 4096;

/// Something that only the outside can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is it?
    Who { cgroup: u64, container_id: String, pod_uid: Option<String> },
    /// The same, once it was not answered in time.
    WhoLate { cgroup: u64, container_id: String, pod_uid: Option<String> },
    /// The recorder does not know all of its end: what does the runtime say of it?
    End { cgroup: u64, container_id: String, patience: Duration },
}

/// The node's containers and all that is needed to tell of them.
pub struct Watch {
    pub programs: Programs,
    pub teller: Teller,
    pub arming: Arming,
    boot_id: String,
    pub(super) selections: Vec<Selection>,
    pub(super) redactor: Redactor,
    pub(super) metrics: Arc<Metrics>,
    pub(super) gatherer: Gatherer,
    /// When the recorder was switched off last.
    pub(super) recorder_off_ns: BootNs,
    pub(super) containers: HashMap<u64, Container>,
    pub(super) pods: Pods,
    /// Containers that are still asked for although no answer came in time.
    pub(super) late: HashSet<u64>,
    /// Cgroups inside of a container's, by its id.
    nested: HashMap<u64, u64>,
    roots: HashSet<u64>,
    losses: Losses,
    pub(super) loops: Loops,
    pub(super) cluster: Cluster,
    strays: Vec<Event>,
    /// An inventory was written, and not taken yet.
    is_finding: bool,
    pub(super) questions: Vec<Question>,
    /// Containers whose lives are over and whose verdicts are due.
    pub(super) due: Vec<u64>,
    pub(super) boot_offset_ns: i64,
}

/// What the watch is made of.
pub struct Parts {
    pub programs: Programs,
    pub teller: Teller,
    pub arming: Arming,
    pub boot_id: String,
    pub selections: Vec<Selection>,
    pub redactor: Redactor,
    pub metrics: Arc<Metrics>,
    pub cluster: Cluster,
}

impl Watch {
    pub fn new(parts: Parts) -> Self {
        let Parts { programs, teller, arming, boot_id, selections, redactor, metrics, cluster } =
            parts;
        Self {
            programs,
            teller,
            arming,
            boot_id,
            selections,
            redactor,
            metrics,
            gatherer: Gatherer::new(),
            // What an earlier agent did is not known.
            recorder_off_ns: super::now(),
            containers: HashMap::new(),
            pods: Pods::default(),
            late: HashSet::new(),
            nested: HashMap::new(),
            roots: HashSet::new(),
            losses: Losses::default(),
            loops: Loops::default(),
            cluster,
            strays: Vec::new(),
            is_finding: false,
            questions: Vec::new(),
            due: Vec::new(),
            boot_offset_ns: boot_offset_ns(),
        }
    }

    /// Watches roots that were not watched before, and what runs below them already.
    ///
    /// # Errors
    /// The kernel has no room for another root, or refuses the inventory.
    pub fn watch_roots(&mut self, roots: &[Root], now: BootNs) -> Result<(), LoadError> {
        let new: Vec<&Root> = roots.iter().filter(|root| self.roots.insert(root.id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for root in &new {
            tracing::info!(path = %root.path.display(), "watching the pods below");
            self.programs.watch_root(root.id)?;
        }
        self.begin_what_runs(new, now)
    }

    /// Containers below the roots, those that are not known yet from now on, and their processes.
    fn begin_what_runs<'a>(
        &mut self,
        roots: impl IntoIterator<Item = &'a Root>,
        now: BootNs,
    ) -> Result<(), LoadError> {
        for cgroup in roots.into_iter().flat_map(inventory::below) {
            match &cgroup.path {
                CgroupPath::Container(of) => {
                    self.programs.track(cgroup.id, cgroup.root, true)?;
                    let is_known = self.containers.contains_key(&cgroup.id);
                    self.begin(cgroup.id, of, now);
                    if let Some(container) = self.containers.get_mut(&cgroup.id) {
                        container.is_being_found = !is_known;
                    }
                }
                CgroupPath::Pod { uid, .. } => self.pods.made(uid.clone(), cgroup.id),
                CgroupPath::Pods | CgroupPath::Monitor { .. } | CgroupPath::Other => {}
            }
        }
        self.is_finding = true;
        self.programs.take_inventory()
    }

    /// A life that an earlier agent of this boot told the beginning of.
    pub fn resume(&mut self, life: &Life, now: BootNs) {
        let (cgroup, identity) = (life.cgroup_id, &life.identity);
        let mut container = Container::new(cgroup, life.key(), now);
        if let Some(main) = life.main {
            container.runs_as(main);
        }
        self.containers.insert(cgroup, container);
        match identity.source {
            Source::Cri => self.recognise(cgroup, identity.clone()),
            Source::Path => self.questions.push(Question::Who {
                cgroup,
                container_id: identity.container_id.clone(),
                pod_uid: identity.pod_uid.clone(),
            }),
        }
    }

    /// Lives that were resumed, whose cgroups are gone and of whose end nothing was recorded.
    pub fn give_up_the_vanished(&mut self, exists: impl Fn(u64) -> bool) {
        let gone: Vec<u64> = self
            .containers
            .values()
            .filter(|container| container.stage == Stage::Running && !exists(container.cgroup))
            .map(|container| container.cgroup)
            .collect();
        for cgroup in gone {
            self.removed(cgroup);
        }
    }

    /// Takes events in the order of their time: all that was written before.
    pub fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        let strays = std::mem::take(&mut self.strays);
        for event in events {
            self.one(event, true);
        }
        for stray in strays {
            self.one(stray, false);
        }
        // The kernel wrote all of an inventory before it was asked for more.
        if std::mem::take(&mut self.is_finding) {
            let found = self.containers.values_mut().filter(|container| container.is_being_found);
            found.for_each(Container::found_all);
        }
    }

    fn one(&mut self, mut event: Event, may_stray: bool) {
        if may_stray {
            self.metrics.events.get_or_create(&ByKind { kind: names::kind(&event.what) }).inc();
        }
        if let What::Cgroup(change) = &event.what {
            match change.change {
                Change::Made => return self.made(event),
                Change::Removed => return self.cgroup_removed(change.id),
                Change::MovedIn | Change::MovedOut => {}
            }
        }
        let cgroup = self.nested.get(&event.cgroup).copied().unwrap_or(event.cgroup);
        let Some(container) = self.containers.get_mut(&cgroup) else {
            if may_stray && self.strays.len() < STRAYS {
                self.strays.push(event);
            }
            return;
        };
        if container.is_over() {
            return;
        }
        event.cgroup = cgroup;
        if let What::Found(found) = &mut event.what {
            // An inventory tells of the processes of all containers, known ones too.
            if !container.is_being_found {
                return;
            }
            inventory::complete(found, &event.process);
            event.process.runtime_init |= inventory::is_runtime_init(found, &event.process);
        }
        if !container.keeps_of_recorder(&mut event, self.recorder_off_ns) {
            return;
        }
        self.gatherer.observe(&event);
        self.redactor.event(&mut event);
        if container.must_not_keep(&event) {
            return;
        }
        if let Who::Known(known) = &container.who {
            let known = known.clone();
            let life = container.life.clone();
            self.teller.event(&life, &known, &event, container.since_ns, self.boot_offset_ns);
        }
        let had_main = container.main.is_some();
        let over = container.take(event);
        let has_main = container.main.is_some();
        if over {
            self.due.push(cgroup);
        }
        if !had_main && has_main {
            self.tell_of_life(cgroup);
        }
    }

    fn made(&mut self, event: Event) {
        let What::Cgroup(CgroupChange { id, path, .. }) = &event.what else { return };
        let (id, now) = (*id, event.time_ns);
        match cgroup_path::parse(&path.to_json_string()) {
            CgroupPath::Container(of) => {
                self.begin(id, &of, now);
                if let Some(container) = self.containers.get_mut(&id) {
                    container.take(event);
                }
            }
            CgroupPath::Pod { uid, .. } => {
                self.pods.made(uid, id);
                self.arming.began(id, now);
            }
            CgroupPath::Pods | CgroupPath::Monitor { .. } | CgroupPath::Other => {}
        }
    }

    /// A container's cgroup is there.
    fn begin(&mut self, cgroup: u64, of: &cgroup_path::ContainerCgroup, now: BootNs) {
        if of.nested {
            let around = self
                .containers
                .values()
                .find(|it| it.life.container_id == of.container_id && !it.is_over());
            if let Some(around) = around {
                self.nested.insert(cgroup, around.cgroup);
            }
            return;
        }
        if self.containers.contains_key(&cgroup) || self.containers.len() >= CONTAINERS {
            return;
        }
        let (container_id, pod_uid) = (of.container_id.clone(), of.pod_uid.clone());
        if !pod_uid.as_ref().is_some_and(|uid| self.is_unselected(uid)) {
            self.arming.began(cgroup, now);
        }
        let boot_id = self.boot_id.clone();
        let life = LifeKey { boot_id, container_id: container_id.clone() };
        let container = Container::new(cgroup, life, now);
        self.containers.insert(cgroup, container);
        self.questions.push(Question::Who { cgroup, container_id, pod_uid });
    }

    fn cgroup_removed(&mut self, cgroup: u64) {
        if self.nested.remove(&cgroup).is_none() {
            self.removed(cgroup);
        }
    }

    fn removed(&mut self, cgroup: u64) {
        let Some(container) = self.containers.get_mut(&cgroup) else {
            // A pod's: nothing of it will start again.
            self.pods.removed(cgroup);
            return self.arming.forget(cgroup);
        };
        if container.removed() {
            self.due.push(cgroup);
        }
        container.is_removed = true;
        self.forget_if_done(cgroup);
    }

    /// What the runtime says of an end that the recorder did not see.
    pub fn end_explained(&mut self, cgroup: u64, explained: Explained) {
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        let captures = matches!(&container.who, Who::Known(known) if known.capture_output);
        for words in explained.words.into_iter().filter(|_| captures) {
            let Some(mut event) = container.word(words) else { continue };
            self.redactor.event(&mut event);
            container.history.push(event);
        }
        container.runtime_message = explained.message;
        container.explained = true;
        self.due.push(cgroup);
    }

    /// Tells of the lives that are over, as far as it is known whose they are.
    pub fn tell_the_dead(&mut self) {
        for cgroup in std::mem::take(&mut self.due) {
            let Some(container) = self.containers.get(&cgroup) else { continue };
            let (known, by_path) = match &container.who {
                Who::Known(known) => (known.clone(), false),
                // No runtime that answers would be needed to know a pause container.
                Who::ByPath(known) if !container.is_pause() => (known.clone(), true),
                Who::ByPath(_) | Who::Asked => continue,
            };
            if container.stage != Stage::Ended {
                continue;
            }
            if !by_path && container.needs_explaining() {
                let container_id = container.life.container_id.clone();
                let patience = explain::patience(container.needs_waiting());
                self.questions.push(Question::End { cgroup, container_id, patience });
                continue;
            }
            if self.waits(cgroup, &known.identity, super::now()) {
                continue;
            }
            self.note_losses();
            self.tell_of_end(cgroup, &known, by_path);
        }
    }

    /// By name, or by the path: then again, once it is known whose it is.
    fn tell_of_end(&mut self, cgroup: u64, known: &Arc<Known>, by_path: bool) {
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        let life = container.life.clone();
        let mut held = None;
        let terms = self.terms_for(cgroup, &known.identity);
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        if let Some(timeline) = ending::timeline(container) {
            let told_before = container.facts();
            let mut facts = match told_before {
                Some(facts) => facts,
                None => self.facts(&timeline),
            };
            let Some(container) = self.containers.get_mut(&cgroup) else { return };
            facts.runtime_message = container.runtime_message.take();
            container.revision += 1;
            let revision = container.revision;
            let unrecorded = u64::from(!container.was_recorded());
            let mut ending = ending::of_life(known, &timeline, &facts, &terms, &mut self.loops);
            ending.told.object.crash.revision = revision;
            ending.told.is_line |= revision > 1;
            let now = super::now();
            let end_ns = timeline.entries.last().map_or(now, |event| event.time_ns);
            if revision == 1 {
                self.metrics.verdict_seconds.observe(seconds(now.saturating_sub(end_ns)));
                self.metrics.verdicts.get_or_create(&ByCause { cause: ending.told.cause }).inc();
                self.metrics.lives_ended.inc();
                self.metrics.lives_unrecorded.inc_by(unrecorded);
                self.arming.died(cgroup, now);
            }
            let stored = Life {
                command: ending.command,
                memory_limit_bytes: ending.memory_limit_bytes,
                ..stored_life(container, known, self.boot_offset_ns)
            };
            self.teller.life(stored);
            let end = End {
                time_ns: wall(end_ns, self.boot_offset_ns),
                exit: ending.exit,
                cause: ending.told.cause.to_owned(),
            };
            let object = ending.told.object.clone();
            self.teller.crash(&life, known, ending.told);
            self.teller.end(&life, end);
            if by_path {
                held = Some(facts);
            } else {
                self.cluster.keep((&life, known), (timeline, facts), terms, object, now);
            }
        }
        if let Some(container) = self.containers.get_mut(&cgroup) {
            match held {
                Some(facts) => container.told_by_path(facts),
                None => container.told(),
            }
        }
        self.gatherer.forget(cgroup);
        self.forget_if_done(cgroup);
    }

    /// Tells of processes that were killed a while ago while their containers lived on.
    pub fn tell_of_incidents(&mut self, now: BootNs) {
        let before = now.saturating_sub(MAIN_FOLLOWS_NS);
        let mut due: Vec<(u64, Arc<Known>, Vec<ProcessId>)> = Vec::new();
        for container in self.containers.values_mut() {
            if container.stage == Stage::Running
                && let Who::Known(known) = &container.who
            {
                let known = known.clone();
                let victims = container.take_victims(before);
                if !victims.is_empty() {
                    due.push((container.cgroup, known, victims));
                }
            }
        }
        for (cgroup, known, victims) in due {
            let Some(container) = self.containers.get(&cgroup) else { continue };
            let life = container.life.clone();
            let Some(timeline) = ending::timeline(container) else { continue };
            let facts = self.facts(&timeline);
            for told in ending::of_processes(&known, &timeline, &facts, &victims) {
                self.metrics.verdicts.get_or_create(&ByCause { cause: told.cause }).inc();
                self.teller.crash(&life, &known, told);
            }
        }
    }

    /// Reads what the kernel side lost since the last time.
    pub fn note_losses(&mut self) {
        let lost = match self.programs.lost() {
            Ok(lost) => self.losses.since(&lost),
            Err(error) => return tracing::warn!(%error, "losses cannot be read"),
        };
        for (cgroup, of, count) in lost {
            EventsLost { kind: names::lost(of), count }.tell(&self.metrics);
            let cgroup = self.nested.get(&cgroup).copied().unwrap_or(cgroup);
            if let Some(container) = self.containers.get_mut(&cgroup) {
                container.history.add_lost(of, count);
            }
        }
    }

    /// Once a second: what changes by time alone.
    pub fn tick(&mut self, now: BootNs) {
        self.boot_offset_ns = boot_offset_ns();
        self.note_losses();
        for (rule, count) in self.redactor.counts() {
            let counter = self.metrics.redactions.get_or_create(&ByRule { rule: rule.name() });
            set_total(&counter, count);
        }
        self.tell_of_incidents(now);
        self.forget_of_cluster(now);
        self.metrics.lives.set(i64::try_from(self.containers.len()).unwrap_or(i64::MAX));
    }

    /// Selects anew: what is no longer wanted is let go of, what came to be wanted is found.
    pub fn select(
        &mut self,
        selections: Vec<Selection>,
        roots: &[Root],
        now: BootNs,
    ) -> Result<(), LoadError> {
        self.selections = selections;
        let unwanted: Vec<u64> = self
            .containers
            .values()
            .filter(|container| match &container.who {
                Who::Known(known) => {
                    selection::matches(&self.selections, &known.identity).is_none()
                }
                Who::Asked | Who::ByPath(_) => false,
            })
            .map(|container| container.cgroup)
            .collect();
        unwanted.into_iter().for_each(|cgroup| self.dismiss(cgroup));
        self.begin_what_runs(roots, now)
    }

    /// What must be asked since the last time.
    pub fn take_questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.questions)
    }

    /// Whether events wait for the other ring.
    pub fn has_strays(&self) -> bool {
        !self.strays.is_empty()
    }

    fn facts(&mut self, timeline: &crate::timeline::Timeline) -> Facts {
        let mut facts = self.gatherer.finish(timeline);
        self.redactor.facts(&mut facts);
        facts
    }

    pub(super) fn tell_of_life(&mut self, cgroup: u64) {
        let Some(container) = self.containers.get(&cgroup) else { return };
        if let Who::Known(known) = &container.who {
            let life = stored_life(container, known, self.boot_offset_ns);
            self.teller.life(life);
        }
    }

    pub(super) fn forget_if_done(&mut self, cgroup: u64) {
        let done = |container: &Container| {
            container.is_removed && (container.is_done() || container.is_blank())
        };
        if self.containers.get(&cgroup).is_some_and(done) {
            self.containers.remove(&cgroup);
            self.programs.forget_lost(&self.losses.forget(cgroup));
            self.nested.retain(|_, around| *around != cgroup);
        }
    }
}

fn stored_life(container: &Container, known: &Known, boot_offset_ns: i64) -> Life {
    Life {
        boot_id: container.life.boot_id.clone(),
        identity: known.identity.as_ref().clone(),
        cgroup_id: container.cgroup,
        began_ns: wall(container.since_ns, boot_offset_ns),
        main: container.main,
        command: Vec::new(),
        memory_limit_bytes: None,
        end: None,
    }
}

/// Boot time as nanoseconds since 1970.
pub(super) fn wall(boot_ns: BootNs, boot_offset_ns: i64) -> i64 {
    i64::try_from(boot_ns).unwrap_or(i64::MAX).saturating_add(boot_offset_ns)
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}
