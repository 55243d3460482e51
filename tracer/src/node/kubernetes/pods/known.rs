//! The pods that are known, those that were deleted for a while longer. Bounded. It must not do I/O or know the clock.

use std::collections::HashMap;

use super::Pod;
use crate::capture::event::BootNs;

/// Pods that are held at once: more than a node runs.
const PODS: usize = 4096;
/// The last of a deleted pod's containers may take its whole grace period to end, and is told of then.
const KEPT_NS: BootNs = 600_000_000_000;

/// By uid.
#[derive(Debug, Default)]
pub struct Known {
    pods: HashMap<String, Entry>,
    /// Pods that there was no room for.
    pub refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub pod: Pod,
    /// When it was first seen that it is deleted or being deleted, unless it was so from the first.
    pub deleted_seen_ns: Option<BootNs>,
    /// When it was first seen that the kubelet ends it, unless it did so from the first.
    pub removal_seen_ns: Option<BootNs>,
    /// By container name the id of the instance that was last seen to have passed its startup probe.
    started: HashMap<String, String>,
    gone: Option<Gone>,
}

/// It is no more in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gone {
    since_ns: BootNs,
    /// Only a list says so, which may come from a server that does not know of it yet.
    by_list: bool,
}

impl Entry {
    /// Whether this instance of a container was ever seen to have passed its startup probe.
    pub fn has_started(&self, container: &str, id: &str) -> bool {
        self.started.get(container).is_some_and(|started| started == id)
    }

    /// It is being deleted, or is gone.
    pub fn is_deleted(&self) -> bool {
        self.pod.deleted_ns.is_some() || self.gone.is_some()
    }

    fn note_started(&mut self) {
        for container in self.pod.containers.iter().filter(|it| it.started) {
            if let Some(id) = &container.id {
                self.started.insert(container.name.clone(), id.clone());
            }
        }
    }
}

impl Known {
    pub fn get(&self, uid: &str) -> Option<&Entry> {
        self.pods.get(uid)
    }

    pub fn len(&self) -> usize {
        self.pods.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// A pod as it is now. Returns whether anything of it is new. That it is deleted, or ended by the kubelet, is never
    /// taken back: a list may come from a server that is behind.
    pub fn applied(&mut self, pod: Pod, now: BootNs) -> bool {
        let Some(entry) = self.pods.get_mut(&pod.uid) else {
            if self.pods.len() >= PODS {
                self.refused += 1;
                return false;
            }
            let uid = pod.uid.clone();
            let mut entry = Entry {
                pod,
                deleted_seen_ns: None,
                removal_seen_ns: None,
                started: HashMap::new(),
                gone: None,
            };
            entry.note_started();
            self.pods.insert(uid, entry);
            return true;
        };
        let before = entry.clone();
        if entry.gone.is_some_and(|gone| gone.by_list) {
            entry.gone = None;
            entry.deleted_seen_ns =
                entry.deleted_seen_ns.filter(|_| entry.pod.deleted_ns.is_some());
        }
        let deleted_ns = match (entry.pod.deleted_ns, pod.deleted_ns) {
            (Some(before), Some(now)) => Some(before.min(now)),
            (before, now) => before.or(now),
        };
        let removal = entry.pod.removal.take().or(pod.removal);
        if deleted_ns.is_some() && before.pod.deleted_ns.is_none() {
            entry.deleted_seen_ns.get_or_insert(now);
        }
        if removal.is_some() && before.pod.removal.is_none() {
            entry.removal_seen_ns = Some(now);
        }
        entry.pod = Pod { deleted_ns, removal, ..pod };
        entry.note_started();
        *entry != before
    }

    /// It is gone from the API, as it was last. Returns whether that is new.
    pub fn deleted(&mut self, pod: Pod, now: BootNs) -> bool {
        let uid = pod.uid.clone();
        let changed = self.applied(pod, now);
        self.gone(&uid, now, false) || changed
    }

    /// All that there are: what is not among them is gone. Returns the uids of those of which anything is new.
    pub fn listed(&mut self, pods: Vec<Pod>, now: BootNs) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for (uid, entry) in &self.pods {
            if entry.gone.is_none() && !pods.iter().any(|pod| pod.uid == *uid) {
                missing.push(uid.clone());
            }
        }
        let mut changed: Vec<String> =
            missing.into_iter().filter(|uid| self.gone(uid, now, true)).collect();
        for pod in pods {
            let uid = pod.uid.clone();
            if self.applied(pod, now) {
                changed.push(uid);
            }
        }
        changed
    }

    /// Forgets those that are gone for long.
    pub fn tick(&mut self, now: BootNs) {
        self.pods.retain(|_, entry| {
            entry.gone.is_none_or(|gone| now.saturating_sub(gone.since_ns) < KEPT_NS)
        });
    }

    fn gone(&mut self, uid: &str, now: BootNs, by_list: bool) -> bool {
        let Some(entry) = self.pods.get_mut(uid).filter(|entry| entry.gone.is_none()) else {
            return false;
        };
        entry.gone = Some(Gone { since_ns: now, by_list });
        entry.deleted_seen_ns.get_or_insert(now);
        true
    }
}
