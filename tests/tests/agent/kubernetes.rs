//! What the Kubernetes API says of a pod decides what is a crash, and names the probe that asked for a stop: beside an API
//! that says what the test wants.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec, Started};
use tests::kubernetes::Api;
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const LONGEST: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "macula";

#[test]
fn policy_deletion_and_probes_are_taken_from_the_api() -> Result<()> {
    let [probed, deleted, done] = ["probed", "deleted", "done"].map(uid);
    let mut probing = manifest(&probed, "Always");
    probing["spec"]["containers"][0]["livenessProbe"] =
        json!({"tcpSocket": {"port": 9443}, "periodSeconds": 1, "failureThreshold": 1});
    let mut deleting = manifest(&deleted, "Always");
    let all = vec![probing, deleting.clone(), manifest(&done, "OnFailure")];
    let api = Api::start(all)?;
    let Some(world) = connected("the Kubernetes API", &api)? else { return Ok(()) };

    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "probed").uid(&probed))?;
    let server = serves(&pod)?;
    pod.stop(&server.id, 30)?;
    let crash = Crash::wait(&world, NAMESPACE, "probed", "gateway", 0)?;
    let details = &crash.0["crash"]["details"];
    ensure!(crash.cause() == "stopped_by_runtime", "it is {}", crash.0);
    ensure!(details["reason"] == "liveness_probe", "it is {}", crash.0);
    ensure!(details["policy"] == "api", "it is {}", crash.0);
    let summary = crash.0["crash"]["summary"].as_str().unwrap_or_default();
    let probe = "its liveness probe had failed, which asks TCP port 9443, where the container was not listening";
    ensure!(summary.contains(probe), "it says {summary}");
    crash.whole(&world)?;

    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "deleted").uid(&deleted))?;
    let server = serves(&pod)?;
    deleting["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:30Z".into();
    deleting["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    api.tells("MODIFIED", deleting);
    pod.stop(&server.id, 30)?;
    let end = end_of(&world, &server)?;
    ensure!(end["crash"]["cause"] == "none", "it is {end}");
    ensure!(end["crash"]["details"]["reason"] == "pod_deleted", "it is {end}");
    ensure!(end["crash"]["revision"] == 1, "it was told before the API was heard: {end}");

    // The API has pods of this node, and this one not: it was deleted.
    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "gone"))?;
    let server = serves(&pod)?;
    pod.stop(&server.id, 30)?;
    let end = end_of(&world, &server)?;
    ensure!(end["crash"]["cause"] == "none", "it is {end}");
    ensure!(end["crash"]["details"]["reason"] == "pod_deleted", "it is {end}");

    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "done").uid(&done))?;
    let ended = pod.start(&ContainerSpec::new("gateway", &["/victim", "exit", "0"]), 0)?;
    let end = end_of(&world, &ended)?;
    ensure!(end["crash"]["cause"] == "none", "it is {end}");
    ensure!(end["crash"]["details"]["restart_policy"] == "OnFailure", "it is {end}");
    let crashes = Crash::all(&world)?;
    ensure!(crashes.len() == 1, "more than the stop is a crash: {crashes:?}");
    Ok(())
}

#[test]
fn what_the_api_says_late_is_told_as_a_revision() -> Result<()> {
    let [deleted, done] = ["deleted", "done"].map(uid);
    let api = Api::start(vec![manifest(&deleted, "Always")])?;
    let Some(world) = connected("a late word", &api)? else { return Ok(()) };

    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "deleted").uid(&deleted))?;
    let server = serves(&pod)?;
    pod.stop(&server.id, 30)?;
    let crash = Crash::wait(&world, NAMESPACE, "deleted", "gateway", 0)?;
    ensure!(crash.0["crash"]["details"]["reason"] == "unknown", "it is {}", crash.0);
    api.tells("DELETED", manifest(&deleted, "Always"));
    let revised = revision(&world, &crash)?;
    ensure!(revised["crash"]["cause"] == "none", "it is {revised}");
    ensure!(revised["crash"]["details"]["reason"] == "pod_deleted", "it is {revised}");

    // While it is away all is as if there were none.
    api.is_away(true);
    let away = || Ok((world.agent.metric("tracer_kubernetes_connected")? == 0.0).then_some(()));
    eventually("the API's absence", LONGEST, away)?;
    let pod = Pod::run(&world.containerd, PodSpec::new(NAMESPACE, "done").uid(&done))?;
    pod.start(&ContainerSpec::new("gateway", &["/victim", "exit", "0"]), 0)?;
    let crash = Crash::wait(&world, NAMESPACE, "done", "gateway", 0)?;
    ensure!(crash.cause() == "exited_by_itself", "it is {}", crash.0);
    ensure!(crash.0["crash"]["details"]["policy"] == "assumed", "it is {}", crash.0);
    api.has(vec![manifest(&done, "Never")]);
    api.is_away(false);
    let revised = revision(&world, &crash)?;
    ensure!(revised["crash"]["cause"] == "none", "it is {revised}");
    ensure!(revised["crash"]["details"]["policy"] == "api", "it is {revised}");
    let crashes = Crash::all(&world)?;
    ensure!(crashes.is_empty(), "they are no crashes any more: {crashes:?}");
    ensure!(world.agent.metric("tracer_verdicts_revised_total")? == 2.0, "not two revisions");
    Ok(())
}

fn uid(name: &str) -> String {
    let digit = name.len() % 10;
    format!("00000000-0000-4000-8000-{}", format!("{digit}").repeat(12))
}

fn manifest(uid: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "namespace": NAMESPACE, "uid": uid, "resourceVersion": "1"},
        "spec": {"nodeName": "test-node", "restartPolicy": policy, "containers": [{"name": "gateway"}]},
        "status": {"phase": "Running"},
    })
}

/// An agent that this API has told of pods.
fn connected(test: &str, api: &Api) -> Result<Option<World>> {
    let option = api.option()?;
    let world = World::with(test, Around::Network, &["--kubernetes", &option])?;
    if let Some(world) = &world {
        eventually("the API's word", LONGEST, || {
            Ok((world.agent.metric("tracer_kubernetes_connected")? == 1.0).then_some(()))
        })?;
    }
    Ok(world)
}

/// Runs a server that binds nothing and ends with 0 on SIGTERM.
fn serves(pod: &Pod<'_>) -> Result<Started> {
    let ready = pod.ready("ready")?;
    let serves = ContainerSpec::new("gateway", &["/victim", "wait-handling", "/pod/ready", "0"]);
    let started = pod.start(&serves, 0)?;
    ready.wait_alone()?;
    Ok(started)
}

/// What is remembered of an end, crash or not.
fn end_of(world: &World, started: &Started) -> Result<Value> {
    eventually("the end", LONGEST, || {
        let all = world.agent.ask("crashes", &["-A", "--all", "-o", "json"])?;
        let lines = std::str::from_utf8(&all)?.lines();
        let ends = lines.map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        Ok(ends.into_iter().find(|end| end["container"]["id"] == started.id.as_str()))
    })
}

fn revision(world: &World, crash: &Crash) -> Result<Value> {
    let what = "the second revision";
    world
        .agent
        .wait_for(what, |line| line["crash"]["id"] == crash.id() && line["crash"]["revision"] == 2)
        .context("it was not told again")
}
