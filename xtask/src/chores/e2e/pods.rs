//! What Kubernetes says of pods: the few fields of its JSON that are compared with what the tracer says. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct List<T> {
    pub items: Vec<T>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: Spec,
    pub status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub creation_timestamp: String,
    pub deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    pub node_name: String,
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub image: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    pub phase: String,
    pub conditions: Vec<Condition>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub last_transition_time: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    pub name: String,
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub restart_count: u32,
    pub state: State,
    pub last_state: State,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct State {
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Running {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub exit_code: i32,
    pub reason: String,
    /// Null where the kubelet lost sight of the container.
    pub finished_at: Option<String>,
}

/// An Event of Kubernetes on some object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    pub metadata: Metadata,
    pub involved_object: Object,
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Object {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// The end of one container, as the kubelet reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// Without the runtime's name.
    pub container_id: String,
    pub reason: String,
    pub exit_code: i32,
    pub restarts: u32,
    pub finished_at: String,
}

impl Pod {
    /// All ends that are still reported, the last one of each container first.
    pub fn deaths(&self) -> Vec<Death> {
        self.containers()
            .flat_map(|status| {
                let ends = [&status.state, &status.last_state].into_iter();
                ends.filter_map(|state| self.death(status, state.terminated.as_ref()?))
            })
            .collect()
    }

    /// The containers that run now, init containers left out.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        let running = |status: &&ContainerStatus| status.state.running.is_some();
        let statuses = self.status.container_statuses.iter();
        statuses.filter(running).filter_map(|status| bare(status.container_id.as_deref()?))
    }

    /// What must be named, as the manifest says.
    pub fn expected(&self) -> Option<&str> {
        self.metadata.annotations.get(CAUSE).map(String::as_str)
    }

    /// What may be named instead, where the kernel killed all of the container at once.
    pub fn expected_of_group(&self) -> Option<&str> {
        self.metadata.annotations.get(CAUSE_OF_GROUP).map(String::as_str)
    }

    /// When the condition became true, as the API server's clock has it.
    pub fn since(&self, condition: &str) -> Option<&str> {
        let mut all = self.status.conditions.iter();
        let found = all.find(|found| found.kind == condition && found.status == "True")?;
        found.last_transition_time.as_deref()
    }

    fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.status.init_container_statuses.iter().chain(&self.status.container_statuses)
    }

    /// None where the runtime never made a container.
    fn death(&self, status: &ContainerStatus, end: &Terminated) -> Option<Death> {
        Some(Death {
            namespace: self.metadata.namespace.clone(),
            pod: self.metadata.name.clone(),
            container: status.name.clone(),
            container_id: bare(end.container_id.as_deref()?)?.to_owned(),
            reason: end.reason.clone(),
            exit_code: end.exit_code,
            restarts: status.restart_count,
            finished_at: end.finished_at.clone().unwrap_or_default(),
        })
    }
}

/// The annotation of deploy/crashes.
pub const CAUSE: &str = "macula.io/cause";
const CAUSE_OF_GROUP: &str = "macula.io/cause-of-group";

/// `containerd://ID`
fn bare(id: &str) -> Option<&str> {
    let (_, id) = id.split_once("://")?;
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_all_containers_are_read_the_last_first() {
        let pod: Pod = serde_json::from_str(
            r#"{"metadata": {"name": "p", "namespace": "n", "annotations": {"macula.io/cause": "segfault"}},
            "status": {
              "initContainerStatuses": [{"name": "init", "restartCount": 0, "lastState": {},
                "state": {"terminated": {"containerID": "containerd://aa", "exitCode": 0, "reason": "Completed"}}}],
              "containerStatuses": [
                {"name": "gateway", "restartCount": 2, "containerID": "containerd://cc",
                 "state": {"terminated": {"containerID": "containerd://cc", "exitCode": 139, "reason": "Error"}},
                 "lastState": {"terminated": {"containerID": "containerd://bb", "exitCode": 139, "reason": "Error",
                                              "finishedAt": null}}},
                {"name": "holder", "restartCount": 0, "containerID": "cri-o://dd", "lastState": {},
                 "state": {"running": {"startedAt": "2001-01-01T00:00:00Z"}}},
                {"name": "unmade", "restartCount": 0, "lastState": {},
                 "state": {"waiting": {"reason": "ContainerCreating"}}}]}}"#,
        )
        .unwrap();
        let ids: Vec<String> = pod.deaths().into_iter().map(|death| death.container_id).collect();
        assert_eq!(ids, ["aa", "cc", "bb"]);
        assert_eq!(pod.deaths()[1].restarts, 2);
        assert_eq!(pod.running().collect::<Vec<_>>(), ["dd"]);
        assert_eq!(pod.expected(), Some("segfault"));
    }
}
