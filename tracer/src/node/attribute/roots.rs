//! Finds the folders below which all pods are, and those that the user named. It must not know containers or watching.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::cgroup_path::is_kubepods;
use crate::linux::cgroup::{self, CgroupError, Hierarchy};

/// A cgroup below which containers are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    pub path: PathBuf,
    /// cgroup id: the inode of the folder.
    pub id: u64,
}

/// How far below the mount point a kubepods folder is searched: `docker/<ID>/kubelet/kubepods` is at 4.
const DEPTH: usize = 5;

/// Every kubepods folder of the hierarchy, sorted by path; none if no kubelet has made one yet. Nothing within a
/// kubepods folder is searched. Folders that vanish or may not be read meanwhile are passed over.
pub fn find(hierarchy: &Hierarchy) -> Vec<Root> {
    let mut found = Vec::new();
    search(hierarchy.mount(), DEPTH, &mut found);
    found.sort();
    found
}

/// The folders that the user named: a path below the mount point (`/sys/fs/cgroup/lab`), or from the root of the
/// hierarchy (`/lab`, `lab`).
///
/// # Errors
/// One does not exist.
pub fn named(hierarchy: &Hierarchy, names: &[PathBuf]) -> Result<Vec<Root>, CgroupError> {
    let mount = hierarchy.mount();
    let root = |name: &PathBuf| {
        let path = if name.starts_with(mount) {
            name.clone()
        } else {
            mount.join(name.strip_prefix("/").unwrap_or(name))
        };
        Ok(Root { id: cgroup::id(&path)?, path })
    };
    names.iter().map(root).collect()
}

fn search(folder: &Path, depth: usize, found: &mut Vec<Root>) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Links are not followed: v1 has some between its controllers.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if !entry.file_name().to_str().is_some_and(is_kubepods) {
            search(&path, depth - 1, found);
        } else if let Ok(id) = cgroup::id(&path) {
            found.push(Root { path, id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(folders: &[&str]) -> (tempfile::TempDir, Hierarchy) {
        let mount = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(mount.path().join(folder)).unwrap();
        }
        let hierarchy = Hierarchy::Unified { mount: mount.path().to_owned() };
        (mount, hierarchy)
    }

    #[test]
    fn every_kubepods_folder_is_found_and_none_within_another() {
        let (mount, hierarchy) = hierarchy(&[
            "kubepods/besteffort/pod1/x/kubepods",
            "kubepods.slice/kubepods-burstable.slice",
            "kubelet.slice/kubelet-kubepods.slice",
            "docker/aa/kubelet/kubepods",
            "a/b/c/d/kubepods",
            "a/b/c/d/e/kubepods",
            "system.slice/kubepods.service",
        ]);
        let found = find(&hierarchy);
        let paths: Vec<_> =
            found.iter().map(|root| root.path.strip_prefix(mount.path()).unwrap()).collect();
        let expect = [
            "a/b/c/d/kubepods",
            "docker/aa/kubelet/kubepods",
            "kubelet.slice/kubelet-kubepods.slice",
            "kubepods",
            "kubepods.slice",
        ];
        assert_eq!(paths, expect.map(Path::new));
        assert!(found.iter().all(|root| cgroup::id(&root.path).unwrap() == root.id));
    }

    #[test]
    fn named_roots_are_below_the_mount_point() {
        let (mount, hierarchy) = hierarchy(&["lab/pods"]);
        let whole = mount.path().join("lab/pods");
        for name in [PathBuf::from("/lab/pods"), PathBuf::from("lab/pods"), whole.clone()] {
            assert_eq!(named(&hierarchy, &[name]).unwrap()[0].path, whole);
        }
        assert!(named(&hierarchy, &["/absent".into()]).is_err());
    }
}
