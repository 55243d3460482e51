//! What the agent says of itself.

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::{crash::Crash, world::World};

#[test]
fn doctor_says_whether_the_recorder_of_a_running_agent_is_on() -> Result<()> {
    for (mode, state) in [("always", "attached (always)"), ("never", "detached (never)")] {
        let options = ["--recorder", mode];
        let Some(world) = World::with("doctor", Around::Network, &options)? else { return Ok(()) };
        let report = world.agent.ask("doctor", &["-o", "json"])?;
        let report: serde_json::Value = serde_json::from_slice(&report)?;
        let checks = report["checks"].as_array().context("no checks")?;
        let agent = checks.iter().find(|check| check["name"] == "agent").context("no agent")?;
        let found = agent["found"].as_str().unwrap_or_default();
        ensure!(found.ends_with(state), "{agent}");
    }
    Ok(())
}

#[test]
fn lives_that_began_before_the_recorder_are_counted_and_no_restart_is_one() -> Result<()> {
    const RESTARTS: u32 = 2;
    for (mode, unrecorded) in [("auto", 0), ("never", RESTARTS + 1)] {
        let options = ["--recorder", mode];
        let Some(world) = World::with("counting", Around::Network, &options)? else {
            return Ok(());
        };
        let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
        let gateway = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
        pod.crash_loop(RESTARTS, |attempt| pod.start(&gateway, attempt))?;
        Crash::wait(&world, "macula", "gateway-0", "gateway", RESTARTS)?;
        let counted = world.agent.metric("tracer_lives_unrecorded_total")?;
        ensure!(counted == f64::from(unrecorded), "{counted} with the recorder on {mode}");
    }
    Ok(())
}
