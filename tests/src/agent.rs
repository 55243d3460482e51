//! `tracer run` under test: started beside a private containerd, its lines read as they come, asked by its own command
//! line and API. Knows their contract, nothing of the tracer's insides.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::cri::Containerd;
use crate::fake_api;
use crate::patience::eventually;

const READY_WITHIN: Duration = Duration::from_secs(60);
const SAID_WITHIN: Duration = Duration::from_secs(30);
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// An agent and what it remembers. Dropping it kills it; what it pinned is unloaded.
#[derive(Debug)]
pub struct Agent {
    binary: PathBuf,
    argv: Vec<OsString>,
    folder: TempDir,
    store: PathBuf,
    running: Option<Running>,
}

/// What its API answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    pub body: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    said: Arc<Said>,
    reader: JoinHandle<()>,
}

/// The lines of one run.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<Value>,
    ended: bool,
}

impl Agent {
    /// Starts `binary run` for the pods of this containerd and waits until it is ready. It watches all of them, unless
    /// `options` have a `--select` or a `--config`; of what else it is told, `options` come first.
    ///
    /// # Errors
    /// When it does not get ready; the error has what it wrote to stderr.
    pub fn start(binary: &Path, containerd: &Containerd, options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("agent-").tempdir()?;
        let at = |name: &str| folder.path().join(name).into_os_string();
        let mut argv = containerd.inside()?;
        argv.push(binary.into());
        argv.push("run".into());
        let named: [(&str, OsString); 8] = [
            ("--cgroup-root", containerd.cgroup_root().into()),
            ("--store", at("store.db")),
            ("--socket", at("agent.sock")),
            ("--pin-dir", pins(folder.path()).into()),
            ("--api-listen", "off".into()),
            ("--metrics-listen", "off".into()),
            ("--node-name", "test-node".into()),
            ("--cri-socket", containerd.socket().into()),
        ];
        let others = named.into_iter().filter(|(option, _)| !options.contains(option));
        argv.extend(others.flat_map(|(option, value)| [option.into(), value]));
        argv.extend(["--stdout".into(), "events".into()]);
        if !["--select", "--config"].iter().any(|option| options.contains(option)) {
            argv.extend(["--select".into(), OsString::new()]);
        }
        argv.extend(options.iter().map(OsString::from));
        let elsewhere = options.iter().skip_while(|option| **option != "--store").nth(1);
        let store = elsewhere.map_or_else(|| at("store.db").into(), PathBuf::from);
        let mut agent = Self { binary: binary.to_owned(), argv, folder, store, running: None };
        agent.begin()?;
        Ok(agent)
    }

    /// Starts it, with the store and pins of the run before, and waits until it is ready.
    ///
    /// # Errors
    /// When it runs, or does not get ready.
    pub fn begin(&mut self) -> Result<()> {
        self.begin_until(|agent| Ok(agent.get("/ready", "*/*").is_ok_and(|it| it.status == 200)))
    }

    /// The same, but waits only until it watches: without a container runtime it is never ready.
    ///
    /// # Errors
    /// When it runs, or does not get so far.
    pub fn begin_without_runtime(&mut self) -> Result<()> {
        self.begin_until(|agent| {
            let Ok(answer) = agent.get("/v1/health", "*/*") else { return Ok(false) };
            let health: Value = serde_json::from_str(&answer.body)?;
            // Its loop is the first to say this.
            Ok(health["recorder"]["mode"] != "")
        })
    }

    fn begin_until(&mut self, begun: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        ensure!(self.running.is_none(), "the agent runs already");
        let stderr = File::options().create(true).append(true).open(self.file("stderr"))?;
        let mut child = Command::new(&self.argv[0])
            .args(&self.argv[1..])
            .env("POD_NAMESPACE", fake_api::NAMESPACE)
            .env("POD_NAME", fake_api::POD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", self.argv[0].display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let said = Arc::new(Said::default());
        let reader = std::thread::spawn({
            let said = Arc::clone(&said);
            move || said.read(stdout)
        });
        self.running = Some(Running { child, said, reader });
        let ready = eventually("the agent's readiness", READY_WITHIN, || {
            let running = self.running.as_mut().context("the agent does not run")?;
            if let Some(status) = running.child.try_wait()? {
                bail!("the agent ended with {status}");
            }
            Ok(begun(self)?.then_some(()))
        });
        ready.with_context(|| format!("the agent said: {}", self.stderr()))
    }

    /// Waits for a line on its stdout, from the first of this run on.
    ///
    /// # Errors
    /// When none comes; the error has what it wrote to stderr.
    pub fn wait_for(&self, what: &str, wanted: impl FnMut(&Value) -> bool) -> Result<Value> {
        let said = &self.running.as_ref().context("the agent does not run")?.said;
        said.wait_for(wanted).with_context(|| format!("{what}; the agent said: {}", self.stderr()))
    }

    /// All lines of its stdout in this run, so far.
    pub fn lines(&self) -> Vec<Value> {
        self.running.as_ref().map(|running| running.said.lines().all.clone()).unwrap_or_default()
    }

    /// What `tracer crashes -A -o json` prints, a crash a line. None is no error.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub fn crashes(&self) -> Result<Vec<Value>> {
        lines_of(&self.ask("crashes", &["-A", "-o", "json"])?)
    }

    /// The same of its store, whether it runs or not.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub fn stored_crashes(&self) -> Result<Vec<Value>> {
        let options = ["-A", "-o", "json", "--limit", "9999"];
        lines_of(&self.query("crashes", "--store", &self.store, &options)?)
    }

    /// What a query verb prints. That it found nothing is no error.
    ///
    /// # Errors
    /// When it fails.
    pub fn ask(&self, verb: &str, options: &[&str]) -> Result<Vec<u8>> {
        self.query(verb, "--socket", &self.socket(), options)
    }

    fn query(&self, verb: &str, from: &str, place: &Path, options: &[&str]) -> Result<Vec<u8>> {
        const NOTHING_FOUND: i32 = 1;
        let done = Command::new(&self.binary)
            .arg(verb)
            .arg(from)
            .arg(place)
            .args(options)
            .stdin(Stdio::null())
            .output()?;
        let words = String::from_utf8_lossy(&done.stderr);
        let code = done.status.code();
        ensure!([Some(0), Some(NOTHING_FOUND)].contains(&code), "tracer {verb}: {words}");
        Ok(done.stdout)
    }

    /// One request to its API, for an answer in this form.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str, accept: &str) -> Result<Answer> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(SAID_WITHIN))?;
        let host = "Host: localhost\r\nConnection: close";
        write!(stream, "GET {path} HTTP/1.1\r\n{host}\r\nAccept: {accept}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Answer { status: status.context("no HTTP status")?, body: body.to_owned() })
    }

    /// The value of one of its metrics; 0 where it has not counted that yet.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let metrics = self.get("/metrics", "*/*")?.body;
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        Ok(metrics.lines().find_map(of).unwrap_or(0.0))
    }

    /// The program that it runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The store's file.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The folder of its pins.
    pub fn pins(&self) -> PathBuf {
        pins(self.folder.path())
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.file("agent.sock")
    }

    /// The process that was started, which on a node is its stand-in.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_child(&self.running.as_ref().context("the agent does not run")?.child))
    }

    /// All that it wrote to stderr, in all its runs.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.file("stderr")).unwrap_or_default()
    }

    /// Ends it by SIGTERM; gives how it ended and all lines of this run.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<(ExitStatus, Vec<Value>)> {
        self.end(Signal::TERM)
    }

    /// Ends it by SIGKILL; gives all lines of this run.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> Result<Vec<Value>> {
        Ok(self.end(Signal::KILL)?.1)
    }

    fn end(&mut self, signal: Signal) -> Result<(ExitStatus, Vec<Value>)> {
        let mut running = self.running.take().context("the agent does not run")?;
        kill_process(Pid::from_child(&running.child), signal)?;
        let status =
            eventually("the agent's end", ENDED_WITHIN, || Ok(running.child.try_wait()?));
        if status.is_err() {
            running.child.kill()?;
            running.child.wait()?;
        }
        running.reader.join().expect("the reader of stdout does not panic");
        let lines = std::mem::take(&mut running.said.lines().all);
        Ok((status.with_context(|| self.stderr())?, lines))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.running.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("the agent could not be killed: {error:#}");
        }
        let pins = pins(self.folder.path());
        if pins.exists() {
            let unload =
                Command::new(&self.binary).arg("unload").arg("--pin-dir").arg(&pins).status();
            if !unload.is_ok_and(|status| status.success()) {
                // Unpinned, the kernel unloads them by itself.
                let _gone = fs::remove_dir_all(&pins);
            }
        }
    }
}

impl Said {
    fn read(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            let value = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line));
            self.lines().all.push(value);
            self.more.notify_all();
        }
        self.lines().ended = true;
        self.more.notify_all();
    }

    fn wait_for(&self, mut wanted: impl FnMut(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + SAID_WITHIN;
        let (mut lines, mut seen) = (self.lines(), 0);
        loop {
            if let Some(line) = lines.all[seen..].iter().find(|line| wanted(line)) {
                return Ok(line.clone());
            }
            seen = lines.all.len();
            ensure!(!lines.ended, "its stdout ended after {seen} lines without it");
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "not among {seen} lines within {SAID_WITHIN:?}");
            lines = self.more.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("nobody panics while he holds the lines")
    }
}

/// In bpffs, named as the agent's folder.
fn pins(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default();
    Path::new("/sys/fs/bpf").join(name)
}

/// JSON values, one a line.
fn lines_of(printed: &[u8]) -> Result<Vec<Value>> {
    serde_json::Deserializer::from_slice(printed)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(printed)))
}
