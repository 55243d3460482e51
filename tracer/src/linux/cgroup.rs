//! cgroup hierarchies as this process sees them, and cgroups of our own.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why there is no usable cgroup.
#[derive(Debug, Error)]
pub enum CgroupError {
    #[error("cannot read {0}: {1}: is /proc mounted?")]
    Proc(&'static str, io::Error),
    #[error(
        "no cgroup hierarchy is mounted: mount one, e.g. `mount -t cgroup2 none /sys/fs/cgroup` (docs/kernels.md)"
    )]
    NoHierarchy,
    #[error("cannot create the cgroup {0}: {1}: root and a writable cgroup file system are needed")]
    Create(PathBuf, io::Error),
    #[error("cannot use the cgroup {0}: {1}")]
    Use(PathBuf, io::Error),
}

/// The hierarchy by which containers are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// cgroup v2, alone or beside v1.
    Unified { mount: PathBuf },
    /// One v1 controller, where there is no v2.
    Legacy { mount: PathBuf, controller: String, id: u32 },
}

impl Hierarchy {
    /// Finds the hierarchy: v2 where it is mounted, else the first v1 controller of a fixed list.
    ///
    /// # Errors
    /// /proc cannot be read, or no hierarchy is mounted.
    pub fn find() -> Result<Self, CgroupError> {
        let read = |path: &'static str| {
            fs::read_to_string(path).map_err(|error| CgroupError::Proc(path, error))
        };
        let mounts = read("/proc/self/mountinfo")?;
        if let Some(mount) = mount_of(&mounts, "cgroup2", None) {
            return Ok(Self::Unified { mount });
        }
        let controllers = read("/proc/cgroups")?;
        for controller in ["pids", "memory", "cpu", "freezer"] {
            let mount = mount_of(&mounts, "cgroup", Some(controller));
            if let (Some(mount), Some(id)) = (mount, hierarchy_id(&controllers, controller)) {
                return Ok(Self::Legacy { mount, controller: controller.to_owned(), id });
            }
        }
        Err(CgroupError::NoHierarchy)
    }

    pub fn mount(&self) -> &Path {
        match self {
            Self::Unified { mount } | Self::Legacy { mount, .. } => mount,
        }
    }

    /// The v1 controller's name.
    pub fn controller(&self) -> Option<&str> {
        match self {
            Self::Unified { .. } => None,
            Self::Legacy { controller, .. } => Some(controller),
        }
    }

    /// `cgroup_root.hierarchy_id`: 0 for v2.
    pub fn id(&self) -> u32 {
        match self {
            Self::Unified { .. } => 0,
            Self::Legacy { id, .. } => *id,
        }
    }

    /// The folder of this process's own cgroup.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn own(&self) -> Result<PathBuf, CgroupError> {
        let text = fs::read_to_string("/proc/self/cgroup")
            .map_err(|error| CgroupError::Proc("/proc/self/cgroup", error))?;
        let own = text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = match self.controller() {
                None => id == "0",
                Some(wanted) => controllers.split(',').any(|name| name == wanted),
            };
            ours.then(|| self.mount().join(path.trim_start_matches('/')))
        });
        // A process of another cgroup namespace may see a path that is not below its mount.
        Ok(own.filter(|path| path.is_dir()).unwrap_or_else(|| self.mount().to_owned()))
    }
}

/// Where a cgroup file system is mounted.
fn mount_of(mountinfo: &str, fs_type: &str, controller: Option<&str>) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let found_type = back.next()?;
        let options = back.nth(1)?;
        let has = controller.is_none_or(|wanted| options.split(',').any(|option| option == wanted));
        let mount_point = front.split(' ').nth(4)?;
        (found_type == fs_type && has).then(|| PathBuf::from(mount_point))
    })
}

/// The hierarchy of a v1 controller, from /proc/cgroups.
fn hierarchy_id(cgroups: &str, controller: &str) -> Option<u32> {
    cgroups.lines().find_map(|line| {
        let mut fields = line.split('\t');
        (fields.next()? == controller).then(|| fields.next()?.parse().ok())?
    })
}

/// The id of a cgroup: the inode of its folder.
///
/// # Errors
/// It is gone.
pub fn id(path: &Path) -> Result<u64, CgroupError> {
    let metadata = fs::metadata(path).map_err(|error| CgroupError::Use(path.to_owned(), error))?;
    Ok(metadata.ino())
}

/// A cgroup that we made; removed when dropped, if no process is left in it.
#[derive(Debug)]
pub struct OwnCgroup {
    path: PathBuf,
    id: u64,
}

impl OwnCgroup {
    /// Makes `parent/name`.
    ///
    /// # Errors
    /// It exists, or may not be made.
    pub fn create(parent: &Path, name: &str) -> Result<Self, CgroupError> {
        let path = parent.join(name);
        fs::create_dir(&path).map_err(|error| CgroupError::Create(path.clone(), error))?;
        let id = id(&path)?;
        Ok(Self { path, id })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // What lives on keeps its cgroup; its parent then cannot be removed either.
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cgroup left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 29 0:25 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 29 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
32 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn mounts_are_found_by_type_and_controller() {
        let check = |fs_type, controller, expect: Option<&str>| {
            assert_eq!(mount_of(HYBRID, fs_type, controller), expect.map(PathBuf::from));
        };
        check("cgroup2", None, Some("/sys/fs/cgroup/unified"));
        check("cgroup", Some("memory"), Some("/sys/fs/cgroup/memory"));
        check("cgroup", Some("cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct"));
        check("cgroup", Some("pids"), None);
    }

    #[test]
    fn hierarchies_are_numbered_by_proc_cgroups() {
        let table =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t3\t1\npids\t8\t1\t1\n";
        assert_eq!(hierarchy_id(table, "pids"), Some(8));
        assert_eq!(hierarchy_id(table, "cpu"), None);
    }
}
