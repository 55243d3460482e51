//! What the tracer keeps and costs when a tracked process does its worst: a million failing calls a
//! second, or forks without end. It knows nothing about targets.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::calls::Bench;
use super::process;
use super::worker::Worker;

/// Failing calls a second that the flood aims at.
const FLOOD_RATE: u64 = 1_000_000;

/// What the worker says that it did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Failing calls a second; 0 in a storm.
    pub calls_per_second: f64,
    /// Processes that ended, as their parent counted them.
    pub ended: u64,
}

impl Work {
    /// From its answer to an order.
    pub fn of(numbers: &[u64]) -> Result<Self> {
        match *numbers {
            [ended] => Ok(Self { calls_per_second: 0.0, ended }),
            [calls, took_ns, ended] => {
                Ok(Self { calls_per_second: calls as f64 / (took_ns as f64 / 1e9), ended })
            }
            _ => bail!("the worker says {numbers:?}"),
        }
    }
}

/// One thread fails calls, another starts children that die.
pub fn flood(seconds: u64) -> String {
    format!("flood {seconds} {FLOOD_RATE}")
}

/// Children that end at once, as many as the machine can start.
pub fn storm(seconds: u64) -> String {
    format!("storm {seconds}")
}

/// What the worker did and what the tracer tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    pub work: Work,
    /// Their ends in the crash object's timeline.
    pub told: u64,
    /// Ends that the crash object reports as lost.
    pub lost: u64,
    /// All that the crash object reports as lost.
    pub all_lost: u64,
    /// The tracer's CPU time meanwhile, percent of one CPU.
    pub cpu_percent: f64,
    /// The tracer's largest resident size, bytes.
    pub memory: u64,
    pub seconds: u64,
}

impl Pressure {
    /// Lets the worker obey an order under `tracer exec`.
    pub fn measure(bench: &Bench, seconds: u64, order: &str) -> Result<Self> {
        let crash = bench.scratch.join("pressure.json");
        let mut worker = Worker::start(&bench.worker, None, &bench.tracer.through(&crash))?;
        let tracer = worker.outer_pid();
        let (began, cpu_before) = (Instant::now(), process::cpu_time_ns(tracer)?);
        let numbers = worker.order(order)?;
        let cpu = process::cpu_time_ns(tracer)? - cpu_before;
        let took = began.elapsed();
        let memory = process::memory(tracer)?.most;
        let main = worker.pid;
        worker.end()?;
        let told = Told::read(&crash)?;
        Ok(Self {
            work: Work::of(&numbers)?,
            told: told.ends(main),
            lost: told.lost_ends(),
            all_lost: told.lost,
            cpu_percent: cpu as f64 / took.as_nanos() as f64 * 100.0,
            memory,
            seconds,
        })
    }

    /// Ends that are neither told nor reported as lost.
    pub fn unaccounted(&self) -> u64 {
        self.work.ended.saturating_sub(self.told + self.lost)
    }
}

/// The parts of a crash object that are counted here.
#[derive(Debug, Deserialize)]
struct Told {
    lost: u64,
    timeline: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    kind: String,
    process: Process,
    of: Option<String>,
    count: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Process {
    pid: u32,
}

impl Told {
    fn read(crash: &Path) -> Result<Self> {
        let file = File::open(crash).context("the tracer wrote no crash object")?;
        serde_json::from_reader(BufReader::new(file)).context("cannot understand the crash object")
    }

    /// Ends of processes other than the main one.
    fn ends(&self, main: u32) -> u64 {
        let ends =
            self.timeline.iter().filter(|entry| entry.kind == "exit" && entry.process.pid != main);
        ends.count() as u64
    }

    /// Ends that found no room, with those of processes that were never tracked.
    fn lost_ends(&self) -> u64 {
        let lost = self.timeline.iter().filter(|entry| {
            entry.kind == "lost" && matches!(entry.of.as_deref(), Some("exit" | "process"))
        });
        lost.filter_map(|entry| entry.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_and_a_storm_are_understood() {
        let flood = Work::of(&[4_000_000, 2_000_000_000, 7]).unwrap();
        assert_eq!(flood, Work { calls_per_second: 2e6, ended: 7 });
        assert_eq!(Work::of(&[9]).unwrap().ended, 9);
        assert!(Work::of(&[1, 2]).is_err());
    }

    #[test]
    fn ends_are_counted_from_the_crash_object() {
        let told: Told = serde_json::from_str(
            r#"{"lost": 9, "timeline": [
                {"kind": "exit", "process": {"pid": 1}, "exit": {"code": 0}},
                {"kind": "exit", "process": {"pid": 2}},
                {"kind": "fork", "process": {"pid": 3}},
                {"kind": "lost", "process": {"pid": 1}, "of": "exit", "count": 4},
                {"kind": "lost", "process": {"pid": 1}, "of": "fork", "count": 5}]}"#,
        )
        .unwrap();
        assert_eq!((told.ends(1), told.lost_ends(), told.lost), (1, 4, 9));
    }
}
