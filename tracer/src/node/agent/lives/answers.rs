//! What an answer to who a container is changes: it is reported by name, by its path until somebody knows better, or not
//! at all. Pure.

use std::sync::Arc;

use super::{
    action::{Action, Explained, Note, Question},
    container::{Attribution, Stage, Who},
    ending,
    state::{Node, wall},
};
use crate::{
    contract::{entry, names},
    node::{
        attribute::{Answer, selection},
        identity::Identity,
        store::End,
    },
};

/// Containers that are asked for although the runtime did not answer in time, at once. Beyond them what their paths say
/// must do.
const LATE: usize = 1024;

impl Node {
    /// The answer to who a container is.
    pub fn answered(&mut self, cgroup: u64, answer: Answer, out: &mut Vec<Action>) {
        self.late.remove(&cgroup);
        match answer {
            Answer::Container(identity) => {
                self.learn_of_pod(&identity);
                self.recognise(cgroup, identity, out);
            }
            Answer::Pause(identity) => {
                self.learn_of_pod(&identity);
                self.reject(cgroup, "it only holds the namespaces of its pod", out);
            }
            Answer::Unobservable(identity) => {
                let pod = identity.pod_name.unwrap_or_default();
                let why = identity.lacks.unwrap_or_default();
                out.push(Action::Note(Note::Unobservable { pod, why }));
                self.reject(cgroup, "what it does cannot be observed from this kernel", out);
            }
            Answer::Unknown(identity) => self.go_by_path(cgroup, identity, out),
        }
    }

    /// What the runtime says of an end that the recorder did not see.
    pub fn end_explained(&mut self, cgroup: u64, explained: Explained) {
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        let captures = matches!(&container.who, Who::Settled(owner) if owner.capture_output);
        for words in explained.words.into_iter().filter(|_| captures) {
            let Some(mut event) = container.output_event(words) else { continue };
            self.redactor.event(&mut event);
            container.history.push(event);
        }
        container.runtime_message = explained.message;
        container.explained = true;
        self.due.push_back(cgroup);
    }

    /// Whose it is, by its runtime or, if that is all there will be, by its path.
    pub(super) fn recognise(&mut self, cgroup: u64, identity: Identity, out: &mut Vec<Action>) {
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        let Some(selection) = selection::matches(&self.selections, &identity) else {
            return self.reject(cgroup, "no selection wants its pod", out);
        };
        let owner = Arc::new(Attribution::new(identity, selection.capture_output));
        container.attribute(Who::Settled(owner.clone()));
        self.arming.began(cgroup, container.since_ns);
        let was_reported = container.reopen();
        if !was_reported {
            out.push(Action::Note(Note::LifeBegun));
        }
        self.store_life(cgroup, out);
        let Some(container) = self.containers.get(&cgroup) else { return };
        for event in container.history.events() {
            out.push(Action::Event {
                life: container.life.clone(),
                owner: owner.clone(),
                kind: names::kind(&event.what),
                entry: Box::new(entry(&event, container.since_ns, self.boot_offset_ns)),
            });
        }
        if container.stage == Stage::Ended {
            self.due.push_back(cgroup);
        }
    }

    /// The runtime did not answer in time. A death can be reported by the path; nothing else is before it is known who
    /// it is: maybe nobody wants to know.
    fn go_by_path(&mut self, cgroup: u64, identity: Identity, out: &mut Vec<Action>) {
        let identity = self.pods.complete(identity);
        let Some(container) = self.containers.get_mut(&cgroup) else { return };
        if matches!(container.who, Who::Asked) && self.late.len() < LATE {
            let Some(selection) = selection::matches(&self.selections, &identity) else {
                return self.let_go(cgroup, out);
            };
            let container_id = identity.container_id.clone();
            let pod_uid = identity.pod_uid.clone();
            let owner = Attribution::new(identity, selection.capture_output);
            container.attribute(Who::ByPath(Arc::new(owner)));
            if container.stage == Stage::Ended {
                self.due.push_back(cgroup);
            }
            self.late.insert(cgroup);
            out.push(Action::Ask(Question::WhoLate { cgroup, container_id, pod_uid }));
            return;
        }
        // Nobody will ever know better.
        if container.is_pause() {
            self.let_go(cgroup, out);
        } else if container.stage == Stage::Reported {
            container.reported();
            self.forget_if_done(cgroup, out);
        } else {
            self.recognise(cgroup, identity, out);
        }
    }

    /// Nobody wants to know of it; what was reported by its path is taken back.
    fn reject(&mut self, cgroup: u64, why: &'static str, out: &mut Vec<Action>) {
        if let Some(container) = self.containers.get_mut(&cgroup)
            && let Who::ByPath(owner) = container.who.clone()
            && let Some(facts) = container.take_facts()
            && let Some(timeline) = ending::timeline(container)
        {
            let report = ending::withdrawn(&owner, &timeline, &facts, container.revision + 1, why);
            let end_ns = timeline.entries.last().map_or(container.since_ns, |event| event.time_ns);
            let end = End {
                time_ns: wall(end_ns, self.boot_offset_ns),
                exit: report.object.exit.clone(),
                cause: report.cause.to_owned(),
            };
            let life = container.life.clone();
            let id = report.object.crash.id.clone();
            out.push(Action::Note(Note::Withdrawn { id, why }));
            let report = Box::new(report);
            out.push(Action::Report { life: life.clone(), owner, report });
            out.push(Action::End { life, end });
        }
        self.let_go(cgroup, out);
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
}
