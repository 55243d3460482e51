//! What an answer to who a container is changes: it is told by name, by its path until somebody knows better, or not at
//! all. It must not wait for anything, or know who was asked.

use std::sync::Arc;

use super::{
    node::{
        container::{Attribution, Stage, Who},
        ending,
    },
    watch::{Question, Watch, wall},
};
use crate::{
    attribute::{Answer, selection},
    identity::Identity,
    store::End,
};

/// Containers that are asked for although the runtime did not tell in time, at once. Beyond them what their paths say
/// must do.
const LATE: usize = 1024;

impl Watch {
    /// The answer to who a container is.
    pub fn answered(&mut self, cgroup: u64, answer: Answer) {
        self.late.remove(&cgroup);
        match answer {
            Answer::Container(identity) => {
                self.learn_of_pod(&identity);
                self.recognise(cgroup, identity);
            }
            Answer::Pause(identity) => {
                self.learn_of_pod(&identity);
                self.reject(cgroup, "it only holds the namespaces of its pod");
            }
            Answer::Unobservable(identity) => {
                let pod = identity.pod_name.as_deref().unwrap_or_default();
                let why = identity.lacks.as_deref().unwrap_or_default();
                tracing::warn!(pod, why, "a pod cannot be observed");
                self.reject(cgroup, "what it does cannot be observed from this kernel");
            }
            Answer::Unknown(identity) => self.go_by_path(cgroup, identity),
        }
    }

    /// Whose it is, by its runtime or, if that is all there will be, by its path.
    pub fn recognise(&mut self, cgroup: u64, identity: Identity) {
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        let Some(selection) = selection::matches(&self.selections, &identity) else {
            return self.reject(cgroup, "no selection wants its pod");
        };
        let known = Arc::new(Attribution::new(identity, selection.capture_output));
        container.attribute(Who::Settled(known.clone()));
        self.arming.began(cgroup, container.since_ns);
        let was_told = container.reopen();
        if !was_told {
            self.metrics.lives_begun.inc();
        }
        self.store_life(cgroup);
        let Some(container) = self.containers.get(&cgroup) else { return };
        let life = container.life.clone();
        for event in container.history.events() {
            self.reporter.event(&life, &known, &event, container.since_ns, self.boot_offset_ns);
        }
        if container.stage == Stage::Ended {
            self.due.push(cgroup);
        }
    }

    /// The runtime did not tell in time. A death can be told by the path; nothing else is before it is known who it is:
    /// maybe nobody wants to know.
    fn go_by_path(&mut self, cgroup: u64, identity: Identity) {
        let identity = self.pods.complete(identity);
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        if matches!(container.who, Who::Asked) && self.late.len() < LATE {
            let Some(selection) = selection::matches(&self.selections, &identity) else {
                return self.dismiss(cgroup);
            };
            let container_id = identity.container_id.clone();
            let pod_uid = identity.pod_uid.clone();
            let known = Attribution::new(identity, selection.capture_output);
            container.attribute(Who::ByPath(Arc::new(known)));
            if container.stage == Stage::Ended {
                self.due.push(cgroup);
            }
            self.late.insert(cgroup);
            return self.questions.push(Question::WhoLate { cgroup, container_id, pod_uid });
        }
        // Nobody will ever tell.
        if container.is_pause() {
            self.dismiss(cgroup);
        } else if container.stage == Stage::Reported {
            container.reported();
            self.forget_if_done(cgroup);
        } else {
            self.recognise(cgroup, identity);
        }
    }

    /// Nobody wants to know of it; what was told by its path is taken back.
    fn reject(&mut self, cgroup: u64, why: &str) {
        if let Some(container) = self.containers.get_mut(&cgroup)
            && let Who::ByPath(known) = container.who.clone()
            && let Some(facts) = container.take_facts()
            && let Some(timeline) = ending::timeline(container)
        {
            let report = ending::withdrawn(&known, &timeline, &facts, container.revision + 1, why);
            let end_ns = timeline.entries.last().map_or(container.since_ns, |event| event.time_ns);
            let end = End {
                time_ns: wall(end_ns, self.boot_offset_ns),
                exit: report.object.exit.clone(),
                cause: report.cause.to_owned(),
            };
            let life = container.life.clone();
            tracing::info!(
                id = report.object.crash.id,
                why,
                "what was told of a death is withdrawn"
            );
            self.metrics.verdicts_withdrawn.inc();
            self.reporter.crash(&life, &known, report);
            self.reporter.end(&life, end);
        }
        self.dismiss(cgroup);
    }

    /// Nobody wants to know of it.
    pub fn dismiss(&mut self, cgroup: u64) {
        self.arming.forget(cgroup);
        self.gatherer.forget(cgroup);
        if self.containers.remove(&cgroup).is_some()
            && let Err(error) = self.programs.track(cgroup, 0, false)
        {
            tracing::warn!(%error, "a container that nobody selected cannot be let go of");
        }
    }

    /// Namespace and labels, by which pods are selected, are the same for all containers of one.
    fn learn_of_pod(&mut self, identity: &Identity) {
        self.pods.learn(identity);
        if let Some(uid) = &identity.pod_uid
            && self.is_unselected(uid)
            && let Some(pod) = self.pods.cgroup(uid)
        {
            self.arming.forget(pod);
        }
    }

    /// Whether it is known of a pod that nobody selected it.
    pub fn is_unselected(&self, pod_uid: &str) -> bool {
        let wanted = |identity| selection::matches(&self.selections, identity).is_some();
        self.pods.identity(pod_uid).is_some_and(|identity| !wanted(identity))
    }
}
