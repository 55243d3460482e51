//! Memory and pids cgroups for victims, on cgroup v1 and v2. The tracer's own cgroups are none of its business.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

/// A controller that a death needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Pids,
}

/// Where a controller's cgroups are made.
#[derive(Debug)]
pub(crate) struct Base {
    /// The root of its hierarchy.
    pub folder: PathBuf,
    /// Whether that is cgroup v2's.
    pub unified: bool,
}

/// A cgroup of our own; whatever lives in it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    folder: PathBuf,
    unified: bool,
}

/// The hierarchy in which the controller lives, with the controller handed down to its children.
pub(crate) fn base(controller: Controller) -> Result<Base> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let name = controller.name();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(folder), Some(kind), Some(options)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let folder = PathBuf::from(folder);
        if kind == "cgroup" && options.split(',').any(|option| option == name) {
            return Ok(Base { folder, unified: false });
        }
        if kind == "cgroup2" && has_word(&folder.join("cgroup.controllers"), name) {
            hand_down(&folder, name)?;
            return Ok(Base { folder, unified: true });
        }
    }
    bail!("no cgroup hierarchy has the {name} controller")
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }
}

impl Cgroup {
    /// Makes `name` below `parent`, or below the root of the controller's hierarchy.
    pub fn new(controller: Controller, parent: Option<&Cgroup>, name: &str) -> Result<Self> {
        let base = base(controller)?;
        let above = parent.map_or(&base.folder, |parent| &parent.folder);
        if base.unified && parent.is_some() {
            hand_down(above, controller.name())?;
        }
        let folder = above.join(name);
        fs::create_dir(&folder)
            .with_context(|| format!("cannot make cgroup {}", folder.display()))?;
        Ok(Self { folder, unified: base.unified })
    }

    /// Limits memory, swap included.
    pub fn limit_memory(&self, bytes: u64) -> Result<()> {
        let (limit, swap, swap_bytes) = if self.unified {
            ("memory.max", "memory.swap.max", 0)
        } else {
            ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes)
        };
        self.set(limit, &bytes.to_string())?;
        if self.folder.join(swap).exists() {
            self.set(swap, &swap_bytes.to_string())?;
        }
        Ok(())
    }

    /// Kills all of the cgroup when one of it is chosen by the OOM killer (cgroup v2 only).
    pub fn kill_as_a_group(&self) -> Result<()> {
        self.set("memory.oom.group", "1")
    }

    /// Limits the number of tasks.
    pub fn limit_pids(&self, count: u32) -> Result<()> {
        self.set("pids.max", &count.to_string())
    }

    /// The file that a process writes itself into.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value)
            .with_context(|| format!("cannot write {value} to {}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A dying process leaves its cgroup a moment after it was killed: yield to it and look again.
        for _ in 0..100_000 {
            if fs::remove_dir(&self.folder).is_ok() || !self.folder.exists() {
                return;
            }
            for pid in fs::read_to_string(self.procs()).unwrap_or_default().lines() {
                if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                    let _gone = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
            std::thread::yield_now();
        }
        eprintln!("cgroup {} could not be removed", self.folder.display());
    }
}

fn hand_down(folder: &Path, name: &str) -> Result<()> {
    let file = folder.join("cgroup.subtree_control");
    if has_word(&file, name) {
        return Ok(());
    }
    fs::write(&file, format!("+{name}"))
        .with_context(|| format!("cannot hand the {name} controller down by {}", file.display()))
}

fn has_word(file: &Path, word: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|w| w == word))
}
