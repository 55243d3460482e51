//! Many pods at once, each too short-lived to be asked about while it lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use tests::cri::Around;
use tests::pods::{self, CONTAINER};

use crate::crash::Crash;
use crate::world::World;

const COUNT: usize = 100;

/// Of pods beside which all processors are busy.
const UNDER_LOAD: usize = 20;

#[test]
fn a_hundred_pods_that_live_at_once_are_each_told_by_name() -> Result<()> {
    let Some(world) = World::here("a hundred pods", Around::Network)? else { return Ok(()) };
    all_are_told(&world, COUNT)
}

#[test]
fn pods_that_start_on_a_busy_machine_are_recorded_from_their_first_exec() -> Result<()> {
    let Some(world) = World::here("a busy machine", Around::Network)? else { return Ok(()) };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) * 2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let told = all_are_told(&world, UNDER_LOAD);
        done.store(true, Ordering::Relaxed);
        told
    })
}

fn all_are_told(world: &World, count: usize) -> Result<()> {
    let ended = pods::many(&world.containerd, "crowd", count)?;
    for (pod, _) in &ended {
        Crash::wait(world, "crowd", pod.name(), CONTAINER, 0)?;
    }
    let all = Crash::all(world)?;
    ensure!(all.len() == count, "{} crashes of {count} lives", all.len());
    let told: BTreeMap<&str, &Crash> =
        all.iter().map(|crash| (crash.container_id(), crash)).collect();
    for (pod, id) in &ended {
        let pod = pod.name();
        let crash = *told.get(id.as_str()).with_context(|| format!("nothing of {pod}"))?;
        ensure!(crash.place() == (pod, CONTAINER), "of {pod} it was told {crash:?}");
        ensure!(crash.cause() == "exited_with_error", "of {pod} it was told {crash:?}");
        ensure!(crash.exit_code() == Some(3), "of {pod} it was told {crash:?}");
        let verdict = crash.whole(world)?;
        let timeline = verdict.object()["timeline"].as_array().context("no timeline")?;
        let became = timeline.iter().any(|entry| {
            entry["kind"] == "exec" && entry["process"]["executable"]["path"] == "/victim"
        });
        ensure!(became, "the first exec of {pod} is not in its timeline: {verdict}");
    }
    Ok(())
}
