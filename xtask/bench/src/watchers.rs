//! What watches the worker: the empty program, the tracer, bpftrace, strace. Each is started and
//! ended here. It knows nothing about what is measured meanwhile.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use xtask::means::exec;

/// The process that holds the empty program (`bin/bench-floor.rs`).
#[derive(Debug)]
pub struct Floor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Floor {
    /// Starts it by this command.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", exec::line(command)))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("bench-floor has no stdout")?);
        Ok(Self { child, orders, answers })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Attaches the empty program to `sys_exit`.
    pub fn attach(&mut self) -> Result<()> {
        self.order("attach")
    }

    pub fn detach(&mut self) -> Result<()> {
        self.order("detach")
    }

    /// Lets the kernel count the run times of all eBPF programs; each run costs more meanwhile.
    pub fn count(&mut self) -> Result<()> {
        self.order("count")
    }

    pub fn stop_counting(&mut self) -> Result<()> {
        self.order("stop")
    }

    fn order(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("bench-floor takes no orders")?;
        writeln!(orders, "{order}").context("bench-floor has gone")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("cannot read from bench-floor")?;
        ensure!(line.trim() == "done", "bench-floor cannot {order}: its message is above");
        Ok(())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// The tracer, and what the command under it is started through.
#[derive(Debug, Clone)]
pub struct Tracer {
    pub program: PathBuf,
}

impl Tracer {
    /// `tracer exec`, with the crash object into a file, so that the worker keeps its stdout.
    pub fn through(&self, crash: &Path) -> Vec<OsString> {
        let mut arguments = vec![self.program.clone().into_os_string()];
        arguments.extend(["exec", "-o", "json", "--output-file"].map(OsString::from));
        arguments.push(crash.into());
        arguments.push("--".into());
        arguments
    }
}

/// `strace -f`, its output thrown away: what it costs to write that is not counted.
pub fn strace() -> Vec<OsString> {
    ["strace", "-f", "-o", "/dev/null"].map(OsString::from).to_vec()
}

/// bpftrace with a script of the same hooks, ended when this is dropped.
#[derive(Debug)]
pub struct Bpftrace {
    child: Child,
    output: Option<JoinHandle<()>>,
}

impl Bpftrace {
    /// Returns once its probes are attached and it follows the process.
    pub fn follow(pid: u32) -> Result<Self> {
        let mut command = Command::new("bpftrace");
        command
            .args(["-o", "/dev/null", "-e", include_str!("same-hooks.bt")])
            .arg(pid.to_string())
            // bpftrace's own tests wait for this line.
            .env("__BPFTRACE_NOTIFY_PROBES_ATTACHED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run bpftrace")?;
        let mut lines =
            BufReader::new(child.stderr.take().context("bpftrace has no stderr")?).lines();
        let mut said = String::new();
        let attached = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push_str(&line);
            said.push('\n');
            line.ends_with("PROBES_ATTACHED")
        });
        let output = Some(std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop)));
        let started = Self { child, output };
        ensure!(attached, "bpftrace cannot run xtask/bench/src/same-hooks.bt: {said}");
        Ok(started)
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
    }
}
