//! The table of pods that crash: the silent crash's causes, each as a container that a kubelet would start again and
//! again. It knows what must be said of each, not how the tracer finds out.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cri::{ContainerSpec, Containerd, Ended, Pod, PodSpec};

const MIB: u64 = 1 << 20;

/// A pod whose container dies.
#[derive(Debug, Clone, Copy)]
pub struct PodDeath {
    /// The pod's name; its container is `gateway`.
    pub name: &'static str,
    /// The cause that the verdict must name.
    pub cause: &'static str,
    /// What the verdict must contain.
    pub says: &'static [&'static str],
    /// The exit code that the runtime tells.
    pub exit_code: i32,
    pod: fn(PodSpec) -> PodSpec,
    container: fn(ContainerSpec) -> ContainerSpec,
    command: &'static [&'static str],
    beside: &'static [&'static str],
    stopped_after_seconds: Option<u32>,
}

/// The container that dies.
pub const CONTAINER: &str = "gateway";

/// One that a death may need beside it; it lives on.
pub const BESIDE: &str = "holder";

/// All of them.
pub const DEATHS: &[PodDeath] = &[
    PodDeath::new("bind-taken", "bind_address_in_use", 1)
        .command(&["/victim", "bind", "udp4", "0.0.0.0", "9443"])
        .beside(&["/victim", "wait-udp", "/pod/beside", "9443"])
        .says(&["UDP", "9443", "EADDRINUSE"]),
    PodDeath::new("key-unreadable", "permission_denied", 1)
        .command(&["/victim", "open", "/etc/key.pem"])
        .container(|container| container.user(1000))
        .says(&["/etc/key.pem", "EACCES", "1000"]),
    PodDeath::new("certificate-missing", "file_not_found", 1)
        .command(&["/victim", "open", "/etc/macula/cert.pem"])
        .says(&["/etc/macula/cert.pem"]),
    PodDeath::new("oom-silent", "oom_killed", 137)
        .command(&["/victim", "eat"])
        .container(|container| container.memory_bytes(32 * MIB))
        .says(&["32 MiB"]),
    PodDeath::new("oom-pod-full", "oom_killed", 137)
        .command(&["/victim", "eat"])
        .pod(|pod| pod.memory_bytes(32 * MIB))
        .says(&["32 MiB", "pod"]),
    PodDeath::new("pids-full", "pid_limit", 1)
        .command(&["/victim", "processes"])
        .pod(|pod| pod.pids(30)),
    PodDeath::new("stopped-ignoring-term", "stopped_by_runtime", 137)
        .command(&["/victim", "wait-ignoring", "/pod/ready"])
        .stopped_after_seconds(1)
        .says(&["SIGTERM", "SIGKILL", "ignored"]),
    PodDeath::new("stopped-cleanly", "stopped_by_runtime", 0)
        .command(&["/victim", "wait-handling", "/pod/ready", "0"])
        .stopped_after_seconds(30)
        .says(&["SIGTERM"]),
    PodDeath::new("entrypoint-missing", "exec_not_found", 128)
        .command(&["/opt/server", "--port", "9443"])
        .says(&["/opt/server"]),
    PodDeath::new("entrypoint-without-x-bit", "exec_permission_denied", 128)
        .command(&["/start.sh"])
        .says(&["/start.sh"]),
    PodDeath::new("entrypoint-crlf", "exec_interpreter_missing", 1)
        .command(&["/crlf.sh"])
        .says(&["/crlf.sh", "CRLF"]),
    PodDeath::new("entrypoint-without-loader", "exec_interpreter_missing", 1)
        .command(&["/loader_gone"])
        .says(&["/loader_gone", "/lib/ld-musl-nowhere.so.1"]),
    PodDeath::new("entrypoint-of-another-machine", "exec_format_error", 1)
        .command(&["/foreign"])
        .says(&["/foreign"]),
    PodDeath::new("segfault", "segfault", 139).command(&["/victim", "segfault", "0"]),
    PodDeath::new("exits-0", "exited_by_itself", 0).command(&["/victim", "exit", "0"]),
    PodDeath::new("exits-3-silently", "exited_with_error", 3).command(&["/victim", "exit", "3"]),
    PodDeath::new("connection-refused", "connection_refused", 1)
        .command(&["/victim", "connect", "127.0.0.1", "5432"])
        .says(&["127.0.0.1", "5432"]),
];

impl PodDeath {
    const fn new(name: &'static str, cause: &'static str, exit_code: i32) -> Self {
        Self {
            name,
            cause,
            says: &[],
            exit_code,
            pod: |pod| pod,
            container: |container| container,
            command: &[],
            beside: &[],
            stopped_after_seconds: None,
        }
    }

    const fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    const fn command(self, command: &'static [&'static str]) -> Self {
        Self { command, ..self }
    }

    /// Runs this in a container of the same pod, before: it gets ready by the FIFO `/pod/beside`.
    const fn beside(self, beside: &'static [&'static str]) -> Self {
        Self { beside, ..self }
    }

    const fn pod(self, pod: fn(PodSpec) -> PodSpec) -> Self {
        Self { pod, ..self }
    }

    const fn container(self, container: fn(ContainerSpec) -> ContainerSpec) -> Self {
        Self { container, ..self }
    }

    /// It is stopped with this grace once it is ready, by the FIFO `/pod/ready`.
    const fn stopped_after_seconds(self, grace: u32) -> Self {
        Self { stopped_after_seconds: Some(grace), ..self }
    }

    /// Runs the pod of this name under `runc` or `crun` and lets its container die `restarts + 1` times. The pod is gone
    /// afterwards.
    ///
    /// # Errors
    /// When something cannot be run, or ends in another way than the table says.
    pub fn play_under(
        &self,
        containerd: &Containerd,
        runtime: &str,
        namespace: &str,
        restarts: u32,
    ) -> Result<Vec<Ended>> {
        let spec = PodSpec::new(namespace, self.name).label("app", "macula-gateway").under(runtime);
        let pod = Pod::run(containerd, (self.pod)(spec))?;
        if !self.beside.is_empty() {
            let ready = pod.ready("beside")?;
            pod.start(&ContainerSpec::new(BESIDE, self.beside), 0)?;
            ready.wait_alone()?;
        }
        let container = (self.container)(ContainerSpec::new(CONTAINER, self.command));
        let ends = pod.crash_loop(restarts, |attempt| {
            let Some(grace) = self.stopped_after_seconds else {
                return pod.start(&container, attempt);
            };
            let ready = pod.ready("ready")?;
            let fifo = ready.path().to_path_buf();
            let started = pod.start(&container, attempt)?;
            ready.wait_alone()?;
            fs::remove_file(fifo)?;
            pod.stop(&started.id, grace)?;
            Ok(started)
        })?;
        for end in &ends {
            let code = end.status.exit_code;
            let words = pod.log(CONTAINER, end.started.attempt).unwrap_or_default();
            ensure!(
                code == self.exit_code,
                "attempt {} ended with {code} ({}: {}), expected {}; it said {words:?}",
                end.started.attempt,
                end.status.reason,
                end.status.message,
                self.exit_code
            );
        }
        Ok(ends)
    }
}

/// Runs `count` pods at once, `pod-0` and so on, each with one container that exits with 3 after a few milliseconds.
/// Gives them with their containers' ids, dead, as a kubelet leaves them for a while.
///
/// # Errors
/// When one of them cannot be run.
pub fn many<'c>(
    containerd: &'c Containerd,
    namespace: &str,
    count: usize,
) -> Result<Vec<(Pod<'c>, String)>> {
    let live = |index: usize| -> Result<(Pod<'c>, String)> {
        let spec = PodSpec::new(namespace, &format!("pod-{index}"));
        let pod = Pod::run(containerd, spec.label("app", "macula-gateway"))?;
        let started = pod.start(&ContainerSpec::new(CONTAINER, &["/victim", "exit", "3"]), 0)?;
        ensure!(pod.end_of(&started.id)?.exit_code == 3, "it ended otherwise");
        Ok((pod, started.id))
    };
    let live = &live;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|index| scope.spawn(move || live(index))).collect();
        let ended = all.into_iter().enumerate().map(|(index, thread)| {
            let lived = thread.join().expect("a pod's thread does not panic");
            lived.with_context(|| format!("pod-{index}"))
        });
        ended.collect()
    })
}
