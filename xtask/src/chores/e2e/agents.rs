//! Asks the agents of all nodes what they remember. It knows the tracer's command line and its JSON, no rule.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::kubectl::Kubectl;
use super::pods::{List, Pod};

/// Where the agents are.
pub const NAMESPACE: &str = "macula-tracer";
pub const DAEMONSET: &str = "daemonset/macula-tracer";
/// How everything is asked for.
pub const CRASHES: [&str; 7] = ["crashes", "-A", "--all", "--limit", "9999", "-o", "json"];
const SELECTOR: &str = "app=macula-tracer";

/// One death or end, as the tracer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub container_id: String,
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// `none` where it was no crash.
    pub cause: String,
    pub summary: String,
}

impl Told {
    pub fn is_crash(&self) -> bool {
        self.cause != "none"
    }
}

/// The agents' pods that are not about to go.
pub fn pods(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    let list: List<Pod> = kubectl.json(&["-n", NAMESPACE, "get", "pods", "-l", SELECTOR])?;
    Ok(list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// The ends of all containers that the agents remember, crashes or not.
pub fn told(kubectl: &Kubectl) -> Result<Vec<Told>> {
    let agents = pods(kubectl)?;
    ensure!(!agents.is_empty(), "no agent runs in {NAMESPACE}");
    let mut all = Vec::new();
    for agent in agents {
        all.extend(lives(&crashes(kubectl, &agent.metadata.name)?)?);
    }
    Ok(all)
}

/// JSON lines of one agent; none where it remembers nothing.
fn crashes(kubectl: &Kubectl, agent: &str) -> Result<String> {
    let program = [&["tracer"], &CRASHES[..]].concat();
    match kubectl.exec(NAMESPACE, agent, &program) {
        Err(error) if error.to_string().contains("terminated with exit code 1") => {
            Ok(String::new())
        }
        other => other,
    }
}

/// Processes that died while their container lived on are left out: no kubelet knows of them.
pub fn lives(lines: &str) -> Result<Vec<Told>> {
    let mut lives = Vec::new();
    for line in lines.lines() {
        let object: Value = serde_json::from_str(line)
            .with_context(|| format!("the tracer prints no JSON: {line}"))?;
        if object["crash"]["scope"] != "life" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        lives.push(Told {
            container_id: text(&object["container"]["id"]),
            namespace: text(&object["k8s"]["namespace"]["name"]),
            pod: text(&object["k8s"]["pod"]["name"]),
            container: text(&object["container"]["name"]),
            cause: text(&object["crash"]["cause"]),
            summary: text(&object["crash"]["summary"]),
        });
    }
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_died_alone_is_no_life() {
        let lines = r#"{"crash":{"scope":"process","cause":"segfault"},"container":{"id":"aa"}}
{"crash":{"scope":"life","cause":"exited_with_error","summary":"s"},"container":{"id":"bb","name":"gateway"},"k8s":{"namespace":{"name":"n"},"pod":{"name":"p"}}}
"#;
        let told = lives(lines).unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].container_id.as_str(), told[0].pod.as_str()), ("bb", "p"));
        assert!(told[0].is_crash());
    }
}
