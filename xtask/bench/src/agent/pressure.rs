//! What the agent keeps and costs when one of its containers does its worst, while others die. It knows nothing about
//! targets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::node::Node;
use super::run::Agent;
use crate::calls::Bench;
use crate::openmetrics::Metrics;
use crate::pressure::Work;
use crate::process;
use crate::worker::Worker;

/// What the container did, and what the agent tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    pub work: Work,
    pub seconds: u64,
    /// Ends of its processes that became events, and those that were counted as lost.
    pub told: u64,
    pub lost: u64,
    /// Losses of any kind.
    pub all_lost: u64,
    /// Other containers that died meanwhile, and those of which a line told.
    pub deaths: u64,
    pub deaths_told: u64,
    /// Events that the store has, and those for which its queue had no room.
    pub stored: u64,
    pub not_stored: u64,
    /// Lines of events that stdout had no room for.
    pub lines_lost: u64,
    /// The agent's CPU time meanwhile, percent of one CPU.
    pub cpu_percent: f64,
    /// The agent's largest resident size, bytes.
    pub memory: u64,
}

/// The container that does it; those after it die meanwhile.
const WORST: u64 = 1;
/// From one death to the next.
const EVERY: Duration = Duration::from_secs(1);
const TOLD_WITHIN: Duration = Duration::from_secs(30);

impl Pressure {
    pub fn measure(bench: &Bench, seconds: u64, order: &str) -> Result<Self> {
        let node = Node::make()?;
        let agent = Agent::start(&bench.tracer.program, &node, &[])?;
        let container = node.container(WORST)?;
        let mut worker = Worker::start(&bench.worker, None, &container.through(&bench.worker))?;
        let before =
            agent.wait_until("the agent's knowing the container", TOLD_WITHIN, |metrics| {
                metrics.value("tracer_lives_begun_total") == 1
            })?;
        let (began, cpu_before) = (Instant::now(), process::cpu_time_ns(agent.pid())?);
        let done = AtomicBool::new(false);
        let (numbers, cpu, took, deaths) = std::thread::scope(|scope| {
            let others = scope.spawn(|| die_until(&done, bench, &node));
            let numbers = worker.order(order);
            let (cpu, took) = (process::cpu_time_ns(agent.pid()), began.elapsed());
            done.store(true, Ordering::Relaxed);
            (numbers, cpu, took, others.join().expect("the others do not panic"))
        });
        let (work, cpu, deaths) = (Work::of(&numbers?)?, cpu? - cpu_before, deaths?);
        // Some records wake nobody, and losses are looked for once a second.
        let counted = |metrics: &Metrics| ends(metrics) - ends(&before) + lost_ends(metrics);
        let all = work.ended + deaths;
        let _late = agent.wait_until("the agent's counting all ends", TOLD_WITHIN, |metrics| {
            counted(metrics) >= all && metrics.value("tracer_store_queued_bytes") == 0
        });
        let _late = agent.lines().wait_for_count(deaths as usize, TOLD_WITHIN);
        let after = agent.metrics()?;
        let memory = process::memory(agent.pid())?.most;
        let pressure = Self {
            work,
            seconds,
            told: (ends(&after) - ends(&before)).saturating_sub(deaths),
            lost: lost_ends(&after),
            all_lost: after.sum("tracer_events_lost_total"),
            deaths,
            deaths_told: agent.lines().count() as u64,
            stored: after.value("tracer_store_rows_written_total{table=\"events\"}"),
            not_stored: after.value("tracer_store_dropped_total"),
            lines_lost: agent.lines().lost(),
            cpu_percent: cpu as f64 / took.as_nanos() as f64 * 100.0,
            memory,
        };
        agent.stop()?;
        worker.end().map(drop)?;
        Ok(pressure)
    }

    /// Ends that are neither told nor reported as lost.
    pub fn unaccounted(&self) -> u64 {
        self.work.ended.saturating_sub(self.told + self.lost)
    }
}

/// Containers that die one after the other; returns their number.
fn die_until(done: &AtomicBool, bench: &Bench, node: &Node) -> Result<u64> {
    let mut deaths = 0;
    while !done.load(Ordering::Relaxed) {
        let next = Instant::now() + EVERY;
        deaths += 1;
        let container = node.container(WORST + deaths)?;
        let status = container.command(&bench.worker, "fail").status();
        let status = status.context("cannot run the worker")?;
        ensure!(status.code() == Some(3), "a container ended with {status}");
        drop(container);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(deaths)
}

fn ends(metrics: &Metrics) -> u64 {
    metrics.value("tracer_events_total{kind=\"exit\"}")
}

/// Ends that found no room, with those of processes that were never tracked.
fn lost_ends(metrics: &Metrics) -> u64 {
    let of = |kind: &str| metrics.value(&format!("tracer_events_lost_total{{kind=\"{kind}\"}}"));
    of("exit") + of("process")
}
