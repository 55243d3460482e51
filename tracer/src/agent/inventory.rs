//! What ran before the agent came: cgroups below the watched roots, and what /proc says of their processes. It must not
//! decide what is watched.

use std::{fs, os::unix::fs::DirEntryExt, path::Path};

use crate::{
    attribute::{
        cgroup_path::{self, CgroupPath},
        roots::Root,
    },
    event::{Found, Process},
    facts::program_of,
};

/// A cgroup below a watched root.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its id: the inode of its folder.
    pub id: u64,
    pub root: u64,
    pub path: CgroupPath,
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

/// Programs that make containers, which a container's init still runs before it becomes the container's own.
const RUNTIMES: [&[u8]; 3] = [b"runc", b"crun", b"youki"];

/// Whether a process that was found is still its runtime's init.
pub fn is_runtime_init(found: &Found, process: &Process) -> bool {
    let path = found.path.as_bytes();
    // A runtime runs a copy of itself, in memory or beside its file: `/memfd:runc_cloned:...`, `runc.AbCdEf`.
    let name = match path.strip_prefix(b"/memfd:") {
        Some(copy) => copy,
        None => path.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
    };
    RUNTIMES.iter().any(|runtime| {
        let rest = name.strip_prefix(*runtime);
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
            // `runc:[2:INIT]`
            || process.comm.as_bytes().strip_prefix(*runtime).is_some_and(|rest| rest.starts_with(b":["))
    })
}

/// Adds program and arguments to a process that was found; leaves them empty where it has ended.
pub fn complete(found: &mut Found, process: &Process) {
    if let Some((path, args)) = program_of(process) {
        found.path = path;
        found.args = args;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode::golden, text::Text};

    #[test]
    fn a_runtimes_init_is_known_by_its_program_or_by_its_name() {
        let table: [(&str, &str, bool); 10] = [
            ("/usr/sbin/runc", "exe", true),
            ("/memfd:runc_cloned:/proc/self/exe (deleted)", "exe", true),
            ("/run/containerd/runc/k8s.io/ab/runc.AbCdEf (deleted)", "6", true),
            ("/usr/bin/crun", "crun", true),
            ("", "runc:[2:INIT]", true),
            ("", "youki:[2:INIT]", true),
            ("/usr/bin/runcmd", "runcmd", false),
            ("/opt/runc/server", "server", false),
            ("/victim", "victim", false),
            ("", "", false),
        ];
        for (path, comm, expected) in table {
            let text = |text: &str| Text(text.as_bytes().to_vec());
            let found = Found { found_ns: 1, path: text(path), args: Vec::new() };
            let process = Process { comm: text(comm), ..golden::process() };
            assert_eq!(is_runtime_init(&found, &process), expected, "{path} {comm}");
        }
    }
}
