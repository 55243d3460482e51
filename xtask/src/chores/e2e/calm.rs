//! Ends that are no crash: a gateway restarted, deleted and scaled, and a pod that is deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::agents;
use super::compare::REASON;
use super::deaths::CRASHES;
use super::gateway::{DEPLOYMENT, GATEWAY_NAMESPACE};
use super::kubectl::Kubectl;
use super::pods::{Event, List, Pod};
use super::report::Report;
use super::until;

const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// Of deploy/crashes: the one that goes on running.
const RUNNING: &str = "init-and-exec-probe";

pub fn show(kubectl: &Kubectl, report: &mut Report) -> Result<()> {
    let restarted = ended(kubectl, GATEWAY_NAMESPACE, || {
        kubectl.text(&["-n", GATEWAY_NAMESPACE, "rollout", "restart", DEPLOYMENT])?;
        kubectl.rolled_out(GATEWAY_NAMESPACE, DEPLOYMENT)
    });
    report.check("a gateway restarted by rollout", restarted)?;
    let deleted = ended(kubectl, GATEWAY_NAMESPACE, || {
        kubectl.text(&["-n", GATEWAY_NAMESPACE, "delete", "pod", "-l", "app=macula-gateway"])?;
        kubectl.rolled_out(GATEWAY_NAMESPACE, DEPLOYMENT)
    });
    report.check("a gateway deleted", deleted)?;
    let scaled = ended(kubectl, GATEWAY_NAMESPACE, || scale(kubectl, "0"));
    report.check("a gateway scaled down", scaled)?;
    scale(kubectl, "1")?;
    kubectl.rolled_out(GATEWAY_NAMESPACE, DEPLOYMENT)?;
    let pod = pods(kubectl, CRASHES)?.into_iter().find(|pod| pod.metadata.name == RUNNING);
    if pod.is_some() {
        let deleted = ended(kubectl, CRASHES, || {
            kubectl.text(&["-n", CRASHES, "delete", "pod", RUNNING]).map(drop)
        });
        report.check("a pod with an init container and an exec probe deleted", deleted)?;
    }
    Ok(())
}

fn scale(kubectl: &Kubectl, replicas: &str) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    kubectl.text(&["-n", GATEWAY_NAMESPACE, "scale", DEPLOYMENT, &replicas]).map(drop)
}

/// Does something by which containers of long-running pods end, and waits until each is told as no crash.
fn ended(kubectl: &Kubectl, namespace: &str, act: impl Fn() -> Result<()>) -> Result<String> {
    let before = calm(kubectl, namespace)?;
    ensure!(!before.is_empty(), "nothing runs in {namespace}");
    act()?;
    let gone = until("the containers to end", Duration::from_secs(90), || {
        let now = calm(kubectl, namespace)?;
        Ok(before.is_disjoint(&now).then_some(()))
    });
    gone?;
    let causes = until("each end to be told", TOLD_WITHIN, || {
        let told = agents::told(kubectl)?;
        let ends: Vec<_> = told.iter().filter(|told| before.contains(&told.container_id)).collect();
        let all = ends.iter().map(|told| &told.container_id).collect::<BTreeSet<_>>();
        Ok((all.len() == before.len()).then(|| {
            let crashes = ends.iter().filter(|told| told.is_crash());
            crashes.map(|told| format!("{}: {}", told.cause, told.summary)).collect::<Vec<_>>()
        }))
    })?;
    ensure!(causes.is_empty(), "told as a crash: {}", causes.join("; "));
    let events: List<Event> = kubectl.json(&["-n", namespace, "get", "events"])?;
    let calm = |event: &&Event| event.reason == REASON && namespace == GATEWAY_NAMESPACE;
    if let Some(event) = events.items.iter().find(calm) {
        anyhow::bail!("an Event says: {}", event.message);
    }
    Ok(format!("told as no crash, no Event ({} containers)", before.len()))
}

/// Containers that run and are expected to go on: all in the gateway's namespace, one pod among those that die.
fn calm(kubectl: &Kubectl, namespace: &str) -> Result<BTreeSet<String>> {
    let pods = pods(kubectl, namespace)?;
    let calm = pods.iter().filter(|pod| namespace != CRASHES || pod.metadata.name == RUNNING);
    Ok(calm.flat_map(Pod::running).map(str::to_owned).collect())
}

fn pods(kubectl: &Kubectl, namespace: &str) -> Result<Vec<Pod>> {
    let list: List<Pod> = kubectl.json(&["-n", namespace, "get", "pods"])?;
    Ok(list.items)
}
