//! What a system call costs while the agent is there with its recorder off, beside the same call of the same process
//! while no tracer runs. It knows nothing about targets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::node::Node;
use super::run::Agent;
use crate::calls::Bench;
use crate::process;
use crate::sample::Sample;
use crate::worker::{Operation, Worker};

/// Whose calls are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Outside of any container.
    Untracked,
    /// In a container that the agent watches.
    Tracked,
}

/// Nanoseconds of an operation in each round.
#[derive(Debug, Default)]
pub struct Pair {
    /// The mean of just before and just after.
    pub without: Sample,
    pub with: Sample,
}

/// What was measured in all rounds.
#[derive(Debug, Default)]
pub struct Disarmed {
    pairs: BTreeMap<(Caller, Operation), Pair>,
    /// Programs that the agent had on system calls, the most in any round.
    pub on_calls: usize,
    /// From starting `tracer run` until it is ready, milliseconds.
    pub start: Sample,
}

type Times = BTreeMap<(Caller, Operation), f64>;

/// A container that has lived for so long is no longer young, and the recorder is switched off.
const YOUNG: &str = "500ms";
const DISARMED_WITHIN: Duration = Duration::from_secs(30);
const OPERATIONS: [Operation; 3] = [Operation::Getppid, Operation::Pipe, Operation::Spawn];

impl Disarmed {
    /// The same two processes make the calls in all rounds: where a process happens to lie in memory is in none of the
    /// differences.
    pub fn measure(bench: &Bench, rounds: u32) -> Result<Self> {
        let node = Node::make()?;
        let container = node.container(1)?;
        let through = container.through(&bench.worker);
        let mut workers = [
            (Caller::Untracked, bench.untracked_worker()?),
            (Caller::Tracked, Worker::start(&bench.worker, Some(bench.cpu), &through)?),
        ];
        let mut measured = Self::default();
        let mut before = times(bench, &mut workers)?;
        for _ in 0..rounds {
            let with = measured.with(bench, &node, &mut workers)?;
            let after = times(bench, &mut workers)?;
            measured.add(&before, &with, &after);
            before = after;
        }
        workers.into_iter().try_for_each(|(_, worker)| worker.end().map(drop))?;
        Ok(measured)
    }

    pub fn of(&self, caller: Caller, operation: Operation) -> Option<&Pair> {
        self.pairs.get(&(caller, operation))
    }

    fn with(
        &mut self,
        bench: &Bench,
        node: &Node,
        workers: &mut [(Caller, Worker)],
    ) -> Result<Times> {
        let agent = Agent::start(&bench.tracer.program, node, &["--startup-window", YOUNG])?;
        self.start.push(agent.started_in.as_secs_f64() * 1e3);
        agent.wait_until("the recorder's end", DISARMED_WITHIN, |metrics| {
            metrics.value("tracer_lives_begun_total") == 1
                && metrics.value("tracer_recorder_switches_total") >= 2
                && metrics.value("tracer_recorder_attached") == 0
        })?;
        let times = times(bench, workers)?;
        let programs = process::programs(agent.pid())?;
        ensure!(!programs.is_empty(), "the agent has no programs: there is nothing to measure");
        self.on_calls = self.on_calls.max(programs.keys().filter(|name| is_of_calls(name)).count());
        agent.stop()?;
        Ok(times)
    }

    /// One round. A machine that becomes slower meanwhile is so before, with and after.
    fn add(&mut self, before: &Times, with: &Times, after: &Times) {
        for (what, with) in with {
            let (Some(before), Some(after)) = (before.get(what), after.get(what)) else { continue };
            let pair = self.pairs.entry(*what).or_default();
            pair.without.push((before + after) / 2.0);
            pair.with.push(*with);
        }
    }
}

fn times(bench: &Bench, workers: &mut [(Caller, Worker)]) -> Result<Times> {
    let mut times = Times::new();
    for operation in OPERATIONS {
        for (caller, worker) in &mut *workers {
            times.insert((*caller, operation), worker.time(operation, bench.amount())?);
        }
    }
    Ok(times)
}

/// Whether a program on this tracepoint makes system calls dearer.
fn is_of_calls(tracepoint: &str) -> bool {
    ["sys_enter", "sys_exit"].contains(&tracepoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_becomes_slower_is_no_difference() {
        let what = (Caller::Untracked, Operation::Getppid);
        let [before, with, after] = [100.0, 110.0, 120.0].map(|time| Times::from([(what, time)]));
        let mut measured = Disarmed::default();
        measured.add(&before, &with, &after);
        let pair = measured.of(what.0, what.1).unwrap();
        assert_eq!(pair.with.percent_above(&pair.without).median(), 0.0);
        assert!(measured.of(Caller::Tracked, what.1).is_none());
    }
}
