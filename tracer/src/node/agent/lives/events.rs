//! What each event changes: to which container it belongs, what of it is kept, and whether a life is over by it. Pure.

use super::{
    action::{Action, Note},
    container::{Container, Who},
    gather::Gather,
    inits,
    state::Node,
};
use crate::{
    capture::event::{Change, Event, What},
    contract::{entry, names},
    node::attribute::cgroup_path,
};

/// Events whose container is not known yet: it comes by the other ring, a moment later.
const STRAYS: usize = 4096;

impl Node {
    /// Takes an event. Events come in the order of their time; [`Self::end_turn`] follows the last one that was written.
    pub fn take_event(&mut self, event: Event, gather: &mut impl Gather, out: &mut Vec<Action>) {
        let Some(stray) = self.place_event(event, gather, out) else { return };
        if self.strays.len() < STRAYS {
            self.strays.push(stray);
        } else {
            self.stays_stray(stray, out);
        }
    }

    /// An event whose container is not known after this turn either: its beginning was lost.
    fn stays_stray(&mut self, stray: Event, out: &mut Vec<Action>) {
        if !self.rejected.contains(&stray.cgroup) {
            let count = self.missed.stray(stray);
            give_up(count, out);
        }
    }

    /// What is held for a container that has become known.
    fn place_orphans(&mut self, cgroup: u64, gather: &mut impl Gather, out: &mut Vec<Action>) {
        for orphan in self.missed.take(cgroup) {
            self.add_event(orphan, gather, out);
        }
    }

    /// All that was written until now was taken: strays of the turn before are tried once more, and an inventory that
    /// was written before is whole.
    pub fn end_turn(&mut self, gather: &mut impl Gather, out: &mut Vec<Action>) {
        for stray in std::mem::take(&mut self.earlier_strays) {
            if let Some(stray) = self.place_event(stray, gather, out) {
                self.stays_stray(stray, out);
            }
        }
        std::mem::swap(&mut self.strays, &mut self.earlier_strays);
        if self.is_finding {
            let has = |cgroup: &u64| self.missed.has(*cgroup);
            let found: Vec<u64> = self.containers.keys().copied().filter(has).collect();
            found.into_iter().for_each(|cgroup| self.place_orphans(cgroup, gather, out));
        }
        if std::mem::take(&mut self.is_finding) {
            let found = self.containers.values_mut().filter(|container| container.is_being_found);
            found.for_each(Container::found_all);
        }
    }

    /// Whether events wait for the other ring.
    pub fn has_strays(&self) -> bool {
        !self.earlier_strays.is_empty()
    }

    /// Gives back an event whose container is not known.
    fn place_event(
        &mut self,
        event: Event,
        gather: &mut impl Gather,
        out: &mut Vec<Action>,
    ) -> Option<Event> {
        if let What::Cgroup(change) = &event.what {
            match change.change {
                Change::Made => {
                    self.cgroup_made(event, out);
                    return None;
                }
                Change::Removed => {
                    let (id, path) = (change.id, cgroup_path::parse(&change.path.to_json_string()));
                    if self.missed.has(id) && !self.containers.contains_key(&id) {
                        self.cgroup_found(id, &path, event.time_ns, out);
                        self.place_orphans(id, gather, out);
                    }
                    self.cgroup_removed(id, out);
                    return None;
                }
                Change::MovedIn | Change::MovedOut => {}
            }
        }
        self.add_event(event, gather, out)
    }

    /// The same of an event that is no cgroup's beginning or end.
    fn add_event(
        &mut self,
        mut event: Event,
        gather: &mut impl Gather,
        out: &mut Vec<Action>,
    ) -> Option<Event> {
        let cgroup = self.nested.get(&event.cgroup).copied().unwrap_or(event.cgroup);
        let Some(container) = self.containers.get_mut(&cgroup) else { return Some(event) };
        event.cgroup = cgroup;
        let is_kept = !container.is_over()
            && is_news(container, &mut event, gather)
            && container.keeps_of_recorder(&mut event, self.recorder_off_ns);
        if !is_kept {
            return None;
        }
        gather.observe(&event);
        self.redactor.event(&mut event);
        if container.must_not_keep(&event) {
            return None;
        }
        if let Who::Settled(owner) = &container.who {
            out.push(Action::Event {
                life: container.life.clone(),
                owner: owner.clone(),
                kind: names::kind(&event.what),
                entry: Box::new(entry(&event, container.since_ns, self.boot_offset_ns)),
            });
        }
        let had_main = container.main.is_some();
        let over = container.add(event);
        let has_main = container.main.is_some();
        if over {
            self.due.push_back(cgroup);
        }
        if !had_main && has_main {
            self.store_life(cgroup, out);
        }
        None
    }

    fn cgroup_removed(&mut self, cgroup: u64, out: &mut Vec<Action>) {
        self.rejected.remove(&cgroup);
        if self.nested.remove(&cgroup).is_none() {
            self.container_removed(cgroup, out);
        }
    }

    /// A cgroup is gone, maybe that of a pod.
    pub(super) fn container_removed(&mut self, cgroup: u64, out: &mut Vec<Action>) {
        let Some(container) = self.containers.get_mut(&cgroup) else {
            // A pod's: nothing of it will start again.
            self.pods.remove(cgroup);
            return self.arming.forget(cgroup);
        };
        if container.cgroup_removed() {
            self.due.push_back(cgroup);
        }
        container.is_removed = true;
        self.forget_if_done(cgroup, out);
    }
}

/// Events that nobody will ever tell of.
pub(super) fn give_up(count: u64, out: &mut Vec<Action>) {
    if count > 0 {
        out.push(Action::Note(Note::Strays { count }));
    }
}

/// An inventory names the processes of all containers, known ones too: those are passed over. Completes what it says of
/// a container that is being found.
fn is_news(container: &Container, event: &mut Event, gather: &mut impl Gather) -> bool {
    let What::Found(found) = &mut event.what else { return true };
    if !container.is_being_found {
        return false;
    }
    if let Some((path, args)) = gather.program(&event.process) {
        (found.path, found.args) = (path, args);
    }
    event.process.runtime_init |= inits::is_runtime_init(found, &event.process);
    true
}
