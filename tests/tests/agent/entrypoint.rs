//! Containers whose entrypoint is never executed, where their runtime's init is no first process of a pid namespace.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

/// So many at once that runc's init comes into the cgroup before it has run itself again.
const CROWD: usize = 30;

#[test]
fn a_missing_entrypoint_is_known_by_an_init_without_a_pid_namespace_of_its_own() -> Result<()> {
    let Some(world) = World::here("an entrypoint", Around::Network)? else { return Ok(()) };
    for runtime in ["runc", "crun"] {
        let (host, shared) = (format!("host-{runtime}"), format!("shared-{runtime}"));
        refused(&world, PodSpec::new("macula", &host).under(runtime).on_host_pids())?;
        refused(&world, PodSpec::new("macula", &shared).under(runtime).sharing_pids())?;
        is_told(&world, &host)?;
        is_told(&world, &shared)?;
    }
    Ok(())
}

#[test]
fn an_init_that_runs_itself_again_inside_of_the_container_is_still_an_init() -> Result<()> {
    let Some(world) = World::here("a slow init", Around::Network)? else { return Ok(()) };
    let name = |index: usize| format!("crowd-{index}");
    std::thread::scope(|scope| {
        let start = |index| PodSpec::new("macula", &name(index)).on_host_pids();
        let world = &world;
        let all: Vec<_> =
            (0..CROWD).map(|index| scope.spawn(move || refused(world, start(index)))).collect();
        let mut ends = all.into_iter().map(|it| it.join().expect("a pod's thread does not panic"));
        ends.try_for_each(|end| end)
    })?;
    (0..CROWD).try_for_each(|index| is_told(&world, &name(index)))
}

fn refused(world: &World, spec: PodSpec) -> Result<()> {
    let pod = Pod::run(&world.containerd, spec)?;
    let missing = ContainerSpec::new("gateway", &["/opt/server", "--port", "9443"]);
    pod.crash_loop(0, |attempt| pod.start(&missing, attempt))?;
    Ok(())
}

/// With the runtime's own word for it.
fn is_told(world: &World, pod: &str) -> Result<()> {
    let told = Crash::wait(world, "macula", pod, "gateway", 0)?;
    let whole = told.whole(world)?;
    ensure!(told.cause() == "exec_not_found", "{pod}: {whole}");
    ensure!(whole.confidence() == "proven", "{pod}: {whole}");
    let said = |entry: &Value| {
        let init = entry["kind"] == "words" && entry["stream"] == "init";
        init && entry["text"].as_str().is_some_and(|text| text.contains("/opt/server"))
    };
    let timeline = whole.object()["timeline"].as_array().context("no timeline")?;
    ensure!(timeline.iter().any(said), "no words of the init of {pod}: {whole}");
    Ok(())
}
