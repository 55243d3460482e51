//! `tracer exec`: runs one command under the recorder, and says afterwards why it ended.

mod enter;
mod recording;
mod report;
mod watch;

pub use enter::{ENTER, enter};
pub use recording::Recording;

use std::path::PathBuf;

use anyhow::Context;

use crate::{
    capture::kernel::{Layout, Options, Programs, Rings},
    diagnose::verdict::Terms,
    linux::cgroup::{Hierarchy, OwnCgroup},
    render::Detail,
};

/// Exit code of `tracer exec` for its own failures.
pub const OWN_FAILURE: u8 = 125;

/// How the verdict is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// One command to run and watch.
#[derive(Clone, Debug)]
pub struct Job {
    pub command: Vec<std::ffi::OsString>,
    pub format: Format,
    /// Where the verdict goes; stderr for text, stdout for JSON where this is `None`.
    pub output_file: Option<PathBuf>,
    pub capture_output: bool,
    /// Of the text; JSON has every entry.
    pub detail: Detail,
    /// Whether the command may end with status 0.
    pub terms: Terms,
    /// Where to keep the raw records and facts, for the crash corpus.
    pub record: Option<PathBuf>,
}

/// Runs the command; returns the exit code that `tracer` must end with.
///
/// # Errors
/// The tracer itself failed: before the command was started, or after it ended.
pub fn run(job: &Job) -> anyhow::Result<u8> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "tracer exec needs root, to load eBPF programs and make a cgroup: try `sudo tracer exec -- ...`"
    );
    let hierarchy = Hierarchy::find()?;
    let options = Options { capture_output: job.capture_output, ..Options::default() };
    let layout = Layout::of_running_kernel(&hierarchy, options)?;
    let mut programs = Programs::attach(&layout, tracing_level())?;

    let id = random_id().context("cannot read random bytes")?;
    let root = OwnCgroup::create(&hierarchy.own()?, &format!("tracer-exec-{id}"))?;
    programs.watch_root(root.id())?;
    let life = OwnCgroup::create(root.path(), "life")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, recording, living) = runtime.block_on(async {
        let rings = Rings::take(&mut programs)?;
        watch::command(job, &life, &mut programs, rings).await
    })?;
    // First the answer: taking programs and cgroups away takes milliseconds.
    report::print(job, &id, &recording)?;
    if let Some(folder) = &job.record {
        recording.save(folder)?;
    }
    tell_of_living(&living);
    Ok(status)
}

/// Names the processes that the command left behind; they keep their cgroup.
fn tell_of_living(living: &[u32]) {
    for pid in living {
        // One that ends just now is not worth a word.
        if let Ok(comm) = std::fs::read_to_string(format!("/proc/{pid}/comm")) {
            eprintln!("tracer: still running, left alone: {}[{pid}]", comm.trim_end());
        }
    }
}

/// Level of the programs' own logs: that of this process, for `RUST_LOG=tracer=debug`.
fn tracing_level() -> Option<tracing::Level> {
    tracing::enabled!(tracing::Level::DEBUG).then_some(tracing::Level::DEBUG)
}

/// Twelve hexadecimal digits.
fn random_id() -> std::io::Result<String> {
    let mut bytes = [0u8; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(crate::linux::text::hex(&bytes, ""))
}
