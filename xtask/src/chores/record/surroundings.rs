//! Makes the recorder's surroundings those of any machine: what lies around its processes becomes part of every
//! recording. It knows nothing of deaths or tracers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::mount::UnmountFlags;

/// Mounts below these are on every Linux machine.
const USUAL: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/boot"];

/// Starts the program in a mount namespace of its own, where mounts may be taken away unseen by others.
pub fn in_own_mounts(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(program);
    command
}

/// Leaves every cgroup that this process was started in for the root of its hierarchy, and detaches every mount that
/// only this machine has, if that is seen by nobody else: see [`in_own_mounts`].
pub fn become_usual() -> Result<()> {
    if !has_own_mounts()? {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read mounts")?;
    for procs in cgroup_roots(&mounts) {
        // A hierarchy that refuses is one whose paths are ours to show.
        let _ = fs::write(procs, std::process::id().to_string());
    }
    for place in unusual(&mounts) {
        rustix::mount::unmount(&place, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", place.display()))?;
    }
    Ok(())
}

/// Whether our mount namespace is not our parent's.
fn has_own_mounts() -> Result<bool> {
    let Some(parent) = rustix::process::getppid() else { return Ok(false) };
    let namespace = |process: &str| {
        fs::read_link(format!("/proc/{process}/ns/mnt")).context("cannot tell mount namespaces")
    };
    Ok(namespace("self")? != namespace(&parent.to_string())?)
}

fn cgroup_roots(mounts: &str) -> impl Iterator<Item = PathBuf> {
    places(mounts)
        .filter(|(_, kind)| kind.starts_with("cgroup"))
        .map(|(place, _)| Path::new(place).join("cgroup.procs"))
}

/// The last mounted first, as they must be unmounted.
fn unusual(mounts: &str) -> Vec<PathBuf> {
    let is_usual = |place: &Path| {
        place == Path::new("/") || USUAL.iter().any(|usual| place.starts_with(usual))
    };
    let mut found: Vec<PathBuf> = places(mounts)
        .map(|(place, _)| place.into())
        .filter(|place: &PathBuf| !is_usual(place))
        .collect();
    found.reverse();
    found
}

/// Mount points and filesystem types.
fn places(mounts: &str) -> impl Iterator<Item = (&str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/vda / ext4 rw 0 0\n\
        memory /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
        disk /srv/disk ext4 rw 0 0\n\
        tmpfs /srv/disk/cache tmpfs rw 0 0\n\
        tmpfs /runner tmpfs rw 0 0\n";

    #[test]
    fn what_only_one_machine_has_is_unmounted_last_first() {
        let expected = ["/runner", "/srv/disk/cache", "/srv/disk"].map(PathBuf::from);
        assert_eq!(unusual(MOUNTS), expected);
    }

    #[test]
    fn cgroup_hierarchies_are_known_by_their_type() {
        let roots: Vec<PathBuf> = cgroup_roots(MOUNTS).collect();
        assert_eq!(roots, [PathBuf::from("/sys/fs/cgroup/memory/cgroup.procs")]);
    }
}
