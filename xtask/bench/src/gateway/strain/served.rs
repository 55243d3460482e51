//! The release gateway as a process of its own: self-signed, on ports that the kernel chooses, with production settings but
//! for limits that are stated. It knows no measurement.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ::tests::patience::eventually;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::NamedTempFile;

use super::load::Over;
use crate::openmetrics::Metrics;
use crate::process::{self, Memory};

/// All handshakes of a measurement come from one address, as fast as they can.
pub const LIMITS: &str = "--handshakes 1000000 --handshakes-per-prefix 1000000";

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longer than its grace.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A gateway that is ready. Killed when dropped.
#[derive(Debug)]
pub struct Served {
    child: Child,
    log: NamedTempFile,
    at: Addresses,
}

/// Where it is reached, as it says itself.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Addresses {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    health: SocketAddr,
}

impl Addresses {
    pub fn of(self, over: Over) -> SocketAddr {
        match over {
            Over::Quic => self.udp,
            Over::Tcp => self.tcp,
        }
    }
}

impl Served {
    /// Returns once it is ready.
    pub fn start(gateway: &Path) -> Result<Self> {
        let log = NamedTempFile::new().context("cannot keep the gateway's log")?;
        let stderr = File::create(log.path()).context("cannot keep the gateway's log")?;
        let mut child = Command::new(gateway)
            .args(["run", "--self-signed", "--address", "127.0.0.1", "--port", "0"])
            .args(["--health-port", "0", "--log-format", "json"])
            .args(LIMITS.split(' '))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .context("cannot run the gateway")?;
        let ready = eventually("the gateway's readiness", READY_WITHIN, || {
            let log = fs::read_to_string(log.path())?;
            match child.try_wait()? {
                Some(status) => bail!("the gateway ended with {status}: {log}"),
                None => Ok(ready(&log)),
            }
        });
        match ready {
            Ok(at) => Ok(Self { child, log, at }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn at(&self) -> Addresses {
        self.at
    }

    pub fn memory(&self) -> Result<Memory> {
        process::memory(self.pid())
    }

    pub fn metrics(&self) -> Result<Metrics> {
        let mut stream = TcpStream::connect(self.at.health)?;
        stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
        // HTTP/1.0: the answer is not in chunks, and ends with the connection.
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        Ok(Metrics::of(body.to_owned()))
    }

    /// Ends it by SIGTERM; returns how it ended, and how long that took.
    pub fn stop(mut self) -> Result<(ExitStatus, Duration)> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        let status = eventually("the gateway's end", ENDED_WITHIN, || Ok(self.child.try_wait()?));
        Ok((status.with_context(|| self.words())?, began.elapsed()))
    }

    /// The last lines of its log.
    pub fn words(&self) -> String {
        let log = fs::read_to_string(self.log.path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("the gateway said: {}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the line that says `ready` says.
fn ready(log: &str) -> Option<Addresses> {
    #[derive(Deserialize)]
    struct Line {
        message: String,
        #[serde(flatten)]
        rest: serde_json::Value,
    }
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let ready = lines.into_iter().find(|line| line.message == "ready")?;
    serde_json::from_value(ready.rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_line_that_says_ready() {
        let log = "{\"message\":\"binding\",\"address\":\"127.0.0.1:0\"}\n\
            {\"message\":\"ready\",\"udp\":\"127.0.0.1:1\",\"tcp\":\"127.0.0.1:2\",\"health\":\"127.0.0.1:3\"}\n";
        assert_eq!(ready(log).unwrap().tcp, "127.0.0.1:2".parse().unwrap());
        assert!(ready("half a line").is_none());
    }
}
