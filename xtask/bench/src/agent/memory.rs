//! What the agent keeps: idle, with many containers, after thousands of starts; and how long a death takes to become its
//! line meanwhile. It knows nothing about targets.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::node::Node;
use super::run::Agent;
use crate::calls::Bench;
use crate::process::{self, Maps, Memory};
use crate::sample::Sample;
use crate::worker::Worker;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Containers that live at once.
    pub tracked: u64,
    /// Deaths that are timed, one after the other.
    pub deaths: u64,
    /// Containers that are started and die, those that are timed among them.
    pub starts: u64,
}

/// What the agent held at one time.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub memory: Memory,
    pub maps: Maps,
}

/// The agent from its start over thousands of containers.
#[derive(Debug)]
pub struct Growth {
    pub amount: Amount,
    pub idle: Held,
    pub tracked: Held,
    /// After a tenth of the starts: caches are full by then.
    pub early: Held,
    pub late: Held,
    /// From a death to its line, milliseconds.
    pub latency: Sample,
    /// Starts a second, beside what is held.
    pub starts_per_second: f64,
}

/// Crashes that may be under way to their lines: with more, containers would wait for the agent, or it for them.
const AT_ONCE: usize = 64;
/// Before it, nobody waits for a line in vain for long.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

impl Growth {
    pub fn measure(bench: &Bench, amount: Amount) -> Result<Self> {
        let node = Node::make()?;
        let agent = Agent::start(&bench.tracer.program, &node, &[])?;
        let idle = Held::by(&agent)?;

        let containers: Vec<_> =
            (1..=amount.tracked).map(|number| node.container(number)).collect::<Result<_>>()?;
        let start = |container: &super::node::Container| {
            Worker::start(&bench.worker, None, &container.through(&bench.worker))
        };
        let living: Vec<Worker> = containers.iter().map(start).collect::<Result<_>>()?;
        agent.wait_until("the agent's knowing all containers", TOLD_WITHIN, |metrics| {
            metrics.value("tracer_lives_begun_total") == amount.tracked
        })?;
        let tracked = Held::by(&agent)?;

        let mut latency = Sample::default();
        let first = amount.tracked + 1;
        for number in first..first + amount.deaths {
            latency.push(death(bench, &node, &agent, number).with_context(|| agent.words())?);
        }

        let began = std::time::Instant::now();
        let mut early = None;
        for count in amount.deaths..amount.starts {
            if count == amount.starts / 10 {
                early = Some(Held::by(&agent)?);
            }
            let container = node.container(first + count)?;
            let status = container.command(&bench.worker, "fail").status()?;
            ensure!(status.code() == Some(3), "a container ended with {status}");
            let told = (count as usize).saturating_sub(AT_ONCE);
            agent.lines().wait_for_count(told, TOLD_WITHIN).with_context(|| agent.words())?;
        }
        let lines = agent.lines();
        lines.wait_for_count(amount.starts as usize, TOLD_WITHIN).with_context(|| agent.words())?;
        let starts_per_second =
            (amount.starts - amount.deaths) as f64 / began.elapsed().as_secs_f64();
        let late = Held::by(&agent)?;
        ensure!(lines.count() == amount.starts as usize, "{} crashes told", lines.count());
        agent.stop()?;
        living.into_iter().try_for_each(|worker| worker.end().map(drop))?;
        let early = early.unwrap_or(tracked);
        Ok(Self { amount, idle, tracked, early, late, latency, starts_per_second })
    }
}

impl Held {
    fn by(agent: &Agent) -> Result<Self> {
        Ok(Self { memory: process::memory(agent.pid())?, maps: process::maps(agent.pid())? })
    }
}

/// One container dies; milliseconds from its own word on it to the last byte of its line.
fn death(bench: &Bench, node: &Node, agent: &Agent, number: u64) -> Result<f64> {
    let container = node.container(number)?;
    let mut child = container.command(&bench.worker, "die").stderr(Stdio::piped()).spawn()?;
    let mut stderr = child.stderr.take().context("the worker has no stderr")?;
    let mut words = String::new();
    stderr.read_to_string(&mut words).context("cannot read the worker's stderr")?;
    child.wait().context("cannot wait for the worker")?;
    let died_ns: u64 = words
        .trim()
        .parse()
        .with_context(|| format!("the worker did not say when it died: {words}"))?;
    let read_ns = agent.lines().wait_for(number, TOLD_WITHIN)?;
    Ok(read_ns.saturating_sub(died_ns) as f64 / 1e6)
}
