//! A container runtime that is away, or hangs, while pods die.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec, Started};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

/// The agent asks again after 2 s at the latest, and looks every 5 s whether the runtime is there.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// Pods that live and die while the runtime is away.
const SHORT: [(&str, &[&str], &str); 3] = [
    ("exits", &["/victim", "exit", "3"], "exited_with_error"),
    ("faults", &["/victim", "segfault", "0"], "segfault"),
    ("misses", &["/opt/server"], "exec_not_found"),
];

#[test]
fn pods_that_die_while_the_runtime_is_away_are_named_when_it_is_back() -> Result<()> {
    // The agent's way to the runtime: without it the runtime is there for a kubelet alone.
    let folder = tempfile::Builder::new().prefix("way-").tempdir()?;
    let way = folder.path().join("runtime.sock");
    let options = ["--cri-socket", way.to_str().context("a path that is no text")?];
    let open = |to: &std::path::Path| symlink(to, &way);
    let Some(world) = World::around("a runtime away", Around::Network, &options, open)? else {
        return Ok(());
    };
    let old = Pod::run(&world.containerd, PodSpec::new("macula", "old"))?;
    let waiting = wait_within(&old, "gateway")?;
    world.agent.wait_for("the name of a pod", |line| line["k8s"]["pod"]["name"] == "old")?;

    fs::remove_file(&way)?;
    world.containerd.while_away(|| old.kill(&waiting.id))?;
    let told = Crash::wait(&world, "macula", "old", "gateway", 0)?;
    ensure!(told.cause() == "killed_by_signal", "cause is {}", told.cause());
    let mut pods = Vec::new();
    for (name, command, cause) in SHORT {
        let pod = Pod::run(&world.containerd, PodSpec::new("macula", name))?;
        let started = pod.start(&ContainerSpec::new("gateway", command), 2)?;
        pod.end_of(&started.id)?;
        pods.push((pod, started, cause));
    }
    eventually("that the agent is not ready", NAMED_WITHIN, || {
        let ready = world.agent.get("/ready", "*/*")?;
        Ok((ready.status == 503 && ready.body.contains("runtime")).then_some(()))
    })?;
    let said = world.agent.stderr();
    let warned = said.lines().filter(|line| line.contains("the container runtime does not answer"));
    ensure!(warned.count() == 1, "it does not warn once: {said}");

    symlink(world.containerd.socket(), &way)?;
    let all = eventually("the names of all that died", NAMED_WITHIN, || {
        let all = Crash::all(&world)?;
        let named = all.iter().filter(|crash| crash.namespace() == "macula").count();
        Ok((named == pods.len() + 1).then_some(all))
    })?;
    ensure!(all.len() == pods.len() + 1, "{} crashes of {} lives", all.len(), pods.len() + 1);
    for (pod, started, cause) in &pods {
        let told = all.iter().find(|crash| crash.container_id() == started.id);
        let told = told.with_context(|| format!("nothing of {}", pod.name()))?;
        ensure!(told.place() == (pod.name(), "gateway"), "of {} is told {told:?}", pod.name());
        ensure!(told.attempt() == Some(2), "of {} is told {told:?}", pod.name());
        ensure!(told.cause() == *cause, "of {} is told {told:?}", pod.name());
        told.whole(&world)?;
    }
    eventually("that the agent is ready", NAMED_WITHIN, || {
        Ok((world.agent.get("/ready", "*/*")?.status == 200).then_some(()))
    })
}

#[test]
fn a_frozen_runtime_holds_up_no_verdict_and_no_start_of_the_agent() -> Result<()> {
    let Some(mut world) = World::here("a frozen runtime", Around::Network)? else {
        return Ok(());
    };
    let World { agent, containerd } = &mut world;
    let known = Pod::run(containerd, PodSpec::new("macula", "known"))?;
    let unknown = Pod::run(containerd, PodSpec::new("macula", "unknown"))?;
    let first = wait_within(&known, "gateway")?;
    agent.wait_for("the name of a pod", |line| line["k8s"]["pod"]["name"] == "known")?;
    let second = containerd.while_frozen(|| {
        known.kill(&first.id)?;
        agent.wait_for("the death of a known container", |line| {
            let crash = Crash(line.clone());
            crash.is_crash() && crash.place() == ("known", "gateway")
        })
    });
    second?;
    // One that it never heard of before.
    agent.stop()?;
    let second = wait_within(&unknown, "gateway")?;
    containerd.while_frozen(|| {
        agent.begin_without_runtime()?;
        unknown.kill(&second.id)
    })?;
    let all = eventually("the name of a container that was not known", NAMED_WITHIN, || {
        let all: Vec<Crash> = agent.crashes()?.into_iter().map(Crash).collect();
        Ok(all.iter().any(|crash| crash.place() == ("unknown", "gateway")).then_some(all))
    })?;
    ensure!(all.len() == 2, "{} crashes of two lives: {all:?}", all.len());
    for (crash, started) in all.iter().zip([first, second]) {
        ensure!(crash.container_id() == started.id, "it is told of {}", crash.container_id());
        ensure!(crash.cause() == "killed_by_signal", "cause is {}", crash.cause());
    }
    Ok(())
}

/// Starts a container that waits to be killed, and does.
fn wait_within(pod: &Pod<'_>, container: &str) -> Result<Started> {
    let ready = pod.ready("ready")?;
    let started =
        pod.start(&ContainerSpec::new(container, &["/victim", "wait", "/pod/ready"]), 0)?;
    ready.wait_alone()?;
    Ok(started)
}
