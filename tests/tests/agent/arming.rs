//! When the recorder of failed system calls is on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FileType, Mode};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_pod_that_nobody_selected_arms_the_recorder_only_until_that_is_known() -> Result<()> {
    let options = ["--select", "macula:app=macula-gateway"];
    let Some(world) = World::with("arming", Around::Network, &options)? else { return Ok(()) };
    let is = |name: &str, value: f64| Ok((world.agent.metric(name)? >= value).then_some(()));
    let other = Pod::run(&world.containerd, PodSpec::new("default", "other"))?;
    eventually("the answer about the pause container", WITHIN, || {
        is("tracer_attribution_answers_total{answer=\"pause\"}", 1.0)
    })?;
    eventually("the recorder's switches", WITHIN, || is("tracer_recorder_switches_total", 2.0))?;
    ensure!(world.agent.metric("tracer_recorder_attached")? == 0.0, "it is on");

    let ready = other.ready("ready")?;
    let waits = ContainerSpec::new("app", &["/victim", "wait-handling", "/pod/ready", "0"]);
    other.start(&waits, 0)?;
    ready.wait_alone()?;
    eventually("the answer about its container", WITHIN, || {
        is("tracer_attribution_answers_total{answer=\"container\"}", 1.0)
    })?;
    let switches = world.agent.metric("tracer_recorder_switches_total")?;
    ensure!(switches == 2.0, "a container of that pod switched it: {switches}");

    let gateway = PodSpec::new("macula", "gateway-0").label("app", "macula-gateway");
    let _gateway = Pod::run(&world.containerd, gateway)?;
    eventually("the answer about the other pause container", WITHIN, || {
        is("tracer_attribution_answers_total{answer=\"pause\"}", 2.0)
    })?;
    ensure!(world.agent.metric("tracer_recorder_attached")? == 1.0, "it is off");
    Ok(())
}

#[test]
fn what_is_written_after_the_recorder_is_off_are_the_last_words() -> Result<()> {
    let options = ["--startup-window", "1s"];
    let Some(world) = World::with("late words", Around::Network, &options)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "late"))?;
    let words = pod.shared().join("words");
    rustix::fs::mknodat(rustix::fs::CWD, &words, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?;
    // It prints what it reads there, and then ends.
    let says = ContainerSpec::new("gateway", &["/victim", "say", "/pod/words", "/no/such/file"]);
    let started = pod.start(&says, 0)?;
    world.agent.wait_for("the container's exec", |line| {
        line["kind"] == "exec" && line["container"]["id"] == started.id.as_str()
    })?;
    eventually("the recorder to be off", WITHIN, || {
        Ok((world.agent.metric("tracer_recorder_attached")? == 0.0).then_some(()))
    })?;
    std::fs::write(&words, "the licence is over\n").context("nobody reads")?;
    pod.end_of(&started.id)?;
    let told = Crash::wait(&world, "macula", "late", "gateway", 0)?;
    let summary = told.0["crash"]["summary"].as_str().unwrap_or_default();
    ensure!(told.cause() == "exited_with_error", "cause is {}: {summary}", told.cause());
    ensure!(summary.contains("the licence is over"), "it says {summary}");
    Ok(())
}
