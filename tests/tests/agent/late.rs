//! A container runtime that answers late: deaths are told by the cgroup's path, then again by name, or taken back.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::agent::Agent;
use tests::binary;
use tests::cri::{Around, ContainerSpec, Containerd, NEEDS, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

#[test]
fn a_death_that_the_runtime_is_too_late_for_is_told_by_path_and_again_by_name() -> Result<()> {
    let Some(late) = Late::here("a late runtime", &[])? else { return Ok(()) };
    late.goes_away()?;
    let (_pod, id) = late.dies("macula", "late", "macula-gateway")?;
    let first = late.told_by_path(&id)?;
    ensure!(first["crash"]["revision"] == 1, "it is {first}");
    ensure!(first["crash"]["cause"] == "exited_with_error", "it is {first}");
    ensure!(first["k8s"]["pod"]["uid"].is_string(), "it is {first}");
    ensure!(first["k8s"]["attribution"]["lacks"].is_string(), "it is {first}");

    late.is_back()?;
    let told = Crash::wait(&late.world, "macula", "late", "gateway", 0)?;
    ensure!(told.0["crash"]["revision"] == 2, "it is {}", told.0);
    ensure!(told.0["crash"]["id"] == first["crash"]["id"], "it is {}", told.0);
    ensure!(told.0["k8s"]["pod"]["labels"]["app"] == "macula-gateway", "it is {}", told.0);
    ensure!(told.0["container"]["image"]["name"].is_string(), "it is {}", told.0);
    let all = Crash::all(&late.world)?;
    ensure!(all.len() == 1 && all[0].0["crash"]["revision"] == 2, "{all:?}");
    told.whole(&late.world)?;
    let events = late.world.agent.lines();
    let exec = |line: &Value| line["kind"] == "exec" && line["container"]["id"] == id;
    let named = events.iter().find(|line| exec(line)).context("its events are never told")?;
    ensure!(named["k8s"]["pod"]["name"] == "late", "an event was told by path: {named}");
    Ok(())
}

#[test]
fn what_was_told_by_path_of_a_pod_that_nobody_selected_is_withdrawn() -> Result<()> {
    let options = ["--select", "macula:app=macula-gateway"];
    let Some(late) = Late::here("an unselected pod", &options)? else { return Ok(()) };
    late.goes_away()?;
    let (_pod, id) = late.dies("default", "other", "database")?;
    let first = late.told_by_path(&id)?;
    late.is_back()?;
    let what = "the withdrawal";
    let withdrawn = late.world.agent.wait_for(what, |line| line["crash"]["revision"] == 2)?;
    ensure!(withdrawn["crash"]["id"] == first["crash"]["id"], "it is {withdrawn}");
    ensure!(withdrawn["crash"]["cause"] == "none", "it is {withdrawn}");
    ensure!(withdrawn["crash"]["details"]["withdrawn"] == true, "it is {withdrawn}");
    ensure!(!withdrawn.to_string().contains("database"), "it names what nobody selected");
    let all = Crash::all(&late.world)?;
    ensure!(all.is_empty(), "it is listed: {all:?}");
    let whole = late.world.agent.ask("timeline", &["-o", "json", &id[..12]])?;
    let whole: Value = serde_json::from_slice(&whole)?;
    ensure!(whole["timeline"] == serde_json::json!([]), "what happened in it is kept: {whole}");
    Ok(())
}

#[test]
fn a_pause_container_that_ends_while_the_runtime_is_away_is_no_crash_ever() -> Result<()> {
    let Some(late) = Late::here("a pause container", &[])? else { return Ok(()) };
    late.goes_away()?;
    let pod = Pod::run(&late.world.containerd, PodSpec::new("macula", "first"))?;
    let sandbox = pod.sandbox().to_owned();
    pod.delete()?;
    // Asked for later, so that the pause container's time is over by then.
    let (_pod, id) = late.dies("macula", "last", "macula-gateway")?;
    late.told_by_path(&id)?;
    late.is_back()?;
    Crash::wait(&late.world, "macula", "last", "gateway", 0)?;
    for line in late.world.agent.lines() {
        let of_pause = line["container"]["id"] == sandbox.as_str();
        ensure!(!of_pause, "a line of the pause container: {line}");
    }
    let all = Crash::all(&late.world)?;
    ensure!(all.len() == 1 && all[0].container_id() == id, "{all:?}");
    Ok(())
}

/// An agent that finds the runtime's socket by a link, which can be taken away.
struct Late {
    world: World,
    link: PathBuf,
    #[expect(dead_code, reason = "held for its drop")]
    folder: TempDir,
}

impl Late {
    fn here(test: &str, options: &[&str]) -> Result<Option<Self>> {
        let Some(binary) = binary::here(test, NEEDS) else { return Ok(None) };
        let containerd = Containerd::start(Around::Network)?;
        let folder = tempfile::Builder::new().prefix("late-").tempdir()?;
        let link = folder.path().join("runtime.sock");
        symlink(containerd.socket(), &link)?;
        let mut all = vec!["--cri-socket", link.to_str().context("a path of UTF-8")?];
        all.extend(options);
        let agent = Agent::start(&binary, &containerd, &all)?;
        Ok(Some(Self { world: World { agent, containerd }, link, folder }))
    }

    fn goes_away(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.link)?)
    }

    fn is_back(&self) -> Result<()> {
        Ok(symlink(self.world.containerd.socket(), &self.link)?)
    }

    /// A pod whose container `gateway` has ended with status 3, and that container's id.
    fn dies(&self, namespace: &str, name: &str, app: &str) -> Result<(Pod<'_>, String)> {
        let pod =
            Pod::run(&self.world.containerd, PodSpec::new(namespace, name).label("app", app))?;
        let dies = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
        let ends = pod.crash_loop(0, |attempt| pod.start(&dies, attempt))?;
        Ok((pod, ends[0].started.id.clone()))
    }

    fn told_by_path(&self, id: &str) -> Result<Value> {
        let told = self.world.agent.wait_for("a crash told by path", |line| {
            line["crash"]["cause"].is_string() && line["container"]["id"] == id
        })?;
        ensure!(told["k8s"]["attribution"]["source"] == "path", "it is {told}");
        Ok(told)
    }
}
