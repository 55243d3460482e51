//! `gateway run`, from its first step to its last. What each step does is not known here.

use std::process::ExitCode;

use tracing::info;

use super::{Failure, Gateway, descriptors, exit, log, signals::Signals, wrong_usage};
use crate::config::Options;

/// Runs the gateway until it is asked to stop, or a part of it fails; returns its exit code.
pub fn run(options: Options) -> ExitCode {
    if let Err(why) = log::begin(&options) {
        return wrong_usage(&why);
    }
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    info!(version, pid, "the gateway starts");
    match live(options) {
        Ok(how) => exit::stopped(how),
        Err(failure) => ExitCode::from(failure.log()),
    }
}

fn live(options: Options) -> Result<&'static str, Failure> {
    let mut settings = options.settings()?;
    settings.most_connections = descriptors::make_room(settings.most_connections)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        // From here on no signal is lost.
        let mut signals = Signals::listen()?;
        let mut gateway = Gateway::start(settings).await?;
        let signal = signals.until_stop(&mut gateway).await?;
        info!(signal, "stopping");
        tokio::select! {
            all_left = gateway.drain() => Ok(match all_left {
                true => "it was asked to stop, and every client has left",
                false => "it was asked to stop, and the grace period is over",
            }),
            _ = signals.stop() => Ok("it was asked to stop twice, and does not wait for clients"),
        }
    })
}
