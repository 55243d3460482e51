//! Containers that take all they can get: what happens to others is told all the same.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec, Started};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(30);
/// More than the kernel side tracks.
const CGROUPS: usize = 4300;
const PROCESSES: &str = "12500";

/// A container that only waits.
fn waits(pod: &Pod<'_>) -> Result<Started> {
    let ready = pod.ready("ready")?;
    let spec = ContainerSpec::new("greedy", &["/victim", "wait-handling", "/pod/ready", "0"]);
    let started = pod.start(&spec, 0)?;
    ready.wait_alone()?;
    Ok(started)
}

/// A neighbour whose death is told, with its cause; and the agent says that nothing was missed.
fn another_is_told(world: &World, name: &str) -> Result<()> {
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", name))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "open", "/no/such/file"]);
    pod.crash_loop(0, |attempt| pod.start(&dies, attempt))?;
    let told = Crash::wait(world, "macula", name, "gateway", 0)?;
    ensure!(told.cause() == "file_not_found", "cause is {}", told.cause());
    ensure!(told.0["crash"]["confidence"] == "proven", "it is {}", told.0["crash"]["confidence"]);
    Ok(())
}

fn missed(world: &World) -> Result<serde_json::Value> {
    let health: serde_json::Value =
        serde_json::from_str(&world.agent.get("/v1/health", "*/*")?.body)?;
    Ok(health["missed"].clone())
}

#[test]
fn cgroups_that_a_container_makes_for_itself_keep_no_other_from_being_tracked() -> Result<()> {
    for options in [vec![], vec!["--select", "macula:"]] {
        let world = World::with("nested cgroups", Around::Network, &options)?;
        let Some(world) = world else { return Ok(()) };
        // With the second options nobody selected it.
        let greedy = Pod::run(&world.containerd, PodSpec::new("other", "greedy"))?;
        let started = waits(&greedy)?;
        let answered =
            |answer: &str| format!("tracer_attribution_answers_total{{answer=\"{answer}\"}}");
        eventually("its name", WITHIN, || {
            Ok((world.agent.metric(&answered("container"))? >= 1.0).then_some(()))
        })?;
        let own = world.containerd.cgroup_root().join(format!("besteffort/pod{}", greedy.uid()));
        let own = own.join(&started.id);
        let nested = |number: usize| own.join(format!("nested-{number}"));
        for number in 0..CGROUPS {
            fs::create_dir(nested(number))?;
        }
        another_is_told(&world, "beside")?;
        let health = missed(&world)?;
        ensure!(health["births"] == 0 && health["recent"] == false, "{health}");
        for number in 0..CGROUPS {
            fs::remove_dir(nested(number))?;
        }
    }
    Ok(())
}

#[test]
fn a_crowd_of_processes_keeps_no_other_from_being_tracked() -> Result<()> {
    let Some(world) = World::here("a crowd", Around::Network)? else { return Ok(()) };
    let crowd = Pod::run(&world.containerd, PodSpec::new("macula", "crowd"))?;
    let ready = crowd.ready("ready")?;
    let spec = ContainerSpec::new("greedy", &["/victim", "crowd", "/pod/ready", PROCESSES]);
    let started = crowd.start(&spec, 0)?;
    ready.wait_alone()?;
    another_is_told(&world, "beside")?;
    eventually("the word of what found no room", WITHIN, || {
        Ok((missed(&world)?["processes"].as_u64() > Some(1000)).then_some(()))
    })?;
    let health = missed(&world)?;
    ensure!(health["births"] == 0 && health["recent"] == false, "{health}");
    // Its own end is told too, and that not all of it is known.
    crowd.stop(&started.id, 0)?;
    let told = Crash::wait(&world, "macula", "crowd", "greedy", 0)?;
    ensure!(told.0["crash"]["confidence"] != "proven", "{:?}", told.0["crash"]);
    ensure!(told.0["lost"].as_u64() > Some(1000), "{:?}", told.0["lost"]);
    Ok(())
}
