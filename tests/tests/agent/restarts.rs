//! The agent's own ends: what it knew before, and what happens meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_killed_agent_remembers_what_it_told_and_tells_nothing_twice() -> Result<()> {
    let Some(mut world) = World::here("a killed agent", Around::Network)? else { return Ok(()) };
    let dies = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    let before = Pod::run(&world.containerd, PodSpec::new("macula", "before"))?;
    before.crash_loop(0, |attempt| before.start(&dies, attempt))?;
    Crash::wait(&world, "macula", "before", "gateway", 0)?;
    drop(before);
    world.agent.kill()?;
    world.agent.begin()?;

    let after = Pod::run(&world.containerd, PodSpec::new("macula", "after"))?;
    after.crash_loop(0, |attempt| after.start(&dies, attempt))?;
    Crash::wait(&world, "macula", "after", "gateway", 0)?;
    let twice = world.agent.lines().into_iter().map(Crash).filter(Crash::is_crash);
    ensure!(twice.filter(|crash| crash.place().0 == "before").count() == 0, "it is told again");
    let all = Crash::all(&world)?;
    let pods: Vec<&str> = all.iter().map(|crash| crash.place().0).collect();
    ensure!(all.len() == 2 && pods.contains(&"before") && pods.contains(&"after"), "{pods:?}");
    Ok(())
}

#[test]
fn a_container_that_ran_before_the_agent_is_known_when_it_dies() -> Result<()> {
    let Some(mut world) = World::here("an older container", Around::Network)? else {
        return Ok(());
    };
    let (status, _) = world.agent.stop()?;
    ensure!(status.success(), "on SIGTERM it ended with {status}");
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "older"))?;
    let ready = pod.ready("ready")?;
    let waits = ContainerSpec::new("gateway", &["/victim", "wait-handling", "/pod/ready", "5"]);
    let started = pod.start(&waits, 2)?;
    ready.wait_alone()?;
    world.agent.begin()?;
    pod.stop(&started.id, 30)?;
    let told = Crash::wait(&world, "macula", "older", "gateway", 2)?;
    ensure!(told.container_id() == started.id, "it is told of {}", told.container_id());
    ensure!(told.cause() == "stopped_by_runtime", "cause is {}", told.cause());
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    Ok(())
}

#[test]
fn what_dies_while_a_killed_agent_is_away_is_told_when_it_is_back() -> Result<()> {
    let options = ["--keep-when-stopped"];
    let Some(mut world) = World::with("an agent away", Around::Network, &options)? else {
        return Ok(());
    };
    world.agent.kill()?;
    dies_meanwhile(&mut world, &["/victim", "segfault", "0"], "segfault")
}

#[test]
fn of_what_dies_after_a_kill_of_the_agent_the_cause_is_told_too() -> Result<()> {
    // The recorder is on, as it is while containers are young.
    let options = ["--keep-when-stopped", "--recorder", "always"];
    let Some(mut world) = World::with("a killed recorder", Around::Network, &options)? else {
        return Ok(());
    };
    world.agent.kill()?;
    dies_meanwhile(&mut world, &["/victim", "open", "/no/such/file"], "file_not_found")
}

#[test]
fn of_an_end_that_a_killed_agent_had_read_and_not_told_the_next_says_that_it_is_not_recorded()
-> Result<()> {
    let options = ["--keep-when-stopped"];
    let Some(mut world) = World::with("a nameless life", Around::Network, &options)? else {
        return Ok(());
    };
    // The runtime does not know it: an agent waits 3 s for its name before it tells of the end.
    let id = "5ca1ab1e".repeat(8);
    world.containerd.run_unknown("3c8a1f5e-0b5d-4a54-9d5e-6f1f0d0c2b1a", &id, &["exit", "3"])?;
    eventually("its end to be read and its beginning to be stored", PATIENCE, || {
        let ends = world.agent.metric("tracer_events_total{kind=\"exit\"}")?;
        let store = rusqlite::Connection::open(world.agent.store())?;
        let lives: u32 = store.query_row("SELECT count(*) FROM lives", [], |row| row.get(0))?;
        Ok((ends >= 1.0 && lives == 1).then_some(()))
    })?;
    world.agent.kill()?;
    world.agent.begin()?;
    let told = world.agent.wait_for("its end", |line| {
        let crash = Crash(line.clone());
        crash.container_id() == id && crash.is_crash()
    })?;
    let summary = told["crash"]["summary"].as_str().unwrap_or_default();
    ensure!(summary.contains("is not recorded"), "{told}");
    Ok(())
}

#[test]
fn what_dies_while_a_stopped_agent_is_replaced_is_told_by_the_next() -> Result<()> {
    let options = ["--keep-when-stopped"];
    let Some(mut world) = World::with("an agent replaced", Around::Network, &options)? else {
        return Ok(());
    };
    let (status, _) = world.agent.stop()?;
    ensure!(status.success(), "on SIGTERM it ended with {status}");
    // It was calm until then: only who leaves the recorder on for what begins later is told why that failed.
    dies_meanwhile(&mut world, &["/victim", "open", "/no/such/file"], "file_not_found")
}

#[test]
fn an_agent_that_finds_the_recorder_on_switches_it_off_again() -> Result<()> {
    let options = ["--keep-when-stopped"];
    let Some(mut world) = World::with("a recorder left on", Around::Network, &options)? else {
        return Ok(());
    };
    let attached = |world: &World| world.agent.metric("tracer_recorder_attached");
    ensure!(attached(&world)? == 0.0, "it is on, and nothing runs");
    world.agent.stop()?;
    world.agent.begin()?;
    eventually("the recorder to be off", Duration::from_secs(10), || {
        Ok((world.agent.metric("tracer_recorder_switches_total")? == 1.0).then_some(()))
    })?;
    ensure!(attached(&world)? == 0.0, "it is on, and nothing runs");
    Ok(())
}

#[test]
fn failing_children_leave_room_for_the_deaths_that_matter_while_no_agent_reads() -> Result<()> {
    // A container may send 400 records a second, 200 of them of 8 KiB: two containers fill the ring of 2 MiB.
    const CROWDS: [&str; 3] = ["first", "second", "third"];
    let options = ["--keep-when-stopped"];
    let Some(mut world) = World::with("a full ring", Around::Network, &options)? else {
        return Ok(());
    };
    world.agent.stop()?;
    let mut pods = Vec::new();
    for name in CROWDS {
        let pod = Pod::run(&world.containerd, PodSpec::new("macula", name))?;
        let crowd = ContainerSpec::new("gateway", &["/victim", "fail-children", "400", "/none"]);
        pod.crash_loop(0, |attempt| pod.start(&crowd, attempt))?;
        pods.push(pod);
    }
    let last = Pod::run(&world.containerd, PodSpec::new("macula", "last"))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "open", "/no/such/file"]);
    last.crash_loop(0, |attempt| last.start(&dies, attempt))?;
    world.agent.begin()?;
    for name in CROWDS {
        let told = Crash::wait(&world, "macula", name, "gateway", 0)?;
        ensure!(told.exit_code() == Some(3), "{name} ended with {:?}", told.exit_code());
    }
    let told = Crash::wait(&world, "macula", "last", "gateway", 0)?;
    ensure!(told.cause() == "file_not_found", "cause is {}", told.cause());
    Ok(())
}

fn dies_meanwhile(world: &mut World, argv: &[&str], cause: &str) -> Result<()> {
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "meanwhile"))?;
    let dies = ContainerSpec::new("gateway", argv);
    let ends = pod.crash_loop(0, |attempt| pod.start(&dies, attempt))?;
    world.agent.begin()?;
    let told = Crash::wait(world, "macula", "meanwhile", "gateway", 0)?;
    ensure!(told.container_id() == ends[0].started.id, "it is told of {}", told.container_id());
    ensure!(told.cause() == cause, "cause is {}", told.cause());
    Ok(())
}
