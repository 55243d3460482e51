//! What the Kubernetes API's word on pods changes: the terms of ends that are to be told, and of those that were told a
//! moment ago. It must not speak to the API.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    container::{Known, Stage},
    ending::{self, Ending},
    terms::{self, Known as Terms, Source},
    watch::{Watch, wall},
};
use crate::{
    contract::CrashObject,
    event::BootNs,
    facts::Facts,
    identity::Identity,
    kubernetes::pods::{self, Change, Pod},
    store::{End, LifeKey},
    timeline::Timeline,
    verdict::{
        self, Cause,
        terms::{Asks, Wanted, WantedWhy},
    },
};

/// So long after it was told an end can be told better.
const REVISABLE_NS: BootNs = 60_000_000_000;
/// So many ends at once; the oldest gives way.
const REVISABLE: usize = 256;
/// So long is waited for a pod that the API has not told of, once the runtime stopped a container of it.
const UNKNOWN_NS: BootNs = 2_000_000_000;
/// And for the reason of a stop: the kubelet hears of a deletion when we do, and may be faster.
const REASON_NS: BootNs = 500_000_000;

/// What is known of the cluster, and what waits for it.
#[derive(Default)]
pub struct Cluster {
    pods: pods::Known,
    /// An API is asked at all.
    is_asked: bool,
    is_connected: bool,
    /// Containers whose ends wait to be told.
    waiting: Vec<(u64, BootNs)>,
    /// Ends that were told, oldest first.
    told: VecDeque<ToldEnd>,
}

/// An end that may have to be told once more.
struct ToldEnd {
    until_ns: BootNs,
    life: Arc<LifeKey>,
    known: Arc<Known>,
    timeline: Timeline,
    facts: Facts,
    terms: Terms,
    object: CrashObject,
    was_stopped: bool,
}

impl Cluster {
    /// `is_asked`: there is an API that will tell of pods.
    pub fn new(is_asked: bool) -> Self {
        Self { is_asked, ..Self::default() }
    }

    pub fn terms(&self, identity: &Identity, boot_offset_ns: i64) -> Terms {
        let entry = identity.pod_uid.as_deref().and_then(|uid| self.pods.get(uid));
        terms::known(entry, identity, boot_offset_ns)
    }

    /// The same of a container that the runtime stopped, a while ago: a pod that the API does not have by then was deleted.
    fn terms_of_stopped(&self, identity: &Identity, boot_offset_ns: i64) -> Terms {
        let mut known = self.terms(identity, boot_offset_ns);
        // Without any pod it is the node that is not known.
        let is_whole = self.is_connected && !self.pods.is_empty();
        if known.source == Source::Assumed && identity.pod_uid.is_some() && is_whole {
            known.terms.wanted = Some(Wanted { since_ns: 0, why: WantedWhy::Deleted });
            known.source = Source::Api;
        }
        known
    }

    /// Waits until an end has waited long enough; for ever where none waits.
    pub async fn patience(&self) {
        let first = self.waiting.iter().map(|(_, until_ns)| *until_ns).min();
        match first {
            Some(until_ns) => {
                let left = until_ns.saturating_sub(super::now());
                tokio::time::sleep(Duration::from_nanos(left)).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Keeps an end in mind, if more that is known of its pod could change what is told of it.
    pub fn keep(
        &mut self,
        (life, known): (&Arc<LifeKey>, &Arc<Known>),
        (timeline, facts): (Timeline, Facts),
        terms: Terms,
        object: CrashObject,
        now: BootNs,
    ) {
        if !self.is_asked || !depends(&object) {
            return;
        }
        if self.told.len() >= REVISABLE {
            self.told.pop_front();
        }
        self.told.push_back(ToldEnd {
            until_ns: now.saturating_add(REVISABLE_NS),
            was_stopped: verdict::was_stopped(&timeline),
            life: life.clone(),
            known: known.clone(),
            timeline,
            facts,
            terms,
            object,
        });
    }
}

/// Whether policy, deletion or probes have a say in it.
fn depends(object: &CrashObject) -> bool {
    let causes = [Cause::StoppedByRuntime, Cause::ExitedByItself, Cause::KilledBySignal];
    let is_wanted = object.crash.cause == Cause::None.name();
    is_wanted || causes.iter().any(|cause| object.crash.cause == cause.name())
}

impl Watch {
    /// What the API told of pods.
    pub fn pods_changed(&mut self, change: Change, now: BootNs) {
        let changed = match change {
            Change::Failed(error) => return self.disconnected(&error),
            Change::Listed(pods) => {
                let pods: Vec<Pod> = pods.into_iter().map(|pod| self.redacted(pod)).collect();
                let count = pods.len();
                if !std::mem::replace(&mut self.cluster.is_connected, true) {
                    tracing::info!(pods = count, "the Kubernetes API tells of this node's pods");
                }
                self.metrics.kubernetes_connected.set(1);
                self.cluster.pods.listed(pods, now)
            }
            Change::Applied(pod) => {
                let (uid, pod) = (pod.uid.clone(), self.redacted(*pod));
                Vec::from_iter(self.cluster.pods.applied(pod, now).then_some(uid))
            }
            Change::Deleted(pod) => {
                let (uid, pod) = (pod.uid.clone(), self.redacted(*pod));
                Vec::from_iter(self.cluster.pods.deleted(pod, now).then_some(uid))
            }
        };
        let waiting = self.cluster.waiting.iter().map(|(cgroup, _)| *cgroup);
        self.due.extend(waiting);
        self.tell_again(&changed, now);
    }

    fn disconnected(&mut self, error: &str) {
        self.metrics.kubernetes_failures.inc();
        self.metrics.kubernetes_connected.set(0);
        if std::mem::replace(&mut self.cluster.is_connected, false) {
            tracing::warn!(
                error,
                "the Kubernetes API no longer tells of pods: what is known is kept"
            );
        } else if self.metrics.kubernetes_failures.get() == 1 {
            tracing::warn!(
                error,
                "the Kubernetes API does not tell of pods: restart policies are assumed until it does"
            );
        }
        self.stop_waiting();
    }

    /// Commands and paths of probes may hold secrets.
    fn redacted(&self, mut pod: Pod) -> Pod {
        let probes = pod.containers.iter_mut().flat_map(|it| [&mut it.liveness, &mut it.startup]);
        for probe in probes.flatten() {
            match &mut probe.asks {
                Asks::Command(command) => self.redactor.arguments(command),
                Asks::Http { path, .. } => self.redactor.string(path),
                Asks::Tcp(_) | Asks::Grpc(_) | Asks::Unknown => {}
            }
        }
        pod
    }

    /// Whether an end is to wait, since the API may say in a moment why the runtime stopped the container.
    pub(super) fn waits(&mut self, cgroup: u64, identity: &Identity, now: BootNs) -> bool {
        let cluster = &self.cluster;
        let begun = cluster.waiting.iter().find(|(waiting, _)| *waiting == cgroup);
        if !cluster.is_connected || begun.is_some_and(|(_, until_ns)| *until_ns <= now) {
            return false;
        }
        let terms = cluster.terms(identity, self.boot_offset_ns);
        if terms.terms.wanted.is_some() || terms.terms.removal.is_some() {
            return false;
        }
        if begun.is_some() {
            return true;
        }
        let Some(container) = self.containers.get(&cgroup) else { return false };
        if !ending::timeline(container).is_some_and(|timeline| verdict::was_stopped(&timeline)) {
            return false;
        }
        let patience_ns = match terms.source {
            Source::Assumed => UNKNOWN_NS,
            Source::Api => REASON_NS,
        };
        self.cluster.waiting.push((cgroup, now.saturating_add(patience_ns)));
        true
    }

    /// On what terms an end is told that waits no longer.
    pub(super) fn terms_for(&mut self, cgroup: u64, identity: &Identity) -> Terms {
        let before = self.cluster.waiting.len();
        self.cluster.waiting.retain(|(waiting, _)| *waiting != cgroup);
        if self.cluster.waiting.len() < before {
            return self.cluster.terms_of_stopped(identity, self.boot_offset_ns);
        }
        self.cluster.terms(identity, self.boot_offset_ns)
    }

    /// Nothing will be known that is not known now.
    pub fn stop_waiting(&mut self) {
        self.cluster.is_connected = false;
        self.patience_is_over();
    }

    /// Ends that have waited long enough are due.
    pub fn patience_is_over(&mut self) {
        let containers = &self.containers;
        let is_due = |cgroup: &u64| {
            containers.get(cgroup).is_some_and(|container| container.stage == Stage::Ended)
        };
        self.cluster.waiting.retain(|(cgroup, _)| is_due(cgroup));
        self.due.extend(self.cluster.waiting.iter().map(|(cgroup, _)| *cgroup));
    }

    /// Once a second.
    pub(super) fn forget_of_cluster(&mut self, now: BootNs) {
        self.cluster.pods.tick(now);
        self.cluster.told.retain(|told| told.until_ns > now);
        let pods = i64::try_from(self.cluster.pods.len()).unwrap_or(i64::MAX);
        self.metrics.kubernetes_pods.set(pods);
        crate::metrics::set_total(&self.metrics.kubernetes_pods_refused, self.cluster.pods.refused);
    }

    /// Ends that were told a moment ago, where they look different now: those of these pods, and of pods that were not known.
    fn tell_again(&mut self, pods: &[String], now: BootNs) {
        let mut told = std::mem::take(&mut self.cluster.told);
        for end in told.iter_mut().filter(|end| end.until_ns > now) {
            let uid = end.known.identity.pod_uid.as_ref();
            let is_new = uid.is_some_and(|uid| pods.contains(uid));
            if !is_new && end.terms.source == Source::Api {
                continue;
            }
            let (identity, offset_ns) = (&end.known.identity, self.boot_offset_ns);
            let terms = if end.was_stopped {
                self.cluster.terms_of_stopped(identity, offset_ns)
            } else {
                self.cluster.terms(identity, offset_ns)
            };
            if terms != end.terms {
                self.tell_end_again(end, terms);
            }
        }
        self.cluster.told = told;
    }

    fn tell_end_again(&mut self, end: &mut ToldEnd, terms: Terms) {
        let ToldEnd { known, timeline, facts, object: before, .. } = &*end;
        let Ending { mut told, exit, .. } =
            ending::again(known, timeline, facts, &terms, &mut self.loops, before);
        end.terms = terms;
        let (crash, was) = (&told.object.crash, &end.object.crash);
        if (&crash.cause, &crash.summary) == (&was.cause, &was.summary) {
            return;
        }
        let id = crash.id.as_str();
        tracing::info!(id, cause = told.cause, "an end is told again: more is known of its pod");
        told.object.crash.revision = was.revision + 1;
        told.is_line = true;
        end.object = told.object.clone();
        let end_ns = end.timeline.entries.last().map_or(0, |event| event.time_ns);
        let time_ns = wall(end_ns, self.boot_offset_ns);
        let cause = told.cause.to_owned();
        self.metrics.verdicts_revised.inc();
        self.teller.crash(&end.life, &end.known, told);
        self.teller.end(&end.life, End { time_ns, exit, cause });
    }
}
