//! Each way in which the gateway ends, with its last log line and its exit code. docs/gateway.md has the table.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use thiserror::Error;
use tracing::{error, info};

use crate::{
    config::ConfigError,
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

/// Logs the last line of a gateway that was asked to stop.
pub(super) fn stopped(how: &str) -> ExitCode {
    info!(exit_code = 0, "the gateway ends: {how}");
    ExitCode::SUCCESS
}
