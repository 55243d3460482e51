//! A fresh place for one death: its folder, the victims in it, and everything that must be gone afterwards.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;

use crate::cgroup::{Cgroup, Controller};
use crate::ready::{Ready, Said};
use crate::victims;

/// A fresh place for one death. Dropping it undoes all that was set up on it, last first.
#[derive(Debug)]
pub struct Stage {
    // Before the folder, since mounts in it must be gone first.
    guards: Mutex<Vec<Guard>>,
    #[expect(dead_code, reason = "held for its drop")]
    folder: TempDir,
    base: PathBuf,
    name: String,
}

/// Something outside the folder that must be undone.
#[derive(Debug)]
pub(crate) enum Guard {
    Bystander(Child),
    Mount(PathBuf),
    #[expect(dead_code, reason = "held for its drop")]
    Cgroup(Cgroup),
    #[expect(dead_code, reason = "held for its drop")]
    Descriptor(OwnedFd),
    Container {
        runtime: &'static str,
        state: PathBuf,
        id: String,
    },
}

impl Stage {
    /// Sets up an empty stage with all victims on it, readable by every user.
    ///
    /// # Errors
    /// When the victims cannot be built or copied.
    pub fn new() -> Result<Self> {
        let built = victims::folder()?;
        let folder = tempfile::Builder::new().prefix("stage-").tempdir()?;
        let base = folder.path().canonicalize()?;
        let name = base.file_name().context("a folder without a name")?.to_string_lossy().into();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755))?;
        for name in victims::NAMES {
            fs::copy(built.join(name), base.join(name))
                .with_context(|| format!("no victim {name} in {}", built.display()))?;
        }
        Ok(Self { guards: Mutex::default(), folder, base, name })
    }

    /// The stage's folder.
    pub fn folder(&self) -> &Path {
        &self.base
    }

    /// A word that is this stage's alone, for cgroups and containers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path on the stage; nothing is made there.
    pub fn path(&self, name: &str) -> String {
        self.base.join(name).to_string_lossy().into_owned()
    }

    /// Writes a file, with this mode.
    pub fn file(&self, name: &str, content: &str, mode: u32) -> Result<String> {
        let path = self.path(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Makes a folder, with this mode.
    pub fn subfolder(&self, name: &str, mode: u32) -> Result<String> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Copies a victim to another name on the stage, so that its process bears it.
    pub fn copy(&self, victim: &str, name: &str) -> Result<String> {
        let to = self.path(name);
        fs::copy(self.path(victim), &to)?;
        Ok(to)
    }

    /// A tmpfs in a new folder of the stage; `options` as mount(8)'s -o, without flags.
    pub fn tmpfs(&self, name: &str, flags: MountFlags, options: &str) -> Result<String> {
        let at = self.subfolder(name, 0o755)?;
        let options = std::ffi::CString::new(options)?;
        rustix::mount::mount("tmpfs", &*at, "tmpfs", flags, Some(options.as_c_str()))
            .with_context(|| format!("cannot mount a tmpfs on {at}"))?;
        self.hold(Guard::Mount(PathBuf::from(&at)));
        Ok(at)
    }

    /// Mounts a file over itself, as a file of a ConfigMap is mounted.
    pub fn mount_file(&self, file: &str) -> Result<()> {
        rustix::mount::mount_bind(file, file).with_context(|| format!("cannot mount {file}"))?;
        self.hold(Guard::Mount(PathBuf::from(file)));
        Ok(())
    }

    /// A file system in user space, in a new folder of the stage, whose server has ended.
    pub fn abandoned_volume(&self, name: &str) -> Result<String> {
        use std::os::fd::AsRawFd;
        let at = self.subfolder(name, 0o755)?;
        let server = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options)?;
        let flags = MountFlags::empty();
        rustix::mount::mount("volume", &*at, "fuse", flags, Some(options.as_c_str()))
            .with_context(|| format!("cannot mount a FUSE file system on {at}"))?;
        self.hold(Guard::Mount(PathBuf::from(&at)));
        Ok(at)
    }

    /// A FIFO through which a victim says that it is ready; `name` may name a folder of the stage too.
    pub fn ready(&self, name: &str) -> Result<Ready> {
        Ready::new(self.base.join(name))
    }

    /// Starts a process that is not the victim (a holder of a port, a server) and waits until it is ready. It gets the
    /// FIFO's path as its last argument, and is killed with the stage.
    pub fn bystander(&self, argv: &[&str]) -> Result<Said> {
        let ready = self.ready(&format!("bystander-{}", self.held()))?;
        let mut child = Command::new(argv[0])
            .args(&argv[1..])
            .arg(ready.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", argv[0]))?;
        let ended = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(ended) => ended,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        };
        self.hold(Guard::Bystander(child));
        ready.wait(ended.as_fd())
    }

    /// A TCP port of the loopback that refuses every connection for as long as the stage stands: bound by us, so that
    /// nobody else takes it, but never listening.
    pub fn refusing_port(&self) -> Result<u16> {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let name = std::net::SocketAddrV4::try_from(getsockname(&socket)?)?;
        self.hold(Guard::Descriptor(socket));
        Ok(name.port())
    }

    /// Memory cgroups, each inside the one before, with their limits in bytes; gives the innermost one's file of
    /// processes.
    pub fn memory_cgroups(&self, limits: &[(&str, u64)]) -> Result<String> {
        self.memory(limits, false)
    }

    /// As [`Self::memory_cgroups`]; the OOM killer takes all processes of each at once (cgroup v2 only).
    pub fn memory_cgroups_killed_as_a_group(&self, limits: &[(&str, u64)]) -> Result<String> {
        self.memory(limits, true)
    }

    /// A pids cgroup; gives its file of processes.
    pub fn pids_cgroup(&self, count: u32) -> Result<String> {
        let cgroup = Cgroup::new(Controller::Pids, None, &self.name)?;
        cgroup.limit_pids(count)?;
        let procs = cgroup.procs();
        self.hold(Guard::Cgroup(cgroup));
        Ok(procs.to_string_lossy().into_owned())
    }

    pub(crate) fn hold(&self, guard: Guard) {
        self.guards.lock().expect("no scene panics while it holds the guards").push(guard);
    }

    fn held(&self) -> usize {
        self.guards.lock().expect("no scene panics while it holds the guards").len()
    }

    fn memory(&self, limits: &[(&str, u64)], as_a_group: bool) -> Result<String> {
        let mut made: Vec<Cgroup> = Vec::new();
        for (name, bytes) in limits {
            let name = format!("{}-{name}", self.name);
            let cgroup = Cgroup::new(Controller::Memory, made.last(), &name)?;
            cgroup.limit_memory(*bytes)?;
            if as_a_group {
                cgroup.kill_as_a_group()?;
            }
            made.push(cgroup);
        }
        let procs = made.last().context("no memory cgroup asked for")?.procs();
        made.into_iter().for_each(|cgroup| self.hold(Guard::Cgroup(cgroup)));
        Ok(procs.to_string_lossy().into_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let guards = self.guards.get_mut().expect("no scene panics while it holds the guards");
        while let Some(guard) = guards.pop() {
            guard.undo();
        }
    }
}

impl Guard {
    /// Best effort: a stage that cannot be cleared says so and lets its test fail for its own reasons.
    fn undo(self) {
        match self {
            Guard::Bystander(mut child) => {
                let _gone = child.kill();
                let _reaped = child.wait();
            }
            Guard::Mount(at) => {
                if let Err(error) = rustix::mount::unmount(&at, UnmountFlags::DETACH) {
                    eprintln!("cannot unmount {}: {error}", at.display());
                }
            }
            Guard::Cgroup(_) | Guard::Descriptor(_) => {}
            Guard::Container { runtime, state, id } => {
                let _gone = Command::new(runtime)
                    .arg("--root")
                    .arg(state)
                    .args(["delete", "--force", &id])
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}
