//! One pod of a private containerd: its sandbox, its containers, their logs. It plays the kubelet's single steps; what a
//! kubelet does by itself is `kubelet`'s.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::cgroups::Kubepods;
use super::client::Client;
use super::containerd::Containerd;
use super::messages::{
    ContainerState, ContainerStatus, CreateContainerRequest, ExecSyncResponse, PodSandboxConfig,
    RunPodSandboxRequest,
};
use super::spec::{ContainerSpec, PodSpec, log_path};
use crate::patience::eventually;
use crate::ready::Ready;

/// No container of a test runs longer.
const LONGEST: Duration = Duration::from_secs(120);

/// A running sandbox. Dropping it kills and removes all of it, its cgroup and its files.
#[derive(Debug)]
pub struct Pod<'c> {
    client: &'c Client,
    cgroups: &'c Kubepods,
    spec: PodSpec,
    config: PodSandboxConfig,
    cgroup: String,
    sandbox: String,
    folder: PathBuf,
}

/// One start of a container.
#[derive(Debug, Clone)]
pub struct Started {
    /// The container's id.
    pub id: String,
    /// How often a container of this name was started before.
    pub attempt: u32,
    /// What the runtime said when it could not start it.
    pub refused: Option<String>,
}

impl<'c> Pod<'c> {
    /// Makes the pod's cgroup and runs its sandbox.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn run(containerd: &'c Containerd, spec: PodSpec) -> Result<Self> {
        let (client, cgroups) = (containerd.client(), containerd.cgroups());
        let folder = containerd.folder().join("pods").join(&spec.uid);
        let (logs, shared) = (folder.join("logs"), folder.join("shared"));
        fs::create_dir_all(&logs)?;
        fs::create_dir_all(&shared)?;
        let cgroup = cgroups.pod(&spec.uid, spec.memory_bytes, spec.pids)?;
        let config = spec.config(&cgroup, &logs.to_string_lossy());
        let sandbox = client
            .run_pod_sandbox(RunPodSandboxRequest {
                config: Some(config.clone()),
                runtime_handler: spec.handler.clone(),
            })
            .with_context(|| format!("pod {} cannot run", spec.name))?;
        Ok(Self { client, cgroups, spec, config, cgroup, sandbox, folder })
    }

    pub fn namespace(&self) -> &str {
        &self.spec.namespace
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn uid(&self) -> &str {
        &self.spec.uid
    }

    /// The sandbox's id, which is that of its pause container too.
    pub fn sandbox(&self) -> &str {
        &self.sandbox
    }

    /// The pod's cgroup, from the root that its runtime sees.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// A folder of the host that all containers see as `/pod`.
    pub fn shared(&self) -> PathBuf {
        self.folder.join("shared")
    }

    /// A folder of the host for a volume of this name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn volume(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("volumes").join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A FIFO through which a victim says that it is ready; it finds it as `/pod/NAME`.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn ready(&self, name: &str) -> Result<Ready> {
        Ready::new(self.shared().join(name))
    }

    /// Creates and starts a container. That the runtime could create but not start it is no error here.
    ///
    /// # Errors
    /// When it cannot even be created.
    pub fn start(&self, container: &ContainerSpec, attempt: u32) -> Result<Started> {
        let with_shared = container.clone().mount(&self.shared().to_string_lossy(), "/pod");
        let id = self.client.create_container(CreateContainerRequest {
            pod_sandbox_id: self.sandbox.clone(),
            config: Some(with_shared.config(&self.spec, attempt)),
            sandbox_config: Some(self.config.clone()),
        })?;
        let refused = self.client.start_container(&id).err().map(|error| format!("{error:#}"));
        Ok(Started { id, attempt, refused })
    }

    /// Waits for a container's end.
    ///
    /// # Errors
    /// When it does not come.
    pub fn end_of(&self, id: &str) -> Result<ContainerStatus> {
        eventually("the container's end", LONGEST, || {
            let status = self.client.container_status(id)?;
            Ok((status.state() == ContainerState::Exited).then_some(status))
        })
    }

    /// Sends TERM, and KILL when the container outlives its grace.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn stop(&self, id: &str, grace_seconds: u32) -> Result<()> {
        self.client.stop_container(id, grace_seconds)
    }

    /// Kills all processes of a container from outside, behind the runtime's back.
    ///
    /// # Errors
    /// When it has none.
    pub fn kill(&self, id: &str) -> Result<()> {
        let processes = self.cgroups.processes(&format!("{}/{id}", self.cgroup))?;
        anyhow::ensure!(!processes.is_empty(), "container {id} has no process");
        processes.into_iter().try_for_each(|pid| Ok(kill_process(pid, Signal::KILL)?))
    }

    /// Removes a container that has ended.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn remove(&self, id: &str) -> Result<()> {
        self.client.remove_container(id)
    }

    /// Runs a command in a container to its end, as `kubectl exec` does.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn exec(&self, id: &str, command: &[&str]) -> Result<ExecSyncResponse> {
        self.client.exec_sync(id, command)
    }

    /// What a container wrote: each line of its log without the runtime's time and stream.
    ///
    /// # Errors
    /// When there is no such log.
    pub fn log(&self, container: &str, attempt: u32) -> Result<String> {
        let path = self.folder.join("logs").join(log_path(container, attempt));
        let text =
            fs::read_to_string(&path).with_context(|| format!("no log {}", path.display()))?;
        let lines = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }

    /// Stops and removes the sandbox with all its containers, then the cgroup.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn delete(self) -> Result<()> {
        self.client.stop_pod_sandbox(&self.sandbox)?;
        self.client.remove_pod_sandbox(&self.sandbox)
    }

    fn clear(&self, folder: &Path) {
        // Both are no error for a sandbox that is gone.
        let stopped = self.client.stop_pod_sandbox(&self.sandbox);
        let removed = stopped.and_then(|()| self.client.remove_pod_sandbox(&self.sandbox));
        if let Err(error) = removed {
            eprintln!("pod {} could not be removed: {error:#}", self.spec.name);
        }
        self.cgroups.remove(&self.cgroup);
        let _gone = fs::remove_dir_all(folder);
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        self.clear(&self.folder);
    }
}
