//! What the agent says of itself.

use anyhow::{Context, Result, ensure};
use tests::cri::Around;

use crate::world::World;

#[test]
fn doctor_says_whether_the_recorder_of_a_running_agent_is_on() -> Result<()> {
    for (mode, state) in [("always", "attached (always)"), ("never", "detached (never)")] {
        let options = ["--recorder", mode];
        let Some(world) = World::with("doctor", Around::Network, &options)? else { return Ok(()) };
        let report = world.agent.ask("doctor", &[])?;
        let report: serde_json::Value = serde_json::from_slice(&report)?;
        let checks = report["checks"].as_array().context("no checks")?;
        let agent = checks.iter().find(|check| check["name"] == "agent").context("no agent")?;
        let found = agent["found"].as_str().unwrap_or_default();
        ensure!(found.ends_with(state), "{agent}");
    }
    Ok(())
}
