//! OCI bundles for runc and crun: a root folder with nothing but victims in it. Knows nothing of Kubernetes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::act::Act;
use crate::need::find;
use crate::ready::Ready;
use crate::stage::{Guard, Stage};

/// A bundle on its stage. The container is deleted with the stage.
#[derive(Debug)]
pub struct Bundle {
    runtime: &'static str,
    folder: PathBuf,
    state: PathBuf,
    id: String,
    config: Value,
    wrapper: Vec<OsString>,
}

/// Sends signals into a running container by its runtime's own `kill`.
#[derive(Debug, Clone)]
pub struct RuntimeKill {
    runtime: &'static str,
    state: PathBuf,
    id: String,
}

impl Bundle {
    /// A container of `runtime` (`runc` or `crun`) that is to run `args`. Its root folder has a static `/victim`, the
    /// folders that a runtime mounts on, and nothing else.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn new(stage: &Stage, runtime: &'static str, args: &[&str]) -> Result<Self> {
        let folder = stage.folder().join("bundle");
        let root = folder.join("rootfs");
        for name in ["proc", "dev", "sys", "etc", "tmp"] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::copy(stage.path("victim"), root.join("victim"))?;
        let id = stage.name().to_owned();
        let config = config(&id, args);
        let state = stage.folder().join("state");
        stage.hold(Guard::Container { runtime, state: state.clone(), id: id.clone() });
        let wrapper = wrapper(stage, runtime);
        Ok(Self { runtime, folder, state, id, config, wrapper })
    }

    /// Runs as this user and group instead of root.
    pub fn user(mut self, uid: u32) -> Self {
        self.config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        self
    }

    /// Limits the container's memory, swap included.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.config["linux"]["resources"]["memory"] = json!({ "limit": bytes, "swap": bytes });
        self
    }

    /// Copies a victim of the stage to a path of the container.
    pub fn with_victim(self, stage: &Stage, victim: &str, name: &str) -> Result<Self> {
        fs::copy(stage.path(victim), self.folder.join("rootfs").join(name))?;
        Ok(self)
    }

    /// Writes a file of the container.
    pub fn with_file(self, name: &str, content: &str, mode: u32) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join("rootfs").join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(self)
    }

    /// Mounts a folder of the host.
    pub fn with_mount(mut self, source: &str, destination: &str) -> Self {
        let options = ["rbind"];
        let mount = json!({ "destination": destination, "type": "bind", "source": source, "options": options });
        if let Some(mounts) = self.config["mounts"].as_array_mut() {
            mounts.push(mount);
        }
        self
    }

    /// A FIFO that the container sees as `/ready`.
    pub fn ready(&self) -> Result<Ready> {
        Ready::new(self.folder.join("rootfs/ready"))
    }

    /// What sends signals to it.
    pub fn kill(&self) -> RuntimeKill {
        RuntimeKill { runtime: self.runtime, state: self.state.clone(), id: self.id.clone() }
    }

    /// The command that runs the container in the foreground.
    ///
    /// # Errors
    /// When config.json cannot be written.
    pub fn act(&self) -> Result<Act> {
        fs::write(self.folder.join("config.json"), serde_json::to_vec_pretty(&self.config)?)?;
        let mut argv = self.wrapper.clone();
        // By its path, since the wrapper looks nothing up in PATH.
        argv.push(find(self.runtime).context("the runtime is not in PATH")?.into_os_string());
        argv.extend(["--root".into(), self.state.clone().into_os_string()]);
        if self.runtime == "crun" {
            argv.push("--cgroup-manager=cgroupfs".into());
        }
        argv.extend(["run".into(), "--bundle".into(), self.folder.clone().into_os_string()]);
        if root_cannot_be_pivoted() {
            argv.push("--no-pivot".into());
        }
        argv.push(self.id.clone().into());
        Ok(Act::new(argv))
    }
}

impl RuntimeKill {
    /// Sends a signal, named without SIG, to the container's main process.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn send(&self, signal: &str) -> Result<()> {
        let done = Command::new(self.runtime)
            .arg("--root")
            .arg(&self.state)
            .args(["kill", &self.id, signal])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.runtime))?;
        let words = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{} kill {signal}: {words}", self.runtime);
        Ok(())
    }
}

/// crun refuses cgroup v1 beside a v2 hierarchy that has a controller (crun, src/libcrun/cgroup.c): there it is run in a
/// mount namespace where the v2 hierarchy is out of its sight. Nothing else is changed by it.
fn wrapper(stage: &Stage, runtime: &str) -> Vec<OsString> {
    const BESIDE: &str = "/sys/fs/cgroup/unified";
    let controllers = fs::read_to_string(Path::new(BESIDE).join("cgroup.controllers"));
    if runtime != "crun" || controllers.unwrap_or_default().trim().is_empty() {
        return Vec::new();
    }
    let cover = format!("cover={BESIDE}");
    vec![stage.path("victim").into(), "with".into(), cover.into(), "--".into()]
}

/// An initramfs stays the root for ever: pivot_root refuses it (fs/namespace.c).
fn root_cannot_be_pivoted() -> bool {
    fs::read_to_string("/proc/mounts")
        .is_ok_and(|mounts| mounts.lines().any(|line| line.contains(" / rootfs ")))
}

/// The least that both runtimes take. No rlimits and no oomScoreAdj: to raise the one or lower the other takes
/// CAP_SYS_RESOURCE, which a test machine may lack.
fn config(id: &str, args: &[&str]) -> Value {
    let capabilities = json!(["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "container",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            {
                "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
            },
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "resources": {},
            "namespaces": [
                { "type": "pid" },
                { "type": "mount" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "network" },
            ],
        },
    })
}
