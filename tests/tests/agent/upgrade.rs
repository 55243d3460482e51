//! An agent that finds the pins of one of another build: renamed, those of the agent under test are such.

use std::fs;

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec, Started};

use crate::crash::Crash;
use crate::world::World;

#[test]
fn what_an_agent_of_another_build_left_is_told() -> Result<()> {
    let Some(mut world) = keeping("another build")? else { return Ok(()) };
    let containerd = &world.containerd;
    let open = Pod::run(containerd, PodSpec::new("macula", "open"))?;
    let started = waits(&world, &open)?;
    // What it was told of the life is in its store then.
    world.agent.stop()?;
    rename_pins(&world, None)?;
    open.stop(&started.id, 30)?;
    let meanwhile = Pod::run(containerd, PodSpec::new("macula", "meanwhile"))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "open", "/no/such/file"]);
    meanwhile.crash_loop(0, |attempt| meanwhile.start(&dies, attempt))?;
    world.agent.begin()?;
    let told = Crash::wait(&world, "macula", "open", "gateway", 0)?;
    ensure!(told.cause() == "stopped_by_runtime", "cause is {}", told.cause());
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    let told = Crash::wait(&world, "macula", "meanwhile", "gateway", 0)?;
    ensure!(told.cause() == "file_not_found", "cause is {}", told.cause());
    Ok(())
}

#[test]
fn what_an_agent_of_another_layout_left_is_not_read_and_the_gap_is_named() -> Result<()> {
    let Some(mut world) = keeping("another layout")? else { return Ok(()) };
    let open = Pod::run(&world.containerd, PodSpec::new("macula", "open"))?;
    let started = waits(&world, &open)?;
    // What it was told of the life is in its store then.
    world.agent.stop()?;
    rename_pins(&world, Some("abi0"))?;
    ensure!(open.exec(&started.id, &["/victim", "exit", "7"])?.exit_code == 7, "exec failed");
    world.agent.begin()?;
    let lost = world.agent.metric("tracer_events_lost_total{kind=\"undecodable\"}")?;
    ensure!(lost > 0.0, "nothing is counted as lost");
    let said = world.agent.stderr();
    let gap = said.lines().find(|line| line.contains("cannot be read"));
    let gap = gap.with_context(|| format!("the gap is not named: {said}"))?;
    ensure!(gap.contains("macula/open/gateway"), "the open life is not named: {gap}");
    ensure!(!world.agent.pins().join("abi0-000000000000").exists(), "it is still there");

    open.stop(&started.id, 30)?;
    let told = Crash::wait(&world, "macula", "open", "gateway", 0)?;
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    Ok(())
}

fn keeping(test: &str) -> Result<Option<World>> {
    World::with(test, Around::Network, &["--keep-when-stopped"])
}

/// A container that ends with status 5 when it is stopped; the agent knows it.
fn waits(world: &World, pod: &Pod<'_>) -> Result<Started> {
    let ready = pod.ready("ready")?;
    let waits = ContainerSpec::new("gateway", &["/victim", "wait-handling", "/pod/ready", "5"]);
    let started = pod.start(&waits, 0)?;
    ready.wait_alone()?;
    world.agent.wait_for("the container's exec", |line| {
        line["kind"] == "exec" && line["container"]["id"] == started.id.as_str()
    })?;
    Ok(started)
}

/// As those of another build, of this layout or another.
fn rename_pins(world: &World, layout: Option<&str>) -> Result<()> {
    let all = world.agent.pins();
    let set = fs::read_dir(&all)?.next().context("nothing is pinned")??;
    let name = set.file_name().into_string().ok().context("a set's name is ASCII")?;
    let (own, _) = name.split_once('-').context("a set's name begins with its layout")?;
    let other = format!("{}-000000000000", layout.unwrap_or(own));
    fs::rename(set.path(), all.join(other)).context("pins cannot be renamed")
}
