//! Deaths by a signal of somebody who is no container runtime: this very process, from outside, or the kernel for a write.

use anyhow::Result;
use rustix::process::{Signal, kill_process};

use crate::death::Exit::{self, Code};
use crate::{Act, Death, Stage};

pub const DEATHS: &[Death] = &[
    Death::new("killed_from_outside", "killed_by_signal", Exit::Signal("SIGKILL"), killed)
        .proven()
        .says(&["SIGKILL"]),
    Death::new("term_without_handler", "killed_by_signal", Exit::Signal("SIGTERM"), term)
        .proven()
        .says(&["SIGTERM"]),
    Death::new("term_handled", "killed_by_signal", Code(143), term_handled)
        .says(&["SIGTERM", "handled"]),
    Death::new("term_handled_cleanly", "killed_by_signal", Code(0), term_handled_cleanly)
        .says(&["SIGTERM", "handled"]),
    Death::new(
        "term_ignored_then_kill",
        "killed_by_signal",
        Exit::Signal("SIGKILL"),
        term_then_kill,
    )
    .proven()
    .says(&["SIGTERM", "SIGKILL", "ignored"]),
    Death::new("reader_gone", "broken_pipe", Exit::Signal("SIGPIPE"), reader_gone)
        .proven()
        .says(&["SIGPIPE"]),
    Death::new("reader_gone_with_sigpipe_ignored", "broken_pipe", Code(1), reader_gone_ignored)
        .proven()
        .says(&["EPIPE"]),
    Death::new("file_size_used_up", "file_size_limit", Exit::Signal("SIGXFSZ"), file_size)
        .proven()
        .says(&["SIGXFSZ", "RLIMIT_FSIZE"]),
];

fn signalled(stage: &Stage, words: &[&str], signals: &'static [Signal]) -> Result<Act> {
    let ready = stage.ready("ready")?;
    let (victim, fifo) = (stage.path("victim"), ready.path().to_string_lossy().into_owned());
    let argv = [victim.as_str(), words[0], &fifo];
    let act = Act::new(argv.iter().chain(&words[1..]));
    // The verdict names the sender; its pid is this process's.
    Ok(act.says(std::process::id()).meanwhile(move |ended| {
        let said = ready.wait(ended)?;
        signals.iter().try_for_each(|signal| Ok(kill_process(said.pid, *signal)?))
    }))
}

fn killed(stage: &Stage) -> Result<Act> {
    signalled(stage, &["wait"], &[Signal::KILL])
}

fn term(stage: &Stage) -> Result<Act> {
    signalled(stage, &["wait"], &[Signal::TERM])
}

fn term_handled(stage: &Stage) -> Result<Act> {
    signalled(stage, &["wait-handling", "143"], &[Signal::TERM])
}

fn term_handled_cleanly(stage: &Stage) -> Result<Act> {
    signalled(stage, &["wait-handling", "0"], &[Signal::TERM])
}

fn term_then_kill(stage: &Stage) -> Result<Act> {
    signalled(stage, &["wait-ignoring"], &[Signal::TERM, Signal::KILL])
}

fn reader_gone(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "write-closed"]))
}

fn reader_gone_ignored(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "write-closed", "ignore"]))
}

fn file_size(stage: &Stage) -> Result<Act> {
    let (victim, path) = (stage.path("victim"), stage.path("gateway.log"));
    Ok(Act::new([&victim, "with", "fsize=8192", "--", &victim, "fill", &path]))
}
