//! Containers stopped by their runtime: `runc kill` from outside, as a kubelet's failed probe comes down to it.

use anyhow::Result;

use crate::death::Exit::{self, Code};
use crate::{Act, Bundle, Death, Need, Stage};

const RUNC: &[Need] = &[Need::Root, Need::Tool("runc")];
const KILLED: Exit = Code(137);

pub const DEATHS: &[Death] = &[
    Death::new("stopped_never_listened", "stopped_by_runtime", Code(0), never_listened)
        .says(&["SIGTERM", "runc", "TCP"])
        .needs(RUNC),
    Death::new("stopped_udp_only", "stopped_by_runtime", Code(0), udp_only)
        .says(&["SIGTERM", "runc", "9443", "UDP"])
        .needs(RUNC),
    Death::new("stopped_deadlock", "stopped_by_runtime", KILLED, deadlock)
        .says(&["SIGTERM", "SIGKILL", "runc", "futex"])
        .needs(RUNC),
    Death::new("stopped_ignoring_term", "stopped_by_runtime", KILLED, ignoring_term)
        .says(&["SIGTERM", "SIGKILL", "runc", "ignored"])
        .needs(RUNC),
    Death::new("stopped_killed_at_once", "stopped_by_runtime", KILLED, killed_at_once)
        .says(&["SIGKILL", "runc"])
        .needs(RUNC),
];

fn stopped(stage: &Stage, args: &[&str], signals: &'static [&'static str]) -> Result<Act> {
    let bundle = Bundle::new(stage, "runc", args)?;
    let (ready, kill) = (bundle.ready()?, bundle.kill());
    Ok(bundle.act()?.meanwhile(move |ended| {
        ready.wait(ended)?;
        signals.iter().try_for_each(|signal| kill.send(signal))
    }))
}

fn never_listened(stage: &Stage) -> Result<Act> {
    stopped(stage, &["/victim", "wait-handling", "/ready", "0"], &["TERM"])
}

fn udp_only(stage: &Stage) -> Result<Act> {
    stopped(stage, &["/victim", "wait-udp", "/ready", "9443"], &["TERM"])
}

// The first process of a PID namespace without a handler does not even notice SIGTERM (kernel/signal.c,
// SIGNAL_UNKILLABLE).
fn deadlock(stage: &Stage) -> Result<Act> {
    stopped(stage, &["/victim", "deadlock", "/ready"], &["TERM", "KILL"])
}

fn ignoring_term(stage: &Stage) -> Result<Act> {
    stopped(stage, &["/victim", "wait-ignoring", "/ready"], &["TERM", "KILL"])
}

fn killed_at_once(stage: &Stage) -> Result<Act> {
    stopped(stage, &["/victim", "wait-handling", "/ready", "0"], &["KILL"])
}
