//! The node's state, and the few steps that several inputs share. It must not do I/O or know the clock.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    action::Action,
    arming::Arming,
    cluster::Cluster,
    container::{Attribution, Container, Who},
    gather::Gather,
    loops::Loops,
    losses::Losses,
    missed::Missed,
    pods::PodCgroups,
};
use crate::{
    capture::event::{BootNs, Event},
    diagnose::{facts::Facts, timeline::Timeline},
    node::{
        attribute::selection::{self, Selection},
        identity::Identity,
        redact::{Redactor, Rule},
        store::Life,
    },
};

/// The node's containers and all that is known of them. Inputs are its methods; what is to be done is pushed to `out`,
/// which whoever calls it carries out at once.
pub struct Node {
    pub(super) boot_id: String,
    pub(super) selections: Vec<Selection>,
    pub(super) redactor: Redactor,
    pub(super) arming: Arming,
    /// When the recorder was switched off last.
    pub(super) recorder_off_ns: BootNs,
    pub(super) containers: HashMap<u64, Container>,
    pub(super) pods: PodCgroups,
    /// Containers that are still asked for although no answer came in time.
    pub(super) late: HashSet<u64>,
    /// Cgroups inside of a container's, by its id.
    pub(super) nested: HashMap<u64, u64>,
    pub(super) losses: Losses,
    pub(super) loops: Loops,
    pub(super) cluster: Cluster,
    /// What may have begun or ended unseen.
    pub(super) missed: Missed,
    /// Containers that nobody wants to know of, until their cgroups are gone.
    pub(super) rejected: HashSet<u64>,
    /// Events of this turn without a container, and those of the turn before.
    pub(super) strays: Vec<Event>,
    pub(super) earlier_strays: Vec<Event>,
    /// An inventory was written, and not taken yet.
    pub(super) is_finding: bool,
    /// Containers whose lives are over and whose verdicts are due.
    pub(super) due: VecDeque<u64>,
    /// What boot time lacks of the time since 1970.
    pub(super) boot_offset_ns: i64,
}

/// What a node is made of.
pub struct Parts {
    pub boot_id: String,
    pub selections: Vec<Selection>,
    pub redactor: Redactor,
    pub arming: Arming,
    /// There is an API that will say what it knows of pods.
    pub asks_cluster: bool,
    pub boot_offset_ns: i64,
}

impl Node {
    /// What an earlier agent did is not known: the recorder counts as off until now.
    pub fn new(parts: Parts, now: BootNs) -> Self {
        let Parts { boot_id, selections, redactor, arming, asks_cluster, boot_offset_ns } = parts;
        Self {
            boot_id,
            selections,
            redactor,
            arming,
            recorder_off_ns: now,
            containers: HashMap::new(),
            pods: PodCgroups::default(),
            late: HashSet::new(),
            nested: HashMap::new(),
            losses: Losses::default(),
            missed: Missed::default(),
            rejected: HashSet::new(),
            loops: Loops::default(),
            cluster: Cluster::new(asks_cluster),
            strays: Vec::new(),
            earlier_strays: Vec::new(),
            is_finding: false,
            due: VecDeque::new(),
            boot_offset_ns,
        }
    }

    /// Whether the state of the containers wants the recorder on.
    pub fn wants_recorder(&mut self, now: BootNs) -> bool {
        self.arming.wanted(now)
    }

    /// False where the recorder is never to be on.
    pub fn may_record(&self) -> bool {
        self.arming.may_record()
    }

    /// The recorder was switched off.
    pub fn recorder_is_off(&mut self, now: BootNs) {
        self.recorder_off_ns = now;
    }

    /// Whether something may have begun unseen, so that what runs must be looked for now.
    pub fn wants_inventory(&mut self, now: BootNs) -> bool {
        self.missed.wants_inventory(now)
    }

    /// Whether nobody wants to know of a container.
    pub fn is_rejected(&self, cgroup: u64) -> bool {
        self.rejected.contains(&cgroup)
    }

    /// Others may be selected now.
    pub fn reject_none(&mut self) {
        self.rejected.clear();
    }

    /// What may have begun or ended unseen.
    pub fn missed(&self) -> &Missed {
        &self.missed
    }

    /// Containers that are held.
    pub fn lives(&self) -> usize {
        self.containers.len()
    }

    /// What the Kubernetes API says of pods, as far as it is held.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How often each rule took something away.
    pub fn redactions(&self) -> impl Iterator<Item = (Rule, u64)> {
        self.redactor.counts().into_iter()
    }

    /// Whether it is known of a pod that nobody selected it.
    pub(super) fn is_unselected(&self, pod_uid: &str) -> bool {
        let wanted = |identity| selection::matches(&self.selections, identity).is_some();
        self.pods.identity(pod_uid).is_some_and(|identity| !wanted(identity))
    }

    pub(super) fn store_life(&self, cgroup: u64, out: &mut Vec<Action>) {
        let Some(container) = self.containers.get(&cgroup) else { return };
        if let Who::Settled(owner) = &container.who {
            let life = stored_life(container, owner, self.boot_offset_ns);
            out.push(Action::Life(Box::new(life)));
        }
    }

    /// Nobody wants to know of a container.
    pub(super) fn let_go(&mut self, cgroup: u64, out: &mut Vec<Action>) {
        self.arming.forget(cgroup);
        out.push(Action::ForgetFacts(cgroup));
        if let Some(container) = self.containers.remove(&cgroup) {
            if !container.is_removed {
                self.rejected.insert(cgroup);
            }
            self.missed.take(cgroup);
            if !matches!(container.who, Who::Settled(_)) {
                out.push(Action::ForgetLife(container.life.clone()));
            }
            out.push(Action::LetGo(cgroup));
        }
    }

    pub(super) fn forget_if_done(&mut self, cgroup: u64, out: &mut Vec<Action>) {
        let is_done = |container: &Container| {
            container.is_removed && (container.is_done() || container.is_blank())
        };
        if self.containers.get(&cgroup).is_some_and(is_done) {
            self.containers.remove(&cgroup);
            let lost = self.losses.forget(cgroup);
            if !lost.is_empty() {
                out.push(Action::ForgetLosses(lost));
            }
            self.nested.retain(|_, around| *around != cgroup);
        }
    }

    pub(super) fn facts(&self, timeline: &Timeline, gather: &mut impl Gather) -> Facts {
        let mut facts = gather.finish(timeline);
        self.redactor.facts(&mut facts);
        facts
    }
}

pub(super) fn stored_life(container: &Container, owner: &Attribution, boot_offset_ns: i64) -> Life {
    begun(container, &owner.identity, boot_offset_ns)
}

/// A life as it is known at its beginning.
pub(super) fn begun(container: &Container, identity: &Identity, boot_offset_ns: i64) -> Life {
    Life {
        boot_id: container.life.boot_id.clone(),
        identity: identity.clone(),
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
