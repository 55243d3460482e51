//! A privileged pod on every node that looks at what the tracer leaves there. It knows where an agent puts things.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::NAMESPACE;
use super::kubectl::Kubectl;
use super::pods::{List, Pod};
use crate::chores::image::Name;

/// Where an agent pins what is to outlive it.
pub const PINS: &str = "/sys/fs/bpf/tracer";
const LOOK: &str = include_str!("look.sh");

/// The checker's pods.
#[derive(Debug)]
pub struct Checker<'a> {
    kubectl: &'a Kubectl,
    /// By node.
    pods: BTreeMap<String, String>,
}

/// What is in the kernel, by kind: `prog_id:`, `map_id:`, `link_id:`.
pub type Objects = BTreeMap<String, BTreeSet<String>>;

impl<'a> Checker<'a> {
    /// Starts one on every node, in the namespace of these trials.
    pub fn start(kubectl: &'a Kubectl) -> Result<Self> {
        kubectl.create(&daemonset()).context("cannot start the pods that look at the nodes")?;
        kubectl.rolled_out(NAMESPACE, "daemonset/checker")?;
        let list: List<Pod> =
            kubectl.json(&["-n", NAMESPACE, "get", "pods", "-l", "app=checker"])?;
        let pods = list.items.into_iter().map(|pod| (pod.spec.node_name, pod.metadata.name));
        Ok(Self { kubectl, pods: pods.collect() })
    }

    /// The nodes on which a store was left by somebody.
    pub fn stores(&self) -> Result<BTreeSet<String>> {
        let mut nodes = BTreeSet::new();
        for node in self.pods.keys() {
            if self.look(node, &["store"])?.trim() == "yes" {
                nodes.insert(node.clone());
            }
        }
        Ok(nodes)
    }

    /// Removes the stores of these nodes.
    pub fn forget<'n>(&self, nodes: impl IntoIterator<Item = &'n String>) -> Result<()> {
        nodes.into_iter().try_for_each(|node| self.look(node, &["forget"]).map(drop))
    }

    /// What an agent holds in its node's kernel, itself or by pins.
    pub fn objects(&self, node: &str, container_id: &str) -> Result<Objects> {
        Ok(objects(&self.look(node, &["objects", container_id])?))
    }

    /// Which of them are still there.
    pub fn still_loaded(&self, node: &str, of: &Objects) -> Result<Objects> {
        let pod = self.pod(node)?;
        let mut left = Objects::new();
        for (kind, ids) in of {
            let mut program = vec!["/victim", "loaded", kind];
            program.extend(ids.iter().map(String::as_str));
            left.append(&mut objects(&self.kubectl.exec(NAMESPACE, pod, &program)?));
        }
        Ok(left)
    }

    /// Files and folders of an agent, its store left out.
    pub fn left(&self, node: &str) -> Result<Vec<String>> {
        let text = self.look(node, &["left"])?;
        Ok(text.lines().map(|path| path.trim_start_matches("/host").to_owned()).collect())
    }

    pub fn nodes(&self) -> impl Iterator<Item = &String> {
        self.pods.keys()
    }

    fn look(&self, node: &str, args: &[&str]) -> Result<String> {
        let program = [&["sh", "-c", LOOK, "look.sh"], args].concat();
        self.kubectl.exec(NAMESPACE, self.pod(node)?, &program)
    }

    fn pod(&self, node: &str) -> Result<&str> {
        self.pods.get(node).map(String::as_str).with_context(|| format!("no checker on {node}"))
    }
}

fn objects(text: &str) -> Objects {
    let mut objects = Objects::new();
    for (kind, id) in text.lines().filter_map(|line| line.split_once(' ')) {
        objects.entry(kind.to_owned()).or_default().insert(id.to_owned());
    }
    objects
}

fn daemonset() -> serde_json::Value {
    let labels = json!({"app": "checker"});
    let container = json!({
        "name": "checker",
        "image": Name::Victims.reference(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/victim", "wait-handling", "/dev/null", "0"],
        "securityContext": {"privileged": true, "runAsUser": 0},
        "volumeMounts": [{"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer"}],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "checker", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostPID": true,
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 1,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container],
                    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_once_by_kind() {
        let found = objects("prog_id: 7\nmap_id: 3\nprog_id: 7\nprog_id: 9\n");
        assert_eq!(found["prog_id:"].len(), 2);
        assert_eq!(found["map_id:"].len(), 1);
    }
}
