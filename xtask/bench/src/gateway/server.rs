//! A server that runs as long as it is measured. It knows nothing about any protocol.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use xtask::means::exec;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it and waits until it logs a line to stderr that has `ready` in it; returns that line too. What it logs after
    /// it is not kept.
    pub fn start(command: &mut Command, ready: &'static str) -> Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", exec::line(command)))?;
        let log = child.stderr.take().context("a server has no stderr")?;
        let (tell, told) = sync_channel(1);
        let log = std::thread::spawn(move || follow(BufReader::new(log), ready, &tell));
        let server = Self { child, log: Some(log) };
        match told.recv_timeout(START) {
            Ok(Ok(line)) => Ok((server, line)),
            Ok(Err(log)) => bail!("`{}` ended before it was ready:\n{log}", exec::line(command)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("`{}` is not ready after {START:?}", exec::line(command))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

/// Tells the line that was waited for, or the whole log if it ended before.
fn follow(
    log: BufReader<impl std::io::Read>,
    ready: &str,
    tell: &SyncSender<Result<String, String>>,
) {
    let mut lines = log.lines().map_while(Result::ok);
    let mut before = String::new();
    let told = loop {
        match lines.next() {
            Some(line) if line.contains(ready) => break Ok(line),
            Some(line) => before = before + &line + "\n",
            None => break Err(before),
        }
    };
    // Nobody waits for a start that took too long.
    let _ = tell.send(told);
    lines.for_each(drop);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_server_is_there_once_it_says_so() {
        let script = "echo start >&2; echo 'listens at 7' >&2; exec sleep 60";
        let (server, line) = Server::start(&mut shell(script), "listens").unwrap();
        assert_eq!(line, "listens at 7");
        drop(server);
    }

    #[test]
    fn a_server_that_ends_too_early_shows_its_log() {
        let error = Server::start(&mut shell("echo 'no port' >&2"), "ready").unwrap_err();
        assert!(error.to_string().ends_with("ended before it was ready:\nno port\n"), "{error}");
    }
}
