//! Deaths by a signal of somebody who is no container runtime: here this very process, from outside.

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
