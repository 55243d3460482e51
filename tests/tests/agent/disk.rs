//! A node whose disk is full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::Value;
use tempfile::TempDir;
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

/// The agent tells of its store each second; a store that failed is tried again after 5 s at the latest.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn while_the_disk_is_full_crashes_are_told_and_when_there_is_room_they_are_stored() -> Result<()> {
    let disk = SmallDisk::mount()?;
    let store = disk.at("store.db");
    let options = ["--store", store.to_str().context("a path that is no text")?];
    let Some(world) = World::with("a full disk", Around::Network, &options)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    let mut lives = 0;
    let mut die = || {
        let started = pod.start(&dies, lives)?;
        pod.end_of(&started.id)?;
        let told = Crash::wait(&world, "macula", "gateway-0", "gateway", lives)?;
        ensure!(told.container_id() == started.id, "it is told of {}", told.container_id());
        lives += 1;
        anyhow::Ok(())
    };
    die()?;
    ensure!(world.agent.metric("tracer_store_failing")? == 0.0, "it fails already");

    // What was given back by the store's own cleaning up is taken again.
    eventually("a store that fails", TOLD_WITHIN, || {
        disk.fill()?;
        die()?;
        Ok((world.agent.metric("tracer_store_failing")? == 1.0).then_some(()))
    })?;
    die()?;
    ensure!(world.agent.metric("tracer_store_failures_total")? > 0.0, "no failure is counted");
    ensure!(world.agent.metric("tracer_store_queued_bytes")? > 0.0, "nothing waits to be stored");
    let health = health(&world)?;
    ensure!(health["store"]["writable"] == false, "health is {health}");
    let why = health["store"]["error"].as_str().unwrap_or_default();
    ensure!(why.contains("full"), "health is {health}");
    // It still watches and tells: it is ready, and says what it cannot do.
    let ready = world.agent.get("/ready", "*/*")?;
    ensure!(ready.status == 200, "it is not ready: {}", ready.body);
    ensure!(ready.body.contains("store"), "readiness says {:?}", ready.body);
    ensure!(!Crash::all(&world)?.is_empty(), "what was stored before is forgotten");

    disk.make_room()?;
    eventually("a store that works again", TOLD_WITHIN, || {
        Ok((world.agent.metric("tracer_store_failing")? == 0.0).then_some(()))
    })?;
    die()?;
    ensure!(self::health(&world)?["store"]["writable"] == true, "health still says otherwise");
    ensure!(world.agent.metric("tracer_store_dropped_total")? == 0.0, "something was dropped");
    let all = Crash::all(&world)?;
    let attempts: Vec<_> = all.iter().filter_map(Crash::attempt).collect();
    ensure!(attempts == (0..u64::from(lives)).collect::<Vec<_>>(), "{attempts:?} of {lives} lives");
    Ok(())
}

#[test]
fn an_agent_that_starts_on_a_full_disk_tells_crashes_and_stores_them_when_there_is_room()
-> Result<()> {
    let disk = SmallDisk::mount()?;
    disk.fill()?;
    let store = disk.at("store.db");
    let options = ["--store", store.to_str().context("a path that is no text")?];
    let test = "a disk that is full at the start";
    let Some(world) = World::with(test, Around::Network, &options)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    let die = |attempt| {
        let started = pod.start(&dies, attempt)?;
        pod.end_of(&started.id)?;
        Crash::wait(&world, "macula", "gateway-0", "gateway", attempt)
    };
    die(0)?;
    ensure!(world.agent.metric("tracer_store_failing")? == 1.0, "it does not say that it fails");
    ensure!(world.agent.metric("tracer_store_failures_total")? > 0.0, "no failure is counted");
    let health = health(&world)?;
    ensure!(health["store"]["writable"] == false, "health is {health}");
    let why = health["store"]["error"].as_str().unwrap_or_default();
    ensure!(why.contains("store.db"), "health is {health}");
    let ready = world.agent.get("/ready", "*/*")?;
    ensure!(
        ready.status == 200 && ready.body.contains("store"),
        "{}: {}",
        ready.status,
        ready.body
    );
    let asked = world.agent.get("/v1/crashes", "*/*")?;
    ensure!(asked.status == 503, "it answers {}: {}", asked.status, asked.body);

    disk.make_room()?;
    eventually("a store that works", TOLD_WITHIN, || {
        Ok((world.agent.metric("tracer_store_failing")? == 0.0).then_some(()))
    })?;
    die(1)?;
    let all = Crash::all(&world)?;
    let attempts: Vec<_> = all.iter().filter_map(Crash::attempt).collect();
    ensure!(attempts == [0, 1], "{attempts:?} are stored");
    Ok(())
}

fn health(world: &World) -> Result<Value> {
    Ok(serde_json::from_str(&world.agent.get("/v1/health", "*/*")?.body)?)
}

/// A file system of 6 MiB, in memory. Its mount ends with it.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("disk-").tempdir()?;
        let options = Some(c"size=6m");
        rustix::mount::mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), options)
            .context("cannot mount a tmpfs")?;
        Ok(Self { folder })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fill(&self) -> Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.at("ballast"))?;
        loop {
            match ballast.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.at("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: an agent that was killed may still hold files in it.
        if let Err(error) = rustix::mount::unmount(self.folder.path(), UnmountFlags::DETACH) {
            eprintln!("{} stays mounted: {error}", self.folder.path().display());
        }
    }
}
