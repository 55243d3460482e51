//! Lives that an earlier agent of this boot saw begin and not end. Pure.

use super::{
    action::{Action, Question},
    container::Container,
    state::Node,
};
use crate::{
    capture::event::BootNs,
    node::{identity::Source, store::Life},
};

impl Node {
    /// A life whose beginning an earlier agent reported.
    pub fn resume(&mut self, life: &Life, now: BootNs, out: &mut Vec<Action>) {
        let (cgroup, identity) = (life.cgroup_id, &life.identity);
        let mut container = Container::new(cgroup, life.key(), now);
        if let Some(main) = life.main {
            container.runs_as(main);
        }
        self.containers.insert(cgroup, container);
        match identity.source {
            Source::Cri => self.recognise(cgroup, identity.clone(), out),
            Source::Path => out.push(Action::Ask(Question::Who {
                cgroup,
                container_id: identity.container_id.clone(),
                pod_uid: identity.pod_uid.clone(),
            })),
        }
    }

    /// Lives that were resumed, whose cgroups are gone and of whose end nothing was recorded: they are over all the same.
    pub fn give_up_the_vanished(
        &mut self,
        exists: impl Fn(u64) -> bool,
        now: BootNs,
        out: &mut Vec<Action>,
    ) {
        let gone: Vec<u64> = self
            .containers
            .values()
            .filter(|container| !container.is_over() && !exists(container.cgroup))
            .map(|container| container.cgroup)
            .collect();
        for cgroup in gone {
            if let Some(container) = self.containers.get_mut(&cgroup) {
                container.ends_unseen(now);
            }
            self.container_removed(cgroup, out);
        }
    }
}
