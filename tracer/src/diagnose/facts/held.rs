//! A mount namespace held beyond the death of its processes, with what was read while they lived. It
//! must not know events.

use std::os::fd::OwnedFd;

use super::{model::Mount, mounts, namespace::Namespace, process_dir::ProcessDir, root::Root};
use crate::linux::text::Text;

/// Root directory and mount namespace of a process at one of its execs.
#[derive(Debug)]
pub struct Held {
    pub root: Root,
    /// Keeps the mounts below the root in place. `None` for a folder that stands for a root.
    _namespace: Option<OwnedFd>,
    /// inum of the mount namespace; 0 for a folder.
    pub mount_ns: u32,
    pub cwd: Text,
    pub mounts: Vec<Mount>,
    /// LD_LIBRARY_PATH of the process that was held: `None` if it could not be read.
    pub library_path: Option<Option<Text>>,
}

const MOUNTINFO_MAX: usize = 1 << 20;
const ENVIRON_MAX: usize = 256 << 10;

impl Held {
    /// Holds what a living process sees. `None` if it ended meanwhile.
    pub fn of(process: &ProcessDir) -> Option<Self> {
        let root = process.hold("root").ok()?;
        let namespace = process.hold("ns/mnt").ok()?;
        let mount_ns = process.namespace("ns/mnt")?;
        let mounts = mounts_of(process);
        Some(Self {
            root: Root::from_descriptor(root).avoiding(to_avoid(&mounts)),
            _namespace: Some(namespace),
            mount_ns,
            cwd: process.working_directory().unwrap_or_else(|| Text::from("/")),
            mounts,
            library_path: process
                .read("environ", ENVIRON_MAX)
                .ok()
                .map(|environ| variable(&environ, b"LD_LIBRARY_PATH")),
        })
    }

    /// Holds what a process of the namespace would see, though there may be none any more.
    pub fn of_namespace(namespace: &Namespace) -> Option<Self> {
        let view = namespace.view().ok()?;
        let mounts = mounts::parse(&view.mountinfo);
        Some(Self {
            root: Root::from_descriptor(view.root).avoiding(to_avoid(&mounts)),
            _namespace: namespace.share().ok(),
            mount_ns: namespace.inum(),
            cwd: Text::from("/"),
            mounts,
            library_path: None,
        })
    }

    /// What this program itself sees: so does a child that it started, and that ended too soon to be
    /// held.
    pub fn own() -> Option<Self> {
        Self::of(&ProcessDir::open_pid(std::process::id()).ok()?)
    }

    /// A folder that holds what the container's root would have been.
    pub fn of_folder(root: Root) -> Self {
        Self {
            root,
            _namespace: None,
            mount_ns: 0,
            cwd: Text::from("/"),
            mounts: Vec::new(),
            library_path: None,
        }
    }
}

/// The root of a living process, for one look.
pub fn root_of(process: &ProcessDir) -> Option<Root> {
    let root = process.hold("root").ok()?;
    Some(Root::from_descriptor(root).avoiding(to_avoid(&mounts_of(process))))
}

fn mounts_of(process: &ProcessDir) -> Vec<Mount> {
    mounts::parse(&process.read("mountinfo", MOUNTINFO_MAX).unwrap_or_default())
}

fn to_avoid(mounts: &[Mount]) -> Vec<Text> {
    mounts
        .iter()
        .filter(|mount| mounts::is_served_from_elsewhere(mount))
        .map(|mount| mount.mount_point.clone())
        .collect()
}

/// The value of a variable in a /proc/PID/environ; `None` if it is not set or empty.
fn variable(environ: &[u8], name: &[u8]) -> Option<Text> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))?;
    Some(Text(value.to_vec())).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::facts::{process_dir::tests::sleeper, root::End};

    #[test]
    fn what_was_held_outlives_the_process() {
        let (mut child, process) = sleeper();
        let held = Held::of(&ProcessDir::of(&process).unwrap()).unwrap();
        child.end();
        let found = held.root.find(&held.cwd, &Text::from("/proc"));
        assert!(matches!(found.end, End::File(..)));
        assert!(!held.mounts.is_empty());
        assert!(held.library_path.is_some());
        assert!(held.mount_ns > 0);
    }

    #[test]
    fn a_variable_is_found_whole() {
        let environ = b"A=1\0XLD_LIBRARY_PATH=no\0LD_LIBRARY_PATH=/opt/lib:/x\0B=";
        assert_eq!(variable(environ, b"LD_LIBRARY_PATH"), Some(Text::from("/opt/lib:/x")));
        assert_eq!(variable(environ, b"B"), None);
        assert_eq!(variable(environ, b"C"), None);
    }
}
