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
    /// A container's.
    pub fn is_container(&self) -> bool {
        matches!(self.path, CgroupPath::Container(_))
    }
}

/// Slices nest: QoS class, pod, container.
const DEPTH: usize = 6;
/// More than a node has.
const MOST: usize = 4096;

/// Every cgroup below the root, parents first, but for those that containers made for themselves: these may be many.
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
        let is_container = matches!(parsed, CgroupPath::Container(_));
        found.push(Cgroup { id: entry.ino(), root, path: parsed });
        if !is_container {
            walk(&path, root, depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_makes_for_itself_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join("kubepods/pod3c8a1f5e-0b5d-4a54-9d5e-6f1f0d0c2b1a");
        let [first, second] = ["a", "b"].map(|letter| pod.join(letter.repeat(64)));
        for number in 0..MOST + 100 {
            fs::create_dir_all(first.join(number.to_string())).unwrap();
        }
        fs::create_dir_all(second).unwrap();
        let root = Root { id: 1, path: folder.path().join("kubepods") };
        let found = below(&root);
        assert_eq!(found.iter().filter(|cgroup| cgroup.is_container()).count(), 2);
        assert_eq!(found.len(), 3);
    }
}
