//! Times calls of the worker under each watcher, round by round. It knows nothing about targets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::process::{self, Maps, Memory};
use super::sample::Sample;
use super::watchers::{Bpftrace, Floor, Tracer, strace};
use super::worker::{Amount, Operation, Worker};

/// Who watches the worker that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    Untraced,
    /// The empty program is on `sys_exit`.
    Floor,
    /// The tracer is armed, for another process.
    Untracked,
    /// The worker is the tracer's command.
    Tracked,
    Bpftrace,
    Strace,
}

/// What a run has to work with.
#[derive(Debug)]
pub struct Bench {
    pub worker: PathBuf,
    pub tracer: Tracer,
    /// A folder for what is of no use afterwards.
    pub scratch: PathBuf,
    /// The CPU on which everything that is timed runs.
    pub cpu: usize,
    /// Batches of each operation in a round.
    pub batches: u32,
}

impl Bench {
    pub fn untracked_worker(&self) -> Result<Worker> {
        Worker::start(&self.worker, Some(self.cpu), &[])
    }

    pub fn tracked_worker(&self) -> Result<Worker> {
        let through = self.tracer.through(&self.scratch.join("crash.json"));
        Worker::start(&self.worker, Some(self.cpu), &through)
    }

    pub fn amount(&self) -> Amount {
        Amount { batches: self.batches, less: 1 }
    }
}

/// What was measured in all rounds.
#[derive(Debug, Default)]
pub struct Rounds {
    times: BTreeMap<(Condition, Operation), Sample>,
    /// From starting `tracer exec` to its command's first instruction, above a command alone; ns.
    pub load: Sample,
    /// The tracer's after all operations of a round.
    pub memory: Vec<Memory>,
    pub maps: Vec<Maps>,
}

impl Rounds {
    pub fn of(&self, condition: Condition, operation: Operation) -> Sample {
        self.times.get(&(condition, operation)).cloned().unwrap_or_default()
    }

    /// Measures everything once. The order turns with each round, so that no watcher is always
    /// measured after the same other one.
    pub fn add(&mut self, bench: &Bench, floor: &mut Floor, round: usize) -> Result<()> {
        let mut steps: [Step; 5] =
            [Self::untraced, Self::floor, Self::tracer, Self::bpftrace, Self::strace];
        steps.rotate_left(round % 5);
        if round % 2 == 1 {
            steps.reverse();
        }
        steps.iter().try_for_each(|step| step(self, bench, floor))
    }

    fn untraced(&mut self, bench: &Bench, _floor: &mut Floor) -> Result<()> {
        self.measure(Condition::Untraced, &mut bench.untracked_worker()?, bench.amount())
    }

    fn floor(&mut self, bench: &Bench, floor: &mut Floor) -> Result<()> {
        let mut worker = bench.untracked_worker()?;
        floor.attach()?;
        self.measure(Condition::Floor, &mut worker, bench.amount())?;
        floor.detach()
    }

    fn tracer(&mut self, bench: &Bench, _floor: &mut Floor) -> Result<()> {
        let mut outside = bench.untracked_worker()?;
        let mut inside = bench.tracked_worker()?;
        self.load.push(inside.start_ns as f64 - outside.start_ns as f64);
        self.measure(Condition::Untracked, &mut outside, bench.amount())?;
        self.measure(Condition::Tracked, &mut inside, bench.amount())?;
        self.memory.push(process::memory(inside.outer_pid())?);
        self.maps.push(process::maps(inside.outer_pid())?);
        inside.end().map(drop)
    }

    fn bpftrace(&mut self, bench: &Bench, _floor: &mut Floor) -> Result<()> {
        let mut worker = bench.untracked_worker()?;
        let _script = Bpftrace::follow(worker.pid)?;
        self.measure(Condition::Bpftrace, &mut worker, bench.amount())
    }

    fn strace(&mut self, bench: &Bench, _floor: &mut Floor) -> Result<()> {
        let mut worker = Worker::start(&bench.worker, Some(bench.cpu), &strace())?;
        // A call takes a hundred times longer.
        let amount = Amount { less: 100, batches: bench.batches };
        self.measure(Condition::Strace, &mut worker, amount)
    }

    fn measure(&mut self, under: Condition, worker: &mut Worker, amount: Amount) -> Result<()> {
        for operation in Operation::ALL {
            let time = worker.time(operation, amount)?;
            self.times.entry((under, operation)).or_default().push(time);
        }
        Ok(())
    }
}

type Step = fn(&mut Rounds, &Bench, &mut Floor) -> Result<()>;
