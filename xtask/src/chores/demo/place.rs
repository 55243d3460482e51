//! Where the gateway of the story runs: in a container made with runc, or in a plain cgroup where there is no runc. It
//! knows how a program is put there and stopped there, not why it dies.

use std::fs;
use std::path::PathBuf;

use ::tests::{Act, Bundle, Stage};
use anyhow::{Context as _, Result};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::means::workspace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Container,
    Cgroup,
}

impl Place {
    pub fn introduction(self) -> &'static str {
        match self {
            Self::Container => {
                "Here they are again, with real processes in real containers made by runc."
            }
            Self::Cgroup => {
                "Here they are again, with real processes. There is no runc to make containers: \
                 whoever stops the gateway is no container runtime, and is named as what it is."
            }
        }
    }
}

/// A container whose `/gateway` is the victim that dies as `words` say.
pub fn container(stage: &Stage, words: &[&str]) -> Result<Bundle> {
    let words = [&["/gateway"], words].concat();
    Bundle::new(stage, "runc", &words)?.with_victim(stage, "victim", "gateway")
}

/// A folder of the container's root.
pub fn folder(stage: &Stage, name: &str) -> Result<PathBuf> {
    let folder = stage.folder().join("bundle/rootfs").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Gives the container a shell.
pub fn add_shell(stage: &Stage) -> Result<()> {
    let busybox = workspace::on_path("busybox").context("busybox is not on PATH")?;
    fs::copy(busybox, folder(stage, "bin")?.join("sh")).context("cannot copy busybox")?;
    Ok(())
}

/// Stops the container by its runtime as soon as its gateway says that it is ready through `/ready`: what a kubelet's
/// decision comes down to.
pub fn stopped(bundle: &Bundle, signals: &'static [&'static str]) -> Result<Act> {
    let (ready, kill) = (bundle.ready()?, bundle.kill());
    Ok(bundle.act()?.meanwhile(move |ended| {
        ready.wait(ended)?;
        signals.iter().try_for_each(|signal| kill.send(signal))
    }))
}

/// The container without a network of its own, as `hostNetwork: true` has it.
pub fn in_host_network(stage: &Stage, bundle: &Bundle) -> Result<Act> {
    let act = bundle.act()?;
    let file = stage.folder().join("bundle/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let namespaces = config["linux"]["namespaces"].as_array_mut().context("no namespaces")?;
    namespaces.retain(|namespace| namespace["type"] != "network");
    fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    Ok(act)
}

/// A gateway that is no container, stopped by us: the FIFO comes after the first word.
pub fn signalled(stage: &Stage, words: &[&str], signals: &'static [Signal]) -> Result<Act> {
    let (gateway, ready) = (stage.copy("victim", "gateway")?, stage.ready("ready")?);
    let fifo = ready.path().to_string_lossy().into_owned();
    let argv = [&[gateway.as_str(), words[0], &fifo], &words[1..]].concat();
    Ok(Act::new(argv).meanwhile(move |ended| {
        let said = ready.wait(ended)?;
        signals.iter().try_for_each(|signal| Ok(kill_process(said.pid, *signal)?))
    }))
}
