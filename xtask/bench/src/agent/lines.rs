//! The agent's stdout: when the line of each crash was there, and how many lines were not. It knows nothing about who
//! died.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::node;
use crate::worker::boot_time_ns;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Lines {
    read: Mutex<Crashes>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Crashes {
    /// By the container's number: when the last byte of its line was there (CLOCK_BOOTTIME).
    read_ns: HashMap<u64, u64>,
    lines_lost: u64,
    ended: bool,
}

/// The parts of a line that are looked at here.
#[derive(Debug, Deserialize)]
struct Crash {
    crash: Id,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Gap {
    of: String,
    count: u64,
}

impl Lines {
    /// Reads to the end. Only lines of crashes are understood: events are too many.
    pub fn read(&self, stdout: impl Read) {
        let mut stdout = BufReader::with_capacity(1 << 16, stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
            let read_ns = boot_time_ns();
            if line.starts_with(b"{\"schema\"") {
                let number = serde_json::from_slice(&line)
                    .ok()
                    .and_then(|Crash { crash: Id { id } }| node::number(&id).ok());
                if let Some(number) = number {
                    self.lock().read_ns.entry(number).or_insert(read_ns);
                    self.more.notify_all();
                }
            } else if line.starts_with(b"{\"kind\":\"lost\",\"of\":\"lines\"") {
                let count = serde_json::from_slice(&line)
                    .map_or(0, |Gap { of, count }| if of == "lines" { count } else { 0 });
                self.lock().lines_lost += count;
            }
            line.clear();
        }
        self.lock().ended = true;
        self.more.notify_all();
    }

    /// When the crash of this container was read.
    pub fn wait_for(&self, number: u64, within: Duration) -> Result<u64> {
        let what = format!("a line for the crash of container {number}");
        self.wait(&what, within, |crashes| crashes.read_ns.get(&number).copied())
    }

    /// Waits until so many containers have crashed.
    pub fn wait_for_count(&self, count: usize, within: Duration) -> Result<()> {
        let what = format!("lines for {count} crashes");
        self.wait(&what, within, |crashes| (crashes.read_ns.len() >= count).then_some(()))
    }

    pub fn count(&self) -> usize {
        self.lock().read_ns.len()
    }

    /// Lines that the agent gave up since they were not read fast enough.
    pub fn lost(&self) -> u64 {
        self.lock().lines_lost
    }

    fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        look: impl Fn(&Crashes) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut crashes = self.lock();
        loop {
            if let Some(found) = look(&crashes) {
                return Ok(found);
            }
            let count = crashes.read_ns.len();
            ensure!(
                !crashes.ended,
                "the agent's stdout ended after {count} crashes, before {what}"
            );
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "not within {within:?}, after {count} crashes: {what}");
            crashes = self.more.wait_timeout(crashes, left).expect("no reader panics").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Crashes> {
        self.read.lock().expect("nobody panics while he holds the lines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_told_apart_by_their_containers() {
        let lines = Lines::default();
        let stdout = "{\"time\":\"\",\"kind\":\"exec\"}\n\
            {\"schema\":1,\"crash\":{\"id\":\"00000000002a\"}}\n\
            {\"kind\":\"lost\",\"of\":\"lines\",\"count\":5}\n";
        lines.read(stdout.as_bytes());
        assert!(lines.wait_for(42, Duration::ZERO).unwrap() > 0);
        assert_eq!((lines.count(), lines.lost()), (1, 5));
        let error = lines.wait_for(43, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("container 43"), "{error}");
    }
}
