//! Sets up the log on stderr, and a last line for a panic of any thread.

use std::panic;

use tracing::error;
use tracing_subscriber::EnvFilter;

use super::{Failure, PANIC};
use crate::config::{LogFormat, Options};

/// The text with which tokio panics where the kernel refuses it a thread (runtime/blocking/pool.rs), which is no bug.
const NO_THREAD: &str = "OS can't spawn worker thread: ";

/// # Errors
/// `--log` is not a filter.
pub fn begin(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| format!("--log {:?} is no filter: {error}", options.log))?;
    // Where stderr cannot be written, as when its reader is gone, an error about that would panic.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match options.log_format {
        LogFormat::Text => logs.with_ansi(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    // A panic may leave any state half changed, so the process ends: a new one is right.
    panic::set_hook(Box::new(|what| {
        let refused = what.payload_as_str().and_then(|text| text.strip_prefix(NO_THREAD));
        let code = match refused {
            Some(why) => Failure::Runtime(format!(
                "no thread can be started: {why}: raise the limit of processes (pids.max, ulimit -u) or of memory \
                 (memory.max, ulimit -v)"
            ))
            .log(),
            None => {
                let what = what.to_string().replace('\n', " ");
                error!(exit_code = PANIC, "the gateway ends: a bug: {what}");
                PANIC
            }
        };
        std::process::exit(code.into());
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command, thread};

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    const CHILD: &str = "GATEWAY_TEST_PANICS";

    #[test]
    fn a_panic_of_any_thread_ends_the_process_with_a_line_and_a_code_of_its_own() {
        if env::var_os(CHILD).is_some() {
            begin(&Line::parse_from(["gateway"]).options).unwrap();
            let _ = thread::spawn(|| panic!("it broke")).join();
            return;
        }
        let name = thread::current().name().unwrap().to_owned();
        let mut child = Command::new(env::current_exe().unwrap());
        let ended = child.args([&name, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert_eq!(ended.status.code(), Some(PANIC.into()));
        let log = String::from_utf8(ended.stderr).unwrap();
        assert!(log.contains("the gateway ends: a bug") && log.contains("it broke"), "{log}");
    }
}
