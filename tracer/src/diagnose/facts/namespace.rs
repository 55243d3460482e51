//! A mount namespace held from the birth of a container's init: its root can be opened later, when every process
//! of it is gone. It must not know events.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use super::process_dir::ProcessDir;

/// Bytes read of a mountinfo.
const MOUNTINFO_MAX: u64 = 1 << 20;

/// A mount namespace that cannot go away.
#[derive(Debug)]
pub struct Namespace {
    descriptor: OwnedFd,
    inum: u32,
}

/// What a process of the namespace would see.
#[derive(Debug)]
pub struct View {
    /// Its root directory, O_PATH.
    pub root: OwnedFd,
    pub mountinfo: Vec<u8>,
}

impl Namespace {
    /// Holds the namespace of a living process. `None` if it ended meanwhile.
    pub fn of(process: &ProcessDir) -> Option<Self> {
        let descriptor = process.open("ns/mnt").ok()?;
        let inum = u32::try_from(fstat(&descriptor).ok()?.st_ino).ok()?;
        Some(Self { descriptor, inum })
    }

    pub fn inum(&self) -> u32 {
        self.inum
    }

    /// A second holder of the same namespace.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.descriptor.try_clone()
    }

    /// Opens the namespace's root, by a thread that enters it and ends: setns(2) puts it at the root of the
    /// namespace, which after pivot_root is the container's.
    pub fn view(&self) -> io::Result<View> {
        std::thread::scope(|scope| {
            let entered = std::thread::Builder::new().spawn_scoped(scope, || self.enter())?;
            entered.join().map_err(|_| io::Error::other("the thread that entered it panicked"))?
        })
    }

    fn enter(&self) -> io::Result<View> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Of our own /proc: the namespace may have none.
        let thread = openat(CWD, "/proc/thread-self", flags, Mode::empty())?;
        // setns(2) refuses a thread that shares root and working directory with others.
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.descriptor, CloneFlags::CLONE_NEWNS)?;
        let root = openat(CWD, "/", flags, Mode::empty())?;
        let file = openat(&thread, "mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut mountinfo = Vec::new();
        File::from(file).take(MOUNTINFO_MAX).read_to_end(&mut mountinfo)?;
        Ok(View { root, mountinfo })
    }
}
