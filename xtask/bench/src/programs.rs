//! What the tracer's eBPF programs cost by themselves, from the kernel's own count of their run
//! times. That is steadier than the clock around a call, and says which program costs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::calls::Bench;
use super::process::{self, Runs};
use super::sample::Sample;
use super::watchers::Floor;
use super::worker::{Operation, Worker};

/// Nanoseconds; the counting itself is in all of them.
#[derive(Debug, Default)]
pub struct Costs {
    /// The empty program, at a call.
    pub floor: Sample,
    /// The recorder at a call of a process that is not tracked.
    pub untracked: Sample,
    /// The recorder at each operation of a tracked process.
    pub tracked: BTreeMap<Operation, Sample>,
    /// A run of each other program, while a tracked process forks, execs and exits.
    pub hooks: BTreeMap<String, Sample>,
}

/// The tracepoint of the recorder and of the empty program.
const RECORDER: &str = "sys_exit";

impl Costs {
    /// Measures everything once.
    pub fn add(&mut self, bench: &Bench, floor: &mut Floor) -> Result<()> {
        let mut outside = bench.untracked_worker()?;
        floor.count()?;
        floor.attach()?;
        let pid = floor.pid();
        self.floor.push(mean(recorder_runs(bench, pid, &mut outside, Operation::Getppid)?.0));
        floor.detach()?;

        let mut inside = bench.tracked_worker()?;
        let tracer = inside.outer_pid();
        let untracked = mean(recorder_runs(bench, tracer, &mut outside, Operation::Getppid)?.0);
        self.untracked.push(untracked);
        for operation in Operation::ALL {
            let before = process::programs(tracer)?;
            let (runs, operations) = recorder_runs(bench, tracer, &mut inside, operation)?;
            if operation == Operation::Spawn {
                self.add_hooks(&before, &process::programs(tracer)?);
                continue;
            }
            // Other processes make calls meanwhile, which cost what an untracked one costs.
            let others = runs.count.saturating_sub(operations) as f64 * untracked;
            let cost = (runs.time_ns as f64 - others) / operations as f64;
            self.tracked.entry(operation).or_default().push(cost);
        }
        inside.end()?;
        floor.stop_counting()
    }

    fn add_hooks(&mut self, before: &BTreeMap<String, Runs>, after: &BTreeMap<String, Runs>) {
        for (name, after) in after.iter().filter(|(name, _)| *name != RECORDER) {
            let runs = difference(before.get(name).copied().unwrap_or_default(), *after);
            if runs.count > 0 {
                self.hooks.entry(name.clone()).or_default().push(mean(runs));
            }
        }
    }
}

/// How the program that process `pid` has on `sys_exit` ran while the worker did an operation, and
/// how often it did it.
fn recorder_runs(
    bench: &Bench,
    pid: u32,
    worker: &mut Worker,
    operation: Operation,
) -> Result<(Runs, u64)> {
    let runs = || -> Result<Runs> {
        process::programs(pid)?.get(RECORDER).copied().context("no program is on sys_exit")
    };
    let before = runs()?;
    worker.time(operation, bench.amount())?;
    let operations = u64::from(worker.operations(operation, bench.amount()));
    Ok((difference(before, runs()?), operations))
}

fn difference(before: Runs, after: Runs) -> Runs {
    Runs { count: after.count - before.count, time_ns: after.time_ns - before.time_ns }
}

fn mean(runs: Runs) -> f64 {
    runs.time_ns as f64 / runs.count as f64
}
