//! A containerd of our own: its state, socket, network and cgroups are shared with nobody. Debian's 1.6 does.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use super::cgroups::Kubepods;
use super::client::Client;
use super::image::{Image, PAUSE};
use crate::need::{Need, find};
use crate::patience::eventually;
use crate::victims;

/// What must be on the machine.
pub const NEEDS: &[Need] = &[
    Need::Root,
    Need::Tool("containerd"),
    Need::Tool("ctr"),
    Need::Tool("runc"),
    Need::Tool("crun"),
    Need::MemoryCgroup,
];

/// A node's own: where the runtime's socket is, what pods keep on it, and, as in kind, no BPF file system.
const NODE_FOLDERS: [&str; 3] = ["run", "var/lib", "sys/fs/bpf"];

const READY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// What the containerd has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// A network namespace, with nothing but a loopback.
    Network,
    /// That, and PID, mount and cgroup namespaces, and folders of its own: a node that is itself a container, as in
    /// kind.
    Node,
}

/// A running containerd with the victims' image. Dropping it ends every container of it, then itself, and removes what
/// they left.
#[derive(Debug)]
pub struct Containerd {
    client: Client,
    child: Mutex<Child>,
    around: Around,
    cgroups: Kubepods,
    snapshotter: &'static str,
    #[expect(dead_code, reason = "held for its drop")]
    temporary: TempDir,
    folder: PathBuf,
}

impl Containerd {
    /// Starts it and waits until it answers and has its images.
    ///
    /// # Errors
    /// When it does not come up; the error has its last words.
    pub fn start(around: Around) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("cri-").tempdir()?;
        let folder = temporary.path().canonicalize()?;
        let name = folder.file_name().context("a folder without a name")?.to_string_lossy();
        let snapshotter = if overlays_work(&folder)? { "overlayfs" } else { "native" };
        for name in NODE_FOLDERS {
            fs::create_dir_all(folder.join("node").join(name))?;
        }
        fs::write(folder.join("config.toml"), config(&folder, snapshotter, &crun(&folder)?))?;
        let cgroups = match around {
            Around::Network => Kubepods::on_host(&format!("kubepods-test-{name}"))?,
            Around::Node => Kubepods::on_node(&format!("node-test-{name}"))?,
        };
        let mut child = spawn(&folder, around, &cgroups)?;
        let client = match connect(&folder, &mut child) {
            Ok(client) => client,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(error.context(format!("containerd said:\n{log}")));
            }
        };
        let child = Mutex::new(child);
        let containerd = Self { client, child, around, cgroups, snapshotter, temporary, folder };
        for image in [Image::pause()?, Image::victims()?] {
            let archive = containerd.folder.join("image.tar");
            fs::write(&archive, image.archive()?)?;
            containerd.import(&archive, image.name())?;
            fs::remove_file(archive)?;
        }
        Ok(containerd)
    }

    /// Its CRI socket.
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Its client, for what [`super::Pod`] does not do.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The folder of its pods' cgroups, as it sees that itself: what an agent is to watch.
    pub fn cgroup_root(&self) -> PathBuf {
        self.cgroups.watched()
    }

    /// What it has of its own.
    pub fn around(&self) -> Around {
        self.around
    }

    /// Its process, which on a node is the first of the node's PID namespace.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<Pid> {
        let started = Pid::from_child(&self.child());
        match self.around {
            Around::Network => Ok(started),
            Around::Node => {
                let file = format!("/proc/{0}/task/{0}/children", started.as_raw_nonzero());
                let children = fs::read_to_string(file)?;
                let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
                first.and_then(Pid::from_raw).context("the node has ended")
            }
        }
    }

    /// All that it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Imports an archive, by which the runtime has an image of this name.
    ///
    /// # Errors
    /// When containerd does not take it, or it has not that image.
    pub fn import(&self, archive: &Path, name: &str) -> Result<()> {
        let done = Command::new("ctr")
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", "k8s.io", "images", "import", "--snapshotter", self.snapshotter])
            .arg(archive)
            .stdin(Stdio::null())
            .output()
            .context("cannot run ctr")?;
        let words = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "ctr images import {name}: {words}");
        // The interface learns of an imported image by an event, a moment later.
        eventually(name, READY_WITHIN, || Ok(self.client.has_image(name)?.then_some(())))
    }

    /// A path of the node, as it is found from here.
    ///
    /// # Errors
    /// When the node has ended.
    pub fn on_node(&self, path: &str) -> Result<PathBuf> {
        let root = format!("/proc/{}/root", self.pid()?.as_raw_nonzero());
        Ok(Path::new(&root).join(path.trim_start_matches('/')))
    }

    /// Does something in the network of its pods.
    ///
    /// # Errors
    /// When that fails, or containerd has ended.
    pub fn in_network<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid()?.as_raw_nonzero()))?;
        // A thread of its own, since none comes back from there.
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
                act()
            });
            inside.join().map_err(|_| anyhow!("it panicked in the network of pods"))?
        })
    }

    /// Words that go before a command which is to run on the same node, as a DaemonSet's pod with hostPID does; none
    /// where this machine is the node.
    ///
    /// # Errors
    /// When the node has ended.
    pub fn inside(&self) -> Result<Vec<OsString>> {
        if self.around == Around::Network {
            return Ok(Vec::new());
        }
        let mut words = vec![victims::folder()?.join("victim").into_os_string(), "with".into()];
        words.extend(self.cgroups.node_options().into_iter().map(OsString::from));
        words.push(format!("node={}", self.pid()?.as_raw_nonzero()).into());
        words.push("--".into());
        Ok(words)
    }

    /// Does something while it is stopped: it listens, and answers nothing.
    ///
    /// # Errors
    /// When that fails.
    pub fn while_frozen<T>(&self, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
        let pid = Pid::from_child(&self.child());
        kill_process(pid, Signal::STOP)?;
        let done = meanwhile();
        kill_process(pid, Signal::CONT)?;
        done
    }

    /// Kills it, does something while it is away, and starts it again. Its containers live on meanwhile, unless they are
    /// on a node, which ends with it.
    ///
    /// # Errors
    /// When that fails, or it does not come up.
    pub fn while_away<T>(&self, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut child = self.child();
        child.kill()?;
        child.wait()?;
        let done = meanwhile();
        *child = spawn(&self.folder, self.around, &self.cgroups)?;
        connect(&self.folder, &mut child).with_context(|| format!("it said:\n{}", self.log()))?;
        // The connection from before notices a call late that it is another one.
        eventually("containerd's answer", READY_WITHIN, || Ok(self.client.version().ok()))?;
        done
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("nobody panics while he holds containerd")
    }

    pub(crate) fn cgroups(&self) -> &Kubepods {
        &self.cgroups
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for sandbox in self.client.pod_sandboxes().unwrap_or_default() {
            let stopped = self.client.stop_pod_sandbox(&sandbox);
            if let Err(error) = stopped.and_then(|()| self.client.remove_pod_sandbox(&sandbox)) {
                eprintln!("sandbox {sandbox} could not be removed: {error:#}");
            }
        }
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _gone = kill_process(Pid::from_child(child), Signal::TERM);
        let ended = eventually("containerd's end", ENDED_WITHIN, || Ok(child.try_wait()?));
        if let Err(error) = ended {
            eprintln!("{error:#}");
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        // Only what a failed removal left: else the folder could not be removed.
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for at in ours.filter(|at| Path::new(at).starts_with(&self.folder)) {
            let _gone = rustix::mount::unmount(at, UnmountFlags::DETACH);
        }
    }
}

fn spawn(folder: &Path, around: Around, cgroups: &Kubepods) -> Result<Child> {
    let log = File::create(folder.join("log"))?;
    let mut command = Command::new(victims::folder()?.join("victim"));
    command.arg("with");
    match around {
        Around::Network => command.arg("net"),
        Around::Node => {
            let own =
                NODE_FOLDERS.map(|name| format!("bind={}/node/{name}:/{name}", folder.display()));
            command.args(cgroups.node_options()).arg("node").args(own)
        }
    };
    command.arg("--").arg(find("containerd").context("containerd is not in PATH")?);
    command.arg("--config").arg(folder.join("config.toml"));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("cannot start containerd")
}

fn connect(folder: &Path, child: &mut Child) -> Result<Client> {
    let client = eventually("containerd's socket", READY_WITHIN, || {
        if let Some(status) = child.try_wait()? {
            bail!("containerd ended with {status}");
        }
        Ok(Client::connect(&socket(folder)).ok())
    })?;
    // It listens before its plugins are there.
    eventually("containerd's answer", READY_WITHIN, || Ok(client.version().ok()))?;
    Ok(client)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("node/run/containerd/containerd.sock")
}

/// No CNI, as pods share containerd's network; no AppArmor; and no lowered OOM scores, which take CAP_SYS_RESOURCE.
fn config(folder: &Path, snapshotter: &str, crun: &Path) -> String {
    let base = folder.display();
    let socket = socket(folder);
    let socket = socket.display();
    let crun = crun.display();
    format!(
        r#"version = 2
root = "{base}/root"
state = "{base}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "{base}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{base}/cni"
    conf_dir = "{base}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{base}/runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
        BinaryName = "{crun}"
        Root = "{base}/crun-state"
"#
    )
}

/// crun refuses cgroup v1 beside a v2 hierarchy that has a controller (crun, src/libcrun/cgroup.c): there it is run in a
/// mount namespace in which that list is empty.
fn crun(folder: &Path) -> Result<PathBuf> {
    const CONTROLLERS: &str = "/sys/fs/cgroup/unified/cgroup.controllers";
    let found = find("crun").unwrap_or_else(|| PathBuf::from("crun"));
    if fs::read_to_string(CONTROLLERS).unwrap_or_default().trim().is_empty() {
        return Ok(found);
    }
    let (victim, wrapper) = (victims::folder()?.join("victim"), folder.join("crun"));
    let (victim, crun) = (victim.display(), found.display());
    let script = format!("#!/bin/sh\nexec {victim} with empty={CONTROLLERS} -- {crun} \"$@\"\n");
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(wrapper)
}

/// A file system that is an overlay itself carries no further one.
fn overlays_work(folder: &Path) -> Result<bool> {
    let at = folder.join("try");
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(at.join(name))?;
    }
    let merged = at.join("merged");
    let place = at.display();
    let options = format!("lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work");
    let options = std::ffi::CString::new(options)?;
    let mounted = rustix::mount::mount(
        "overlay",
        &merged,
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    );
    if mounted.is_ok() {
        rustix::mount::unmount(&merged, UnmountFlags::empty())?;
    }
    fs::remove_dir_all(at)?;
    Ok(mounted.is_ok())
}
