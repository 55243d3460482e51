//! The cgroups of pods, spelled as a kubelet with the cgroupfs driver spells them, below a folder of our own: a kubelet
//! of this machine kills what it does not know in its own. Knows no container runtime.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

/// A root for pods' cgroups, in every hierarchy; with all below it killed and removed when dropped.
#[derive(Debug)]
pub(crate) struct Kubepods {
    mounts: Vec<Mount>,
    /// What the runtime sees as the root of all cgroups: empty, or a node's.
    node: String,
    /// The kubelet's root as the runtime sees it: `/.../kubepods`.
    root: String,
}

#[derive(Debug)]
struct Mount {
    folder: PathBuf,
    unified: bool,
    controllers: String,
}

impl Kubepods {
    /// `/NAME/kubepods` for a runtime that sees the machine's cgroups.
    pub fn on_host(name: &str) -> Result<Self> {
        Self::make(String::new(), format!("/{name}/kubepods"))
    }

    /// `/kubepods` for a runtime whose cgroup namespace begins at the machine's `/NAME`.
    pub fn on_node(name: &str) -> Result<Self> {
        Self::make(format!("/{name}"), "/kubepods".to_owned())
    }

    fn make(node: String, root: String) -> Result<Self> {
        let cgroups = Self { mounts: mounts()?, node, root };
        cgroups.create(&cgroups.root)?;
        Ok(cgroups)
    }

    /// The folder that an agent is to watch, as the runtime sees it: of cgroup v2 where that is mounted.
    pub fn watched(&self) -> PathBuf {
        let mount = self.mounts.iter().find(|mount| mount.unified);
        let mount = mount.or_else(|| self.mounts.iter().find(|mount| mount.has("pids")));
        mount
            .map_or_else(PathBuf::new, |mount| mount.folder.join(self.root.trim_start_matches('/')))
    }

    /// Options of the victim `with` by which a process enters the node's cgroups.
    pub fn node_options(&self) -> Vec<String> {
        let folders = self.mounts.iter().map(|mount| self.at(mount, ""));
        folders.map(|folder| format!("cgroup={}", folder.join("cgroup.procs").display())).collect()
    }

    /// Makes a pod's cgroup in every hierarchy, as a kubelet does before it asks for a sandbox; gives its path as the
    /// runtime is to be told.
    pub fn pod(&self, uid: &str, memory_bytes: Option<u64>, pids: Option<u32>) -> Result<String> {
        let path = format!("{}/besteffort/pod{uid}", self.root);
        self.create(&path)?;
        if let Some(bytes) = memory_bytes {
            self.set(&path, "memory", "memory.limit_in_bytes", "memory.max", &bytes.to_string())?;
        }
        if let Some(count) = pids {
            self.set(&path, "pids", "pids.max", "pids.max", &count.to_string())?;
        }
        Ok(path)
    }

    /// Makes the cgroup of a container that no runtime knows, in every hierarchy; gives the files that its process must
    /// write itself into.
    pub fn container(&self, pod: &str, id: &str) -> Result<Vec<PathBuf>> {
        let path = format!("{pod}/{id}");
        self.create(&path)?;
        Ok(self.mounts.iter().map(|mount| self.at(mount, &path).join("cgroup.procs")).collect())
    }

    /// The processes of a path, as their pids here.
    pub fn processes(&self, path: &str) -> Result<Vec<Pid>> {
        let mount = self.mounts.first().context("no cgroup hierarchy is mounted")?;
        let file = self.at(mount, path).join("cgroup.procs");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.lines().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect())
    }

    /// Kills what is left below a path and removes it from every hierarchy.
    pub fn remove(&self, path: &str) {
        for mount in &self.mounts {
            clear(&self.at(mount, path));
        }
    }

    fn at(&self, mount: &Mount, path: &str) -> PathBuf {
        mount.folder.join(format!("{}{path}", self.node).trim_start_matches('/'))
    }

    fn create(&self, path: &str) -> Result<()> {
        for mount in &self.mounts {
            let folder = self.at(mount, path);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make cgroup {}", folder.display()))?;
            if mount.has("cpuset") && !mount.unified {
                inherit_cpuset(&mount.folder, &folder)?;
            }
        }
        Ok(())
    }

    fn set(
        &self,
        path: &str,
        controller: &str,
        legacy: &str,
        unified: &str,
        value: &str,
    ) -> Result<()> {
        let mount = self
            .mounts
            .iter()
            .find(|mount| mount.has(controller))
            .with_context(|| format!("no cgroup hierarchy has the {controller} controller"))?;
        let file = self.at(mount, path).join(if mount.unified { unified } else { legacy });
        fs::write(&file, value)
            .with_context(|| format!("cannot write {value} to {}", file.display()))
    }
}

impl Drop for Kubepods {
    fn drop(&mut self) {
        let all = format!("{}{}", self.node, self.root);
        let top = all.trim_start_matches('/').split('/').next().unwrap_or_default();
        for mount in &self.mounts {
            clear(&mount.folder.join(top));
        }
    }
}

impl Mount {
    fn has(&self, controller: &str) -> bool {
        self.controllers.split([',', ' ', '\n']).any(|name| name == controller)
    }
}

fn mounts() -> Result<Vec<Mount>> {
    let text = fs::read_to_string("/proc/mounts")?;
    let fields = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    Ok(fields
        .filter(|fields| fields.len() > 3 && ["cgroup", "cgroup2"].contains(&fields[2]))
        .map(|fields| {
            let (folder, unified) = (PathBuf::from(fields[1]), fields[2] == "cgroup2");
            let controllers = if unified {
                fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default()
            } else {
                fields[3].to_owned()
            };
            Mount { folder, unified, controllers }
        })
        .collect())
}

/// A new cgroup of v1's cpuset takes no process until it is told its processors and memory nodes.
fn inherit_cpuset(top: &Path, folder: &Path) -> Result<()> {
    let below = folder.strip_prefix(top)?;
    let mut at = top.to_path_buf();
    for name in below {
        let above = at.clone();
        at.push(name);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if fs::read_to_string(at.join(file))?.trim().is_empty() {
                fs::write(at.join(file), fs::read_to_string(above.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Best effort, deepest first; a dying process leaves its cgroup a moment after it was killed.
fn clear(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        clear(&entry.path());
    }
    for _ in 0..100_000 {
        if fs::remove_dir(folder).is_ok() || !folder.exists() {
            return;
        }
        for pid in fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                let _gone = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        std::thread::yield_now();
    }
    eprintln!("cgroup {} could not be removed", folder.display());
}
