//! The selection in the agent's file, read again on SIGHUP.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process};
use tests::cri::{Around, ContainerSpec, Containerd, Pod, PodSpec, Started};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const TAKEN_WITHIN: Duration = Duration::from_secs(10);

const FIRST: &str = "[[select]]\nnamespace = \"first\"\n";
const SECOND: &str = "[[select]]\nnamespace = \"second\"\n";
const UNKNOWN_KEY: &str = "[[select]]\nnamespace = \"first\"\nlabel = \"app\"\n";
const NO_TOML: &str = "[[select\n";

#[test]
fn a_selection_that_is_reloaded_holds_for_what_runs_and_a_broken_file_changes_nothing() -> Result<()>
{
    let folder = tempfile::Builder::new().prefix("config-").tempdir()?;
    let file = folder.path().join("tracer.toml");
    fs::write(&file, FIRST)?;
    let options = ["--config", file.to_str().context("a path that is no text")?];
    let Some(world) = World::with("a reload", Around::Network, &options)? else { return Ok(()) };
    let reload = |content: &str, answer: &str| {
        let before = world.agent.stderr().matches(answer).count();
        fs::write(&file, content)?;
        kill_process(world.agent.pid()?, Signal::HUP)?;
        eventually(answer, TAKEN_WITHIN, || {
            Ok((world.agent.stderr().matches(answer).count() > before).then_some(()))
        })
    };
    let (dropped, dropped_waits) = lives(&world.containerd, "first", "runs-first")?;
    let (taken, taken_waits) = lives(&world.containerd, "second", "runs-second")?;
    die(&world.containerd, "second", "second-early")?;
    die(&world.containerd, "first", "first-early")?;
    Crash::wait(&world, "first", "first-early", "gateway", 0)?;

    reload(SECOND, "selection reloaded")?;
    dropped.kill(&dropped_waits.id)?;
    taken.kill(&taken_waits.id)?;
    let told = Crash::wait(&world, "second", "runs-second", "gateway", 0)?;
    ensure!(told.cause() == "killed_by_signal", "cause is {}", told.cause());
    die(&world.containerd, "first", "first-late")?;
    die(&world.containerd, "second", "second-late")?;
    Crash::wait(&world, "second", "second-late", "gateway", 0)?;

    for (content, pod) in [(NO_TOML, "after-no-toml"), (UNKNOWN_KEY, "after-unknown-key")] {
        reload(content, "the selection stays as it was")?;
        die(&world.containerd, "first", &format!("not-{pod}"))?;
        die(&world.containerd, "second", pod)?;
        Crash::wait(&world, "second", pod, "gateway", 0)?;
    }
    let why = world.agent.stderr();
    ensure!(why.contains("tracer.toml"), "it does not name the broken file: {why}");

    let all = Crash::all(&world)?;
    let told: BTreeSet<&str> = all.iter().map(|crash| crash.place().0).collect();
    let expected =
        ["first-early", "runs-second", "second-late", "after-no-toml", "after-unknown-key"];
    ensure!(told == expected.into(), "told are {told:?}");
    ensure!(all.len() == expected.len(), "{} crashes", all.len());
    Ok(())
}

/// A pod whose container waits to be killed.
fn lives<'c>(
    containerd: &'c Containerd,
    namespace: &str,
    name: &str,
) -> Result<(Pod<'c>, Started)> {
    let pod = Pod::run(containerd, PodSpec::new(namespace, name))?;
    let ready = pod.ready("ready")?;
    let waits = ContainerSpec::new("gateway", &["/victim", "wait", "/pod/ready"]);
    let started = pod.start(&waits, 0)?;
    ready.wait_alone()?;
    Ok((pod, started))
}

/// A pod whose container has died.
fn die(containerd: &Containerd, namespace: &str, name: &str) -> Result<()> {
    let pod = Pod::run(containerd, PodSpec::new(namespace, name))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    pod.crash_loop(0, |attempt| pod.start(&dies, attempt))?;
    Ok(())
}
