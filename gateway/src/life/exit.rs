//! Each way in which the gateway ends, with its last log line and its exit code. docs/gateway.md has the table.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use thiserror::Error;
use tracing::{error, info};

use super::{Gateway, descriptors, log, signals};
use crate::{
    config::{ConfigError, Options},
    door::{bind::BindError, keys::NoRandom, tls::CertificateError},
};

/// The exit code for wrong usage; clap uses the same.
pub const USAGE: u8 = 2;
/// The exit code after a panic; Rust's runtime uses the same.
pub const PANIC: u8 = 101;

/// Why the gateway ends without being asked.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("{0}")]
    Runtime(String),
}

impl From<NoRandom> for Failure {
    fn from(error: NoRandom) -> Self {
        Self::Runtime(error.to_string())
    }
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(_) => USAGE,
            Self::Certificate(_) => 3,
            Self::Bind(_) => 4,
            Self::Runtime(_) => 5,
        }
    }

    /// Logs the last line; returns the exit code.
    pub(super) fn log(&self) -> u8 {
        let code = self.code();
        error!(exit_code = code, "the gateway ends: {self}");
        code
    }
}

/// Writes the last line where there is no log yet, as the command line or a variable is wrong.
pub fn wrong_usage(why: &str) -> ExitCode {
    // Where stderr cannot be written the exit code remains.
    let _ = writeln!(io::stderr(), "the gateway ends: {why} exit_code={USAGE}");
    ExitCode::from(USAGE)
}

/// `gateway run`, from the first line of its log to the last.
pub fn run(options: Options) -> ExitCode {
    if let Err(why) = log::begin(&options) {
        return wrong_usage(&why);
    }
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    info!(version, pid, "the gateway starts");
    match live(options) {
        Ok(how) => {
            info!(exit_code = 0, "the gateway ends: {how}");
            ExitCode::SUCCESS
        }
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
        let mut signals = signals::Signals::listen()?;
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
