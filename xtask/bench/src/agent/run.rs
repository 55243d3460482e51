//! `tracer run` as a child process: started with a store and sockets of its own, its lines read as they come, its metrics
//! asked for. It knows nothing about what is measured.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::tests::patience::eventually;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::lines::Lines;
use super::node::Node;
use super::runtime::FakeRuntime;
use crate::openmetrics::Metrics;

const READY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(30);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// An agent with default settings but for where things are. Killed when dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    lines: Arc<Lines>,
    reader: Option<JoinHandle<()>>,
    folder: TempDir,
    /// From its start until it said that it is ready.
    pub started_in: Duration,
    _runtime: FakeRuntime,
}

impl Agent {
    /// Returns once it is ready.
    pub fn start(tracer: &Path, node: &Node, options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tracer-bench-").tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let runtime = FakeRuntime::start(&at("cri.sock"))?;
        let stderr = File::create(at("stderr")).context("cannot keep the agent's stderr")?;
        let began = Instant::now();
        let mut child = Command::new(tracer)
            .arg("run")
            .arg("--cgroup-root")
            .arg(node.watched())
            .arg("--cri-socket")
            .arg(at("cri.sock"))
            .arg("--store")
            .arg(at("store.db"))
            .arg("--socket")
            .arg(at("agent.sock"))
            .arg("--pin-dir")
            .arg(at("pins"))
            .args(["--api-listen", "off", "--metrics-listen", "off", "--node-name", "bench"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("cannot run the tracer")?;
        let stdout = child.stdout.take().context("the agent has no stdout")?;
        let lines = Arc::new(Lines::default());
        let reader = std::thread::spawn({
            let lines = lines.clone();
            move || lines.read(stdout)
        });
        let mut agent = Self {
            child,
            lines,
            reader: Some(reader),
            folder,
            started_in: Duration::ZERO,
            _runtime: runtime,
        };
        agent.become_ready()?;
        agent.started_in = began.elapsed();
        Ok(agent)
    }

    fn become_ready(&mut self) -> Result<()> {
        let socket = self.socket();
        let ready = eventually("the agent's readiness", READY_WITHIN, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended with {status}");
            }
            Ok(get(&socket, "/ready").is_ok_and(|(status, _)| status == 200).then_some(()))
        });
        ready.with_context(|| self.words())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The crashes that it told of.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    pub fn metrics(&self) -> Result<Metrics> {
        let (status, text) = get(&self.socket(), "/metrics").with_context(|| self.words())?;
        ensure!(status == 200, "the agent answers {status} when it is asked for its metrics");
        Ok(Metrics::of(text))
    }

    /// Waits until its metrics are as wanted.
    pub fn wait_until(
        &self,
        what: &str,
        within: Duration,
        is: impl Fn(&Metrics) -> bool,
    ) -> Result<Metrics> {
        let found = eventually(what, within, || {
            let metrics = self.metrics()?;
            Ok(is(&metrics).then_some(metrics))
        });
        found.with_context(|| self.words())
    }

    /// Ends it by SIGTERM.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = eventually("the agent's end", ENDED_WITHIN, || Ok(self.child.try_wait()?))
            .with_context(|| self.words())?;
        ensure!(status.success(), "the agent ended with {status}: {}", self.words());
        Ok(())
    }

    /// What it wrote to stderr, the last of it.
    pub fn words(&self) -> String {
        let words = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        let lines: Vec<&str> = words.lines().collect();
        format!("the agent said: {}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Status and body of one HTTP request.
fn get(socket: &Path, path: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    // HTTP/1.0: the answer is not in chunks, and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("no HTTP answer: {head}"))?, body.to_owned()))
}
