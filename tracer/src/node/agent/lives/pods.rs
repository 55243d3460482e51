//! The pods of the node: their cgroups, and what an answer about any of their containers says of all. Pure.

use std::collections::HashMap;

use crate::node::identity::{Identity, Source};

/// PodCgroups that are held at once: more than a node has.
const PODS: usize = 4096;

/// By uid.
#[derive(Debug, Default)]
pub struct PodCgroups(HashMap<String, Pod>);

#[derive(Debug)]
struct Pod {
    cgroup: u64,
    /// Of the pod alone: no container's name or image is in it.
    identity: Option<Identity>,
}

impl PodCgroups {
    /// A pod's cgroup is there.
    pub fn add(&mut self, uid: String, cgroup: u64) {
        if self.0.len() < PODS || self.0.contains_key(&uid) {
            self.0.entry(uid).or_insert(Pod { cgroup, identity: None }).cgroup = cgroup;
        }
    }

    /// A cgroup is gone, maybe that of a pod.
    pub fn remove(&mut self, cgroup: u64) {
        self.0.retain(|_, pod| pod.cgroup != cgroup);
    }

    /// The runtime said who one of its containers is, pause or not: namespace and labels are the pod's in any case.
    pub fn learn(&mut self, identity: &Identity) {
        let is_whole = identity.source == Source::Cri && identity.lacks.is_none();
        let pod = identity.pod_uid.as_ref().and_then(|uid| self.0.get_mut(uid));
        if let Some(pod) = pod.filter(|_| is_whole) {
            pod.identity = Some(Identity {
                container_id: String::new(),
                container_name: None,
                image: None,
                image_id: None,
                attempt: None,
                ..identity.clone()
            });
        }
    }

    pub fn cgroup(&self, uid: &str) -> Option<u64> {
        self.0.get(uid).map(|pod| pod.cgroup)
    }

    /// `None` where nothing is known of it yet.
    pub fn identity(&self, uid: &str) -> Option<&Identity> {
        self.0.get(uid)?.identity.as_ref()
    }

    /// Adds to a container that is known by its path alone what is known of its pod.
    pub fn complete(&self, container: Identity) -> Identity {
        let pod = container.pod_uid.as_ref().and_then(|uid| self.identity(uid)).cloned();
        match pod.filter(|_| container.source == Source::Path) {
            Some(pod) => Identity {
                container_id: container.container_id,
                source: container.source,
                lacks: container.lacks,
                ..pod
            },
            None => container,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(source: Source) -> Identity {
        Identity {
            container_id: "c1".to_owned(),
            container_name: Some("gateway".to_owned()),
            pod_uid: Some("u".to_owned()),
            namespace: Some("shop".to_owned()),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            source,
            ..Identity::default()
        }
    }

    fn by_path() -> Identity {
        Identity {
            container_id: "c2".to_owned(),
            pod_uid: Some("u".to_owned()),
            lacks: Some("names".to_owned()),
            ..Identity::default()
        }
    }

    #[test]
    fn a_container_known_by_its_path_has_the_names_of_its_pod_and_no_other_containers() {
        let mut pods = PodCgroups::default();
        pods.add("u".to_owned(), 7);
        assert_eq!(pods.complete(by_path()), by_path());
        pods.learn(&gateway(Source::Path));
        assert_eq!(pods.identity("u"), None);
        pods.learn(&gateway(Source::Cri));
        let completed = pods.complete(by_path());
        assert_eq!(completed.namespace.as_deref(), Some("shop"));
        assert_eq!((completed.container_id.as_str(), completed.container_name), ("c2", None));
        assert_eq!((completed.source, completed.lacks), (Source::Path, by_path().lacks));
    }

    #[test]
    fn a_pod_is_forgotten_with_its_cgroup() {
        let mut pods = PodCgroups::default();
        pods.add("u".to_owned(), 7);
        pods.learn(&gateway(Source::Cri));
        pods.remove(8);
        assert_eq!(pods.cgroup("u"), Some(7));
        pods.remove(7);
        assert_eq!((pods.cgroup("u"), pods.identity("u")), (None, None));
    }
}
