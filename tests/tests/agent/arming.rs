//! When the recorder of failed system calls is on.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

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
