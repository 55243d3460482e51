//! Containers of one pod, and processes that are no container's main one.

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

#[test]
fn two_containers_of_a_pod_are_told_apart() -> Result<()> {
    let Some(world) = World::here("two containers", Around::Network)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "two"))?;
    let ready = pod.ready("ready")?;
    let lives = ContainerSpec::new("lives", &["/victim", "wait-handling", "/pod/ready", "0"]);
    let living = pod.start(&lives, 0)?;
    ready.wait_alone()?;
    let dies = ContainerSpec::new("dies", &["/victim", "exit", "3"]);
    let dead = pod.start(&dies, 4)?;
    let told = Crash::wait(&world, "macula", "two", "dies", 4)?;
    ensure!(told.container_id() == dead.id, "it is told of {}", told.container_id());
    let all = Crash::all(&world)?;
    ensure!(all.len() == 1, "the living one is told of too: {all:?}");

    pod.stop(&living.id, 30)?;
    let told = Crash::wait(&world, "macula", "two", "lives", 0)?;
    ensure!(told.container_id() == living.id, "it is told of {}", told.container_id());
    ensure!(told.cause() == "stopped_by_runtime", "cause is {}", told.cause());
    Ok(())
}

#[test]
fn what_is_run_by_exec_is_never_main() -> Result<()> {
    let Some(world) = World::here("exec", Around::Network)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "probed"))?;
    let ready = pod.ready("ready")?;
    let gateway = ContainerSpec::new("gateway", &["/victim", "wait-handling", "/pod/ready", "5"]);
    let started = pod.start(&gateway, 0)?;
    ready.wait_alone()?;
    for _ in 0..3 {
        ensure!(pod.exec(&started.id, &["/victim", "exit", "7"])?.exit_code == 7, "exec failed");
    }
    pod.stop(&started.id, 30)?;
    let told = Crash::wait(&world, "macula", "probed", "gateway", 0)?;
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    let all = Crash::all(&world)?;
    ensure!(all.len() == 1, "probes are told of: {all:?}");
    Ok(())
}

#[test]
fn pause_is_never_main_even_where_it_is_the_first_process_of_all() -> Result<()> {
    let Some(world) = World::here("pause", Around::Network)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "shared").sharing_pids())?;
    let gateway = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    let ends = pod.crash_loop(1, |attempt| pod.start(&gateway, attempt))?;
    for end in &ends {
        let told = Crash::wait(&world, "macula", "shared", "gateway", end.started.attempt)?;
        ensure!(told.exit_code() == Some(3), "it ended with {:?}", told.exit_code());
    }
    let sandbox = pod.sandbox().to_owned();
    drop(pod);
    // It ends after the sandbox: what would be told of that has been told by then.
    let last = Pod::run(&world.containerd, PodSpec::new("macula", "last"))?;
    last.crash_loop(0, |attempt| last.start(&gateway, attempt))?;
    Crash::wait(&world, "macula", "last", "gateway", 0)?;
    let all = Crash::all(&world)?;
    ensure!(all.len() == 3, "{} crashes of three lives: {all:?}", all.len());
    ensure!(all.iter().all(|crash| crash.container_id() != sandbox), "pause is told of");
    Ok(())
}
