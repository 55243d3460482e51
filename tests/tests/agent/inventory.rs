//! Containers that run already when they come to be watched.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_running_container_that_comes_to_be_selected_has_its_main_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("tracer.toml");
    std::fs::write(&config, "select = [\"other:\"]\n")?;
    let options = ["--config", config.to_str().context("a path of UTF-8")?];
    let Some(world) = World::with("a reload", Around::Network, &options)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "reloaded"))?;
    let ready = pod.ready("ready")?;
    let waits = ContainerSpec::new("gateway", &["/victim", "wait-handling", "/pod/ready", "5"]);
    let started = pod.start(&waits, 0)?;
    ready.wait_alone()?;
    let answered = "tracer_attribution_answers_total{answer=\"container\"}";
    eventually("its dismissal", WITHIN, || {
        Ok((world.agent.metric(answered)? >= 1.0).then_some(()))
    })?;

    std::fs::write(&config, "select = [\"macula:\"]\n")?;
    kill_process(world.agent.pid()?, Signal::HUP)?;
    let found = world.agent.wait_for("the found process", |line| line["kind"] == "found")?;
    let program = &found["file"]["path"];
    ensure!(program == "/victim", "found is {found}");
    for _ in 0..2 {
        ensure!(pod.exec(&started.id, &["/victim", "exit", "7"])?.exit_code == 7, "exec failed");
    }
    pod.stop(&started.id, 30)?;
    let told = Crash::wait(&world, "macula", "reloaded", "gateway", 0)?;
    ensure!(told.container_id() == started.id, "it is told of {}", told.container_id());
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    let all = Crash::all(&world)?;
    ensure!(all.len() == 1, "{all:?}");
    Ok(())
}
