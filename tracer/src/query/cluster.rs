//! Finds the agents of a cluster: the pods of the DaemonSet, one of each node. It must not know what they are asked.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use kube::{Client, api::ListParams, core::Request};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    Cluster,
    forward::{Forward, reason},
    source::Source,
};

/// What the DaemonSet's pods are labelled with (deploy/base/tracer).
const LABEL: &str = "app=macula-tracer";

/// A node, and its agent or why there is none to ask.
pub type Node = (String, Result<Source, String>);

/// One agent of each node that is wanted, by name.
///
/// # Errors
/// The API server does not tell, or there is no agent.
pub async fn nodes(client: &Client, server: &str, cluster: &Cluster) -> anyhow::Result<Vec<Node>> {
    let namespace = &cluster.tracer_namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let request = Request::new(path).list(&ListParams::default().labels(LABEL))?;
    let patience = cluster.request_timeout.0;
    let pods = match timeout(patience, client.request::<Pods>(request)).await {
        Ok(pods) => pods.map_err(|error| untold(error, server, namespace))?,
        Err(_) => bail!(
            "the Kubernetes API at {server} does not answer within {}",
            cluster.request_timeout
        ),
    };
    let agents = agents(pods.items);
    if agents.is_empty() {
        let hint = "is the DaemonSet applied, and in this namespace? (--tracer-namespace)";
        return Err(anyhow!("no agent in the namespace {namespace} ({LABEL}): {hint}"));
    }
    let chosen = chosen(agents, &cluster.nodes);
    let source = |pod| {
        let forward = Forward { client: client.clone(), namespace: namespace.clone(), pod };
        Source::of_pod(forward, patience)
    };
    Ok(chosen.into_iter().map(|(node, pod)| (node, pod.map(source))).collect())
}

fn untold(error: kube::Error, server: &str, namespace: &str) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => anyhow!(
            "cannot find the agents: {}: who asks needs list of pods in the namespace {namespace} (docs/operations.md)",
            status.message
        ),
        kube::Error::Api(status) if status.code == 401 => anyhow!(
            "the Kubernetes API at {server} does not know who asks ({}): see the user of the kubeconfig",
            status.message
        ),
        kube::Error::Api(status) => anyhow!("cannot find the agents: {}", status.message),
        error => anyhow!("cannot ask the Kubernetes API at {server}: {}", reason(error)),
    }
}

/// As much of a PodList as is used.
#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    /// `None` until it is scheduled.
    node_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    /// `Evicted`
    reason: Option<String>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    #[serde(default)]
    state: State,
}

#[derive(Default, Deserialize)]
struct State {
    waiting: Option<Waiting>,
}

#[derive(Deserialize)]
struct Waiting {
    /// `ImagePullBackOff`
    reason: Option<String>,
}

/// The pod to ask on each node, or why there is none. While a pod is replaced, a node has two of them.
fn agents(pods: Vec<Pod>) -> BTreeMap<String, Result<String, String>> {
    let mut best: BTreeMap<String, Pod> = BTreeMap::new();
    for pod in pods {
        let node = match &pod.spec.node_name {
            Some(node) => node.clone(),
            None => format!("(pod {})", pod.metadata.name),
        };
        match best.get(&node) {
            Some(other) if other.worth() >= pod.worth() => {}
            _ => drop(best.insert(node, pod)),
        }
    }
    best.into_iter().map(|(node, pod)| (node, pod.agent())).collect()
}

impl Pod {
    fn is_running(&self) -> bool {
        self.status.phase.as_deref() == Some("Running")
    }

    fn worth(&self) -> u8 {
        match (self.is_running(), self.metadata.deletion_timestamp.is_none()) {
            (true, true) => 2,
            (true, false) => 1,
            (false, _) => 0,
        }
    }

    fn agent(self) -> Result<String, String> {
        if self.is_running() {
            return Ok(self.metadata.name);
        }
        let waiting = self.status.container_statuses.into_iter();
        let waiting = waiting.filter_map(|status| status.state.waiting?.reason).next();
        let why = waiting.or(self.status.reason).map_or(String::new(), |why| format!(" ({why})"));
        let phase = self.status.phase.unwrap_or_else(|| "not told".to_owned());
        Err(format!("the phase of its agent's pod {} is {phase}{why}", self.metadata.name))
    }
}

/// Those that are wanted; all where none are named.
fn chosen(
    mut agents: BTreeMap<String, Result<String, String>>,
    wanted: &[String],
) -> BTreeMap<String, Result<String, String>> {
    if wanted.is_empty() {
        return agents;
    }
    let none = || Err("no agent runs there, or no such node is in this cluster".to_owned());
    let agent = |name: &String| (name.clone(), agents.remove(name).unwrap_or_else(none));
    // A name that was given twice is asked once.
    let names: std::collections::BTreeSet<&String> = wanted.iter().collect();
    names.into_iter().map(agent).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods(items: &serde_json::Value) -> BTreeMap<String, Result<String, String>> {
        agents(serde_json::from_value::<Pods>(json!({ "items": items })).unwrap().items)
    }

    #[test]
    fn each_node_has_the_agent_that_will_stay() {
        let pod = |name: &str, node: &str, phase: &str, deleted: bool| {
            json!({
                "metadata": {"name": name, "deletionTimestamp": deleted.then_some("2026-01-31T10:00:00Z")},
                "spec": {"nodeName": node},
                "status": {"phase": phase},
            })
        };
        let found = pods(&json!([
            pod("evicted", "a", "Failed", false),
            pod("old", "a", "Running", true),
            pod("new", "a", "Running", false),
            pod("going", "b", "Running", true),
            pod("coming", "b", "Pending", false),
        ]));
        assert_eq!(found["a"], Ok("new".to_owned()));
        assert_eq!(found["b"], Ok("going".to_owned()));
    }

    #[test]
    fn a_node_whose_agent_does_not_run_says_why() {
        let waiting = json!([{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]);
        let found = pods(&json!([
            {"metadata": {"name": "t-1"}, "spec": {"nodeName": "a"},
             "status": {"phase": "Pending", "containerStatuses": waiting}},
            {"metadata": {"name": "t-2"}},
            {"metadata": {"name": "t-3"}, "spec": {"nodeName": "c"},
             "status": {"phase": "Failed", "reason": "Evicted"}},
        ]));
        let why = |node: &str| found[node].clone().unwrap_err();
        assert_eq!(why("a"), "the phase of its agent's pod t-1 is Pending (ImagePullBackOff)");
        assert_eq!(why("(pod t-2)"), "the phase of its agent's pod t-2 is not told");
        assert_eq!(why("c"), "the phase of its agent's pod t-3 is Failed (Evicted)");
    }

    #[test]
    fn only_wanted_nodes_are_asked() {
        let all = || BTreeMap::from(["a", "b"].map(|node| (node.to_owned(), Ok(node.to_owned()))));
        assert_eq!(chosen(all(), &[]).len(), 2);
        let some = chosen(all(), &["b".to_owned(), "x".to_owned(), "b".to_owned()]);
        assert_eq!(some.len(), 2);
        assert!(some["b"].is_ok() && some["x"].is_err());
    }
}
