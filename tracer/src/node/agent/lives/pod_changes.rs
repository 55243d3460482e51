//! What the Kubernetes API's word on pods changes: an end that waited for it is due, and one that was reported a moment ago
//! may be reported better. Pure.

use super::{
    action::{Action, Note},
    cluster::ReportedEnd,
    container::Stage,
    ending::{self, Ending},
    state::{Node, wall},
    terms::{SourcedTerms, TermsSource},
};
use crate::{
    capture::event::BootNs,
    diagnose::verdict::{self, terms::Asks},
    node::{
        identity::Identity,
        kubernetes::pods::{Change, Pod},
        store::End,
    },
};

/// So long is waited for a pod that the API has not named, once the runtime stopped a container of it.
const UNKNOWN_NS: BootNs = 2_000_000_000;
/// And for the reason of a stop: the kubelet hears of a deletion when we do, and may be faster.
const REASON_NS: BootNs = 500_000_000;

impl Node {
    /// What the API says of pods.
    pub fn pods_changed(&mut self, change: Change, now: BootNs, out: &mut Vec<Action>) {
        let changed = match change {
            Change::Failed(error) => return self.disconnected(error, out),
            Change::Listed(pods) => {
                let pods: Vec<Pod> = pods.into_iter().map(|pod| self.redacted(pod)).collect();
                let is_news = !std::mem::replace(&mut self.cluster.is_connected, true);
                out.push(Action::Note(Note::PodsListed { pods: pods.len(), is_news }));
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
        self.revise_reports(&changed, now, out);
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
            TermsSource::Assumed => UNKNOWN_NS,
            TermsSource::Api => REASON_NS,
        };
        self.cluster.waiting.push((cgroup, now.saturating_add(patience_ns)));
        true
    }

    /// On what terms an end is reported that waits no longer.
    pub(super) fn terms_for(&mut self, cgroup: u64, identity: &Identity) -> SourcedTerms {
        let before = self.cluster.waiting.len();
        self.cluster.waiting.retain(|(waiting, _)| *waiting != cgroup);
        if self.cluster.waiting.len() < before {
            return self.cluster.terms_of_stopped(identity, self.boot_offset_ns);
        }
        self.cluster.terms(identity, self.boot_offset_ns)
    }

    fn disconnected(&mut self, error: String, out: &mut Vec<Action>) {
        let is_news = std::mem::replace(&mut self.cluster.is_connected, false);
        out.push(Action::Note(Note::PodsUnlisted { error, is_news }));
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

    /// Ends that were reported a moment ago, where they look different now: those of these pods, and of pods that were
    /// not known.
    fn revise_reports(&mut self, pods: &[String], now: BootNs, out: &mut Vec<Action>) {
        let mut reported = std::mem::take(&mut self.cluster.reported);
        for end in reported.iter_mut().filter(|end| end.until_ns > now) {
            let uid = end.owner.identity.pod_uid.as_ref();
            let is_new = uid.is_some_and(|uid| pods.contains(uid));
            if !is_new && end.terms.source == TermsSource::Api {
                continue;
            }
            let (identity, offset_ns) = (&end.owner.identity, self.boot_offset_ns);
            let terms = if end.was_stopped {
                self.cluster.terms_of_stopped(identity, offset_ns)
            } else {
                self.cluster.terms(identity, offset_ns)
            };
            if terms != end.terms {
                self.revise_report(end, terms, out);
            }
        }
        self.cluster.reported = reported;
    }

    fn revise_report(&mut self, end: &mut ReportedEnd, terms: SourcedTerms, out: &mut Vec<Action>) {
        let ReportedEnd { owner, timeline, facts, object: before, .. } = &*end;
        let Ending { mut report, exit, .. } =
            ending::again(owner, timeline, facts, &terms, &mut self.loops, before);
        end.terms = terms;
        let (crash, was) = (&report.object.crash, &end.object.crash);
        if (&crash.cause, &crash.summary) == (&was.cause, &was.summary) {
            return;
        }
        let (id, cause) = (crash.id.clone(), report.cause);
        report.object.crash.revision = was.revision + 1;
        report.is_line = true;
        end.object = report.object.clone();
        let end_ns = end.timeline.entries.last().map_or(0, |event| event.time_ns);
        let time_ns = wall(end_ns, self.boot_offset_ns);
        let (life, owner) = (end.life.clone(), end.owner.clone());
        out.push(Action::Note(Note::Revised { id, cause }));
        let report = Box::new(report);
        out.push(Action::Report { life: life.clone(), owner, report });
        out.push(Action::End { life, end: End { time_ns, exit, cause: cause.to_owned() } });
    }
}
