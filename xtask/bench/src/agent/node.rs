//! Containers made by hand, thousands in a few seconds: cgroups spelled like those of a kubelet's pods, below a root of
//! our own, and processes that enter them. It knows nothing about the agent or the container runtime.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::tests::patience::eventually;
use anyhow::{Context as _, Result, bail};

/// A cgroup below which containers are made; removed when dropped.
#[derive(Debug)]
pub struct Node {
    root: PathBuf,
}

/// A pod's cgroup with one container in it; removed when dropped, after its processes have ended.
#[derive(Debug)]
pub struct Container {
    pod: PathBuf,
    folder: PathBuf,
}

/// A container's end is known to its parent a moment before its cgroup is empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

impl Node {
    pub fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
        let mount = hierarchy(&mounts).context("no cgroup hierarchy is mounted")?;
        let root = mount.join(format!("tracer-bench-{}", std::process::id()));
        let pods = root.join("kubepods/besteffort");
        fs::create_dir_all(&pods).with_context(|| format!("cannot make {}", pods.display()))?;
        Ok(Self { root })
    }

    /// The folder that an agent is to watch.
    pub fn watched(&self) -> PathBuf {
        self.root.join("kubepods")
    }

    /// A pod of this number, and its container.
    pub fn container(&self, number: u64) -> Result<Container> {
        let pod = self.root.join(format!("kubepods/besteffort/pod{}", pod_uid(number)));
        let folder = pod.join(container_id(number));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Container { pod, folder })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for below in ["kubepods/besteffort", "kubepods", ""] {
            let folder = self.root.join(below);
            if let Err(error) = fs::remove_dir(&folder) {
                eprintln!("xtask: {} is left behind: {error}", folder.display());
            }
        }
    }
}

impl Container {
    /// What a command is started through to run in the container: the `worker` puts itself there, and becomes it.
    pub fn through(&self, worker: &Path) -> Vec<OsString> {
        vec![worker.into(), "enter".into(), self.folder.join("cgroup.procs").into()]
    }

    /// The worker in the container, in one of its roles.
    pub fn command(&self, worker: &Path, role: &str) -> Command {
        let through = self.through(worker);
        let mut command = Command::new(&through[0]);
        command.args(&through[1..]).arg(worker).arg(role);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let gone = eventually("the end of a container", EMPTY_WITHIN, || {
            let removed = [&self.folder, &self.pod].into_iter().try_for_each(fs::remove_dir);
            Ok((removed.is_ok() || !self.pod.exists()).then_some(()))
        });
        if let Err(error) = gone {
            eprintln!("xtask: {} is left behind: {error}", self.pod.display());
        }
    }
}

/// The container's id: its number, so that a crash's id tells it, and what makes it look like an id.
pub fn container_id(number: u64) -> String {
    format!("{number:012x}{:052x}", 0xc)
}

/// The id of its pod's sandbox.
pub fn sandbox_id(number: u64) -> String {
    format!("{number:012x}{:052x}", 0x5)
}

pub fn pod_uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The number in an id of a container, a sandbox or a crash.
pub fn number(id: &str) -> Result<u64> {
    match id.get(..12).map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(number)) => Ok(number),
        _ => bail!("{id:?} is none of our ids"),
    }
}

/// Where the tracer tells containers apart: in cgroup v2 where it is mounted, else in a controller of v1.
fn hierarchy(mounts: &str) -> Option<PathBuf> {
    let fields = |line: &str| -> Option<(PathBuf, String, String)> {
        let mut fields = line.split(' ').skip(1).map(str::to_owned);
        Some((fields.next()?.into(), fields.next()?, fields.next()?))
    };
    let mounts: Vec<_> = mounts.lines().filter_map(fields).collect();
    let v2 = || mounts.iter().find(|(_, kind, _)| kind == "cgroup2");
    let v1 = |controller: &str| {
        mounts.iter().find(|(_, kind, options)| {
            kind == "cgroup" && options.split(',').any(|option| option == controller)
        })
    };
    let found = v2().or_else(|| ["pids", "memory", "cpu", "freezer"].into_iter().find_map(v1));
    found.map(|(folder, ..)| folder.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_number_of_its_container() {
        assert_eq!(container_id(10_000).len(), 64);
        assert_eq!(number(&container_id(10_000)).unwrap(), 10_000);
        assert_eq!(number(&sandbox_id(7)).unwrap(), 7);
        assert_eq!(number("00000000002a").unwrap(), 42);
        assert!(number("pod").is_err());
    }

    #[test]
    fn containers_are_made_where_the_tracer_looks() {
        let memory = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let both = format!("{memory}cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
        assert_eq!(hierarchy(memory), Some("/sys/fs/cgroup/memory".into()));
        assert_eq!(hierarchy(&both), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(hierarchy("proc /proc proc rw 0 0\n"), None);
    }
}
