//! Upgrades the DaemonSet while containers go on dying, and counts: each death must be told once.

use std::ops::Range;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::agents::{self, DAEMONSET, NAMESPACE as AGENTS, Told};
use super::checker::{Checker, PINS};
use super::compare::unmatched;
use super::deaths::CRASHES;
use super::kubectl::Kubectl;
use super::pods::{Death, List, Pod};
use super::report::Report;
use super::until;
use crate::chores::image::Name;

/// Between two pods that die.
const PERIOD: Duration = Duration::from_millis(700);
/// Deaths before the upgrade begins, and after it is done.
const AROUND: usize = 8;
const LABEL: &str = "macula.io/e2e=dying";

/// How the pods die, in turn.
const DEATHS: [(&[&str], &str); 4] = [
    (&["/victim", "exit", "3"], "exited_with_error"),
    (&["/victim", "segfault", "0"], "segfault"),
    (&["/no/such/program"], "exec_not_found"),
    (&["/victim", "open", "/etc/gateway/gateway.toml"], "file_not_found"),
];

pub fn under_load(kubectl: &Kubectl, checker: &Checker<'_>, report: &mut Report) -> Result<()> {
    ensure_namespace(kubectl)?;
    let before = agents::pods(kubectl)?;
    let (stop, stopped) = mpsc::channel::<()>();
    let (made, upgraded) = thread::scope(|scope| {
        let load = scope.spawn(move || make_pods(kubectl, &stopped));
        let upgraded = upgrade(kubectl);
        drop(stop);
        (load.join(), upgraded)
    });
    let made = made.map_err(|_| anyhow!("the load panicked"))??;
    let meanwhile_made = upgraded.as_ref().ok().cloned().unwrap_or_default();
    report.check("the rollout of a new DaemonSet", upgraded.map(|_| "done".to_owned()))?;
    let after = agents::pods(kubectl)?;
    let renewed =
        after.iter().all(|new| before.iter().all(|old| old.metadata.uid != new.metadata.uid));
    let renewed =
        if renewed { Ok(format!("{}", after.len())) } else { Err(anyhow!("some are old")) };
    report.check("agents replaced", renewed)?;

    let pods = until("all pods to die", Duration::from_secs(120), || {
        let pods = dying(kubectl)?;
        let dead = pods.iter().filter(|pod| !pod.deaths().is_empty()).count();
        Ok((dead == made).then_some(pods))
    })?;
    let deaths: Vec<Death> = pods.iter().flat_map(Pod::deaths).collect();
    let meanwhile = deaths.iter().filter(|death| fell_between(death, &after)).count();
    let enough = if meanwhile > 0 {
        Ok(format!("{meanwhile} of {}", deaths.len()))
    } else {
        Err(anyhow!("none of {}, so that nothing is proven", deaths.len()))
    };
    report.check("deaths between the old agent and the new one", enough)?;
    let (pods, deaths) = if pinned(checker)? {
        (pods, deaths)
    } else {
        report.note("a node has no BPF file system: what dies while no agent runs is not told")?;
        let told: Vec<Pod> =
            pods.into_iter().filter(|pod| !meanwhile_made.contains(&number(pod))).collect();
        let deaths = told.iter().flat_map(Pod::deaths).collect();
        (told, deaths)
    };
    report.check("no death lost, none told twice", all_told(kubectl, &pods, &deaths))
}

/// Whether on every node an agent has pins, by which its programs outlive it.
fn pinned(checker: &Checker<'_>) -> Result<bool> {
    for node in checker.nodes() {
        if !checker.left(node)?.iter().any(|path| path.starts_with(PINS)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until the deaths are told, as long as that may take, and then looks closely.
fn all_told(kubectl: &Kubectl, pods: &[Pod], deaths: &[Death]) -> Result<String> {
    let waited = until("all to be told", Duration::from_secs(60), || {
        Ok(unmatched(deaths, &agents::told(kubectl)?).is_empty().then_some(()))
    });
    let told = agents::told(kubectl)?;
    let mut wrong = unmatched(deaths, &told);
    let miscalled = pods.iter().filter_map(|pod| {
        let cause = called_wrongly(pod, &told)?;
        Some(format!("{} is called {cause}", pod.metadata.name))
    });
    wrong.extend(miscalled);
    ensure!(wrong.is_empty(), "{} wrong: {}", wrong.len(), wrong.join("; "));
    waited?;
    Ok(format!("{} deaths, each told once and with its cause", deaths.len()))
}

/// What the tracer calls a pod's death, where that is not how it died.
fn called_wrongly<'a>(pod: &Pod, told: &'a [Told]) -> Option<&'a str> {
    let of =
        |told: &&Told| told.namespace == pod.metadata.namespace && told.pod == pod.metadata.name;
    let mut causes = told.iter().filter(of).map(|told| told.cause.as_str());
    causes.find(|cause| Some(*cause) != pod.expected())
}

/// Of `dying-7`.
fn number(pod: &Pod) -> usize {
    let number = pod.metadata.name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(usize::MAX)
}

/// Gives the pods that may have died while no agent ran.
fn upgrade(kubectl: &Kubectl) -> Result<Range<usize>> {
    let died = |count: usize| {
        until("pods to die", Duration::from_secs(120), || {
            let dead = dying(kubectl)?.iter().filter(|pod| !pod.deaths().is_empty()).count();
            Ok((dead >= count).then_some(dead))
        })
    };
    let before = died(AROUND)?;
    kubectl.text(&["-n", AGENTS, "rollout", "restart", DAEMONSET])?;
    kubectl.rolled_out(AGENTS, DAEMONSET)?;
    let then = dying(kubectl)?.len();
    died(then + AROUND)?;
    // Pods die about in the order in which they were made.
    Ok(before.saturating_sub(2)..then)
}

/// Makes a pod that dies, again and again, until it is told to stop; gives how many.
fn make_pods(kubectl: &Kubectl, stopped: &Receiver<()>) -> Result<usize> {
    let mut made = 0;
    loop {
        kubectl.create(&pod(made)).context("the load")?;
        made += 1;
        match stopped.recv_timeout(PERIOD) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(made),
        }
    }
}

fn pod(number: usize) -> Value {
    let (command, cause) = DEATHS[number % DEATHS.len()];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("dying-{number}"),
            "namespace": CRASHES,
            "labels": {"macula.io/e2e": "dying"},
            "annotations": {"macula.io/cause": cause},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "gateway",
                "image": Name::Victims.reference(),
                "imagePullPolicy": "IfNotPresent",
                "command": command,
            }],
        },
    })
}

fn dying(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    let list: List<Pod> = kubectl.json(&["-n", CRASHES, "get", "pods", "-l", LABEL])?;
    Ok(list.items)
}

/// Between the making of a new agent's pod, for which the old one had to be gone, and its being ready. RFC 3339 in UTC
/// with whole seconds compares as text.
fn fell_between(death: &Death, agents: &[Pod]) -> bool {
    agents.iter().any(|agent| {
        let made = agent.metadata.creation_timestamp.as_str();
        let ready = agent.since("Ready").unwrap_or(made);
        (made..ready).contains(&death.finished_at.as_str())
    })
}

/// Where the dying pods of deploy/crashes were not applied.
fn ensure_namespace(kubectl: &Kubectl) -> Result<()> {
    if kubectl.text(&["get", "namespace", CRASHES, "--ignore-not-found"])?.is_empty() {
        kubectl.text(&["create", "namespace", CRASHES])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chores::e2e::pods::Condition;

    #[test]
    fn a_death_by_another_cause_is_found() {
        let mut pod = Pod::default();
        pod.metadata.name = "dying-7".to_owned();
        pod.metadata.annotations.insert("macula.io/cause".to_owned(), "segfault".to_owned());
        let told = |cause: &str| {
            [Told {
                container_id: String::new(),
                namespace: String::new(),
                pod: "dying-7".to_owned(),
                container: String::new(),
                cause: cause.to_owned(),
                summary: String::new(),
            }]
        };
        assert_eq!(number(&pod), 7);
        assert_eq!(called_wrongly(&pod, &told("segfault")), None);
        assert_eq!(called_wrongly(&pod, &told("abort")), Some("abort"));
    }

    #[test]
    fn a_death_falls_between_two_agents_by_the_clock_of_the_cluster() {
        let mut agent = Pod::default();
        agent.metadata.creation_timestamp = "2001-01-01T00:00:10Z".to_owned();
        agent.status.conditions.push(Condition {
            kind: "Ready".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some("2001-01-01T00:00:13Z".to_owned()),
        });
        let death = |finished_at: &str| Death {
            namespace: String::new(),
            pod: String::new(),
            container: String::new(),
            container_id: String::new(),
            reason: String::new(),
            exit_code: 1,
            restarts: 0,
            finished_at: finished_at.to_owned(),
        };
        let agents = [agent];
        assert!(!fell_between(&death("2001-01-01T00:00:09Z"), &agents));
        assert!(fell_between(&death("2001-01-01T00:00:10Z"), &agents));
        assert!(!fell_between(&death("2001-01-01T00:00:13Z"), &agents));
    }
}
