//! A command on its stage, and what is done from outside while it runs. Knows nothing of causes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit};

use crate::ready::readable_within;

/// No death of the table takes longer, even in an emulated machine.
const LONGEST: Duration = Duration::from_secs(120);

/// Done in a thread of its own while the command runs; the descriptor becomes readable when the command has ended, so
/// that nothing is awaited in vain.
pub type Meanwhile = Box<dyn FnOnce(BorrowedFd<'_>) -> Result<()> + Send>;

/// A command, ready to be run.
pub struct Act {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Added to the environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working folder, where it matters.
    pub cwd: Option<PathBuf>,
    /// What the verdict must contain and only this run knows: paths, ports, pids.
    pub says: Vec<String>,
    /// What is done from outside.
    pub meanwhile: Option<Meanwhile>,
}

/// What a command that was run left behind.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// All it wrote to stdout.
    pub stdout: Vec<u8>,
    /// All it wrote to stderr.
    pub stderr: Vec<u8>,
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    /// It could not be executed.
    NotRun(io::Error),
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        number: i32,
        /// Whether core was dumped.
        core: bool,
    },
}

impl Act {
    /// A command without anything around it.
    pub fn new<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) -> Self {
        let argv = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        Self { argv, env: Vec::new(), cwd: None, says: Vec::new(), meanwhile: None }
    }

    /// Adds to the environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it in this folder.
    pub fn cwd(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// The verdict must contain this.
    pub fn says(mut self, said: impl fmt::Display) -> Self {
        self.says.push(said.to_string());
        self
    }

    /// Does this from outside while it runs.
    pub fn meanwhile(
        mut self,
        act: impl FnOnce(BorrowedFd<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        self.meanwhile = Some(Box::new(act));
        self
    }

    /// Runs it to its end behind `prefix` (empty, or the tracer and its options up to `--`).
    ///
    /// # Errors
    /// When what is done from outside fails, or the end does not come.
    pub fn run<S: AsRef<OsStr>>(self, prefix: &[S]) -> Result<Ran> {
        without_core_dumps();
        let mut words =
            prefix.iter().map(AsRef::as_ref).chain(self.argv.iter().map(OsString::as_os_str));
        let program = words.next().context("an act without a command")?;
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new(program);
        command.args(words).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return Ok(Ran { end: End::NotRun(error), stdout: vec![], stderr: vec![] });
            }
        };
        let (ended, running) = rustix::pipe::pipe()?;
        let (status, outside) = std::thread::scope(|scope| {
            let outside = self.meanwhile.map(|act| scope.spawn(move || act(ended.as_fd())));
            let status = wait_for(&mut child);
            drop(running);
            let outside = outside.map(|thread| thread.join().expect("an outside act panicked"));
            (status, outside)
        });
        let ran = Ran { end: status?.into(), stdout: all(&mut stdout)?, stderr: all(&mut stderr)? };
        if let Some(Err(error)) = outside {
            let words = String::from_utf8_lossy(&ran.stderr);
            return Err(error.context(format!("{:?} after it said: {words}", ran.end)));
        }
        Ok(ran)
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act")
            .field("argv", &self.argv)
            .field("env", &self.env)
            .field("cwd", &self.cwd)
            .field("says", &self.says)
            .finish_non_exhaustive()
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, number) => {
                End::Signal { number: number.unwrap_or(0), core: status.core_dumped() }
            }
        }
    }
}

fn wait_for(child: &mut Child) -> Result<ExitStatus> {
    let pid = rustix::process::Pid::from_child(child);
    let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    if !readable_within(ended.as_fd(), LONGEST)? {
        child.kill()?;
        child.wait()?;
        bail!("the command did not end within {LONGEST:?}");
    }
    Ok(child.wait()?)
}

fn all(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Core dumps are off unless a scene turns them on for itself, wherever the table is run.
fn without_core_dumps() {
    let now = rustix::process::getrlimit(Resource::Core);
    if now.current != Some(0) {
        let none = Rlimit { current: Some(0), maximum: now.maximum };
        rustix::process::setrlimit(Resource::Core, none).expect("a soft limit may be lowered");
    }
}
