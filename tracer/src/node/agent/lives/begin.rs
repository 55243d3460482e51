//! Containers and pods whose cgroups are there: from now on their events are kept. Pure.

use super::{
    action::{Action, Question},
    container::{Container, Who},
    state::{Node, begun},
};
use crate::{
    capture::event::{BootNs, CgroupChange, Event, What},
    node::{
        attribute::{
            cgroup_path::{self, CgroupPath, ContainerCgroup},
            selection::{self, Selection},
        },
        identity::Identity,
        store::LifeKey,
    },
};

/// Containers that are held at once; the kernel side tracks as many.
const CONTAINERS: usize = 4096;

impl Node {
    /// A cgroup below a watched root was there before it was looked for, and is tracked now if it is a container's.
    pub fn cgroup_found(
        &mut self,
        cgroup: u64,
        path: &CgroupPath,
        now: BootNs,
        out: &mut Vec<Action>,
    ) {
        match path {
            CgroupPath::Container(of) => {
                self.begin(cgroup, of, now, out);
                if let Some(container) = self.containers.get_mut(&cgroup) {
                    // Of one that an earlier agent saw begin the main process may not be known either.
                    container.is_being_found = container.main.is_none() && !container.is_over();
                }
            }
            CgroupPath::Pod { uid, .. } => {
                self.pods.add(uid.clone(), cgroup);
                self.rejected.insert(cgroup);
            }
            CgroupPath::Pods | CgroupPath::Monitor { .. } | CgroupPath::Other => {
                self.rejected.insert(cgroup);
            }
        }
    }

    /// The next turn's events name every process that runs in the containers that were found.
    pub fn inventory_comes(&mut self) {
        self.is_finding = true;
    }

    /// Selects anew: what is no longer wanted is let go of. What came to be wanted is to be found afterwards.
    pub fn select(&mut self, selections: Vec<Selection>, out: &mut Vec<Action>) {
        self.selections = selections;
        let unwanted: Vec<u64> = self
            .containers
            .values()
            .filter(|container| match &container.who {
                Who::Settled(owner) => {
                    selection::matches(&self.selections, &owner.identity).is_none()
                }
                Who::Asked | Who::ByPath(_) => false,
            })
            .map(|container| container.cgroup)
            .collect();
        unwanted.into_iter().for_each(|cgroup| self.let_go(cgroup, out));
    }

    /// The kernel made a cgroup.
    pub(super) fn cgroup_made(&mut self, event: Event, out: &mut Vec<Action>) {
        let What::Cgroup(CgroupChange { id, path, .. }) = &event.what else { return };
        let (id, now) = (*id, event.time_ns);
        match cgroup_path::parse(&path.to_json_string()) {
            CgroupPath::Container(of) => {
                self.begin(id, &of, now, out);
                if let Some(container) = self.containers.get_mut(&id) {
                    container.add(event);
                }
            }
            CgroupPath::Pod { uid, .. } => {
                self.pods.add(uid, id);
                self.arming.began(id, now);
                self.rejected.insert(id);
            }
            // What looks after containers is none.
            CgroupPath::Pods | CgroupPath::Monitor { .. } | CgroupPath::Other => {
                self.rejected.insert(id);
            }
        }
    }

    /// A container's cgroup is there.
    fn begin(&mut self, cgroup: u64, of: &ContainerCgroup, now: BootNs, out: &mut Vec<Action>) {
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
        // So that the next agent knows of it, whatever becomes of this one before it is known who it is.
        let by_path = Identity {
            container_id: container_id.clone(),
            pod_uid: pod_uid.clone(),
            ..Identity::default()
        };
        let life = begun(&container, &by_path, self.boot_offset_ns);
        out.push(Action::Life(Box::new(life)));
        self.containers.insert(cgroup, container);
        out.push(Action::Ask(Question::Who { cgroup, container_id, pod_uid }));
    }
}
