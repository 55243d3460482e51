//! Logs on stderr, and a line for a panic, wherever it happens.

use std::panic;

use tracing::error;
use tracing_subscriber::EnvFilter;

use super::PANIC;
use crate::config::{LogFormat, Options};

/// # Errors
/// The filter is none.
pub fn begin(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| format!("--log {:?} is no filter: {error}", options.log))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => logs.with_ansi(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    // What was half done when a thread panicked may be wrong in any way: a new process is right.
    panic::set_hook(Box::new(|what| {
        error!(exit_code = PANIC, "the gateway ends: a bug: {what}");
        std::process::exit(PANIC.into());
    }));
    Ok(())
}
