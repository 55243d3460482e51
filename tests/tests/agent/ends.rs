//! The agent's end, asked for or not: what was told is in the store, and nothing stays behind.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::agent::Agent;
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::held::Held;
use crate::world::World;

const KILLS: u32 = 4;
/// Lines of one run after which it is killed, at most: some crashes' worth.
const LINES: u64 = 80;
/// A second is what it takes; the machine may be busy.
const STOPPED_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn an_agent_killed_at_any_moment_leaves_a_whole_store_with_all_it_told_and_nothing_in_the_kernel()
-> Result<()> {
    let Some(mut world) = World::here("a killed agent's store", Around::Network)? else {
        return Ok(());
    };
    let World { agent, containerd } = &mut world;
    let pod = Pod::run(containerd, PodSpec::new("macula", "gateway-0"))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "open", "/etc/macula/cert.pem"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| {
            let mut attempt = 0;
            while !done.load(Ordering::Relaxed) {
                let started = pod.start(&dies, attempt)?;
                pod.end_of(&started.id)?;
                pod.remove(&started.id)?;
                attempt += 1;
            }
            anyhow::Ok(attempt)
        });
        let killed = killed_at_random(agent);
        done.store(true, Ordering::Relaxed);
        let attempts = looping.join().expect("the loop's thread does not panic")?;
        ensure!(attempts > KILLS, "only {attempts} lives");
        killed
    })
}

fn killed_at_random(agent: &mut Agent) -> Result<()> {
    let mut printed = 0;
    for kill in 1..=KILLS {
        if kill > 1 {
            agent.begin()?;
        }
        let after = 1 + RandomState::new().build_hasher().finish() % LINES;
        let mut seen = 0;
        agent.wait_for("another line", |_| {
            seen += 1;
            seen == after
        })?;
        let held = Held::by(agent.pid()?)?;
        let lines = agent.kill()?;
        let when = format!("kill {kill}, after {after} of {} lines", lines.len());
        held.gone().with_context(|| when.clone())?;
        let stored = checked(agent).with_context(|| when.clone())?;
        for told in lines.into_iter().map(Crash).filter(Crash::is_crash) {
            printed += 1;
            ensure!(stored.contains(&told.0), "{when}: not in the store: {told:?}");
        }
    }
    ensure!(printed > 0, "no crash was printed in any run");
    Ok(())
}

/// The crashes in its store, of which SQLite itself says that it is whole.
fn checked(agent: &Agent) -> Result<Vec<Value>> {
    let stored = agent.stored_crashes()?;
    let store = rusqlite::Connection::open(agent.store())?;
    let whole: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(whole == "ok", "the store is broken: {whole}");
    let (lives, crashes): (i64, i64) = store.query_row(
        "SELECT (SELECT count(DISTINCT life) FROM crashes), (SELECT count(*) FROM crashes)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    ensure!(lives == crashes, "{crashes} crashes of {lives} lives");
    Ok(stored)
}

#[test]
fn a_terminated_agent_stores_the_last_crash_and_leaves_at_once_with_nothing_in_the_kernel()
-> Result<()> {
    let Some(mut world) = World::here("a terminated agent", Around::Network)? else {
        return Ok(());
    };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
    let ready = pod.ready("ready")?;
    let waits = ContainerSpec::new("gateway", &["/victim", "wait", "/pod/ready"]);
    let started = pod.start(&waits, 0)?;
    ready.wait_alone()?;
    let named = |line: &Value| line["k8s"]["pod"]["name"] == "gateway-0";
    world.agent.wait_for("the container's name", named)?;
    // Somebody who follows does not keep it.
    let mut follower = Command::new(world.agent.binary())
        .args(["events", "-f", "-o", "json", "--socket"])
        .arg(world.agent.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let followed = eventually("a follower", STOPPED_WITHIN, || {
        Ok((world.agent.metric("tracer_subscribers")? == 1.0).then_some(()))
    });
    let held = Held::by(world.agent.pid()?)?;
    pod.kill(&started.id)?;
    pod.end_of(&started.id)?;
    let asked = Instant::now();
    let (status, lines) = world.agent.stop()?;
    let took = asked.elapsed();
    let follower_ended =
        eventually("the follower's end", STOPPED_WITHIN, || Ok(follower.try_wait()?));
    if follower_ended.is_err() {
        follower.kill()?;
        follower.wait()?;
    }
    followed.and(follower_ended)?;

    ensure!(status.code() == Some(0), "on SIGTERM it ended with {status}");
    ensure!(took < STOPPED_WITHIN, "it took {took:?} to end");
    held.gone()?;
    // One file has it all, and can be copied by itself.
    let log = world.agent.store().with_extension("db-wal");
    let left = fs::metadata(log).map_or(0, |log| log.len());
    ensure!(left == 0, "{left} bytes are in the write-ahead log alone");
    let stored: Vec<Crash> = checked(&world.agent)?.into_iter().map(Crash).collect();
    ensure!(stored.len() == 1, "{stored:?}");
    ensure!(stored[0].container_id() == started.id, "it is of {}", stored[0].container_id());
    ensure!(stored[0].cause() == "killed_by_signal", "cause is {}", stored[0].cause());
    let told = lines.into_iter().map(Crash).filter(Crash::is_crash).collect::<Vec<_>>();
    ensure!(told == stored, "stored is {stored:?}, printed was {told:?}");
    Ok(())
}
