//! What ran before the agent came: cgroups below the watched roots. It must not decide what is watched.

use std::{fs, os::unix::fs::DirEntryExt, path::Path};

use crate::node::attribute::{
    cgroup_path::{self, CgroupPath},
    roots::Root,
};

/// A cgroup below a watched root.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its id: the inode of its folder.
    pub id: u64,
    pub root: u64,
    pub path: CgroupPath,
}

impl Cgroup {
    /// A container's, or one inside of it.
    pub fn is_container(&self) -> bool {
        matches!(self.path, CgroupPath::Container(_))
    }
}

/// Slices nest: QoS class, pod, container, and what a container makes for itself.
const DEPTH: usize = 6;
/// More than a node has.
const MOST: usize = 4096;

/// Every cgroup below the root, parents first.
pub fn below(root: &Root) -> Vec<Cgroup> {
    let mut found = Vec::new();
    walk(&root.path, root.id, DEPTH, &mut found);
    found
}

fn walk(folder: &Path, root: u64, depth: usize, found: &mut Vec<Cgroup>) {
    // What vanishes meanwhile is not there.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if depth == 0 || found.len() >= MOST {
            return;
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let parsed = cgroup_path::parse(&path.to_string_lossy());
        found.push(Cgroup { id: entry.ino(), root, path: parsed });
        walk(&path, root, depth - 1, found);
    }
}
