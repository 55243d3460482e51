//! Containers that the runtime does not know, or not yet.

use anyhow::{Result, ensure};
use tests::cri::Around;

use crate::crash::Crash;
use crate::world::World;

#[test]
fn a_pod_that_dies_before_the_runtime_knows_it_is_told_by_its_cgroups_path() -> Result<()> {
    let Some(world) = World::here("an unknown pod", Around::Network)? else { return Ok(()) };
    let uid = "3c8a1f5e-0b5d-4a54-9d5e-6f1f0d0c2b1a";
    let id = "5ca1ab1e".repeat(8);
    world.containerd.run_unknown(uid, &id, &["exit", "3"])?;
    let what = "the crash of an unknown container";
    let told = world.agent.wait_for(what, |line| {
        Crash(line.clone()).container_id() == id && Crash(line.clone()).is_crash()
    })?;
    ensure!(told["k8s"]["pod"]["uid"] == uid, "k8s is {}", told["k8s"]);
    ensure!(told["k8s"]["attribution"]["source"] == "path", "k8s is {}", told["k8s"]);
    let all = Crash::all(&world)?;
    ensure!(all.len() == 1, "{all:?}");
    ensure!(all[0].cause() == "exited_with_error", "cause is {}", all[0].cause());
    ensure!(all[0].exit_code() == Some(3), "it ended with {:?}", all[0].exit_code());
    Ok(())
}
