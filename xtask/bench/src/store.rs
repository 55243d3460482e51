//! How fast the store takes events, how large they are in it, and how long the command line takes to ask a store of a
//! million. It knows nothing about targets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use xtask::means::{exec, workspace};

use super::calls::Bench;
use super::sample::Sample;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub events: u64,
    pub crashes: u64,
    /// How often each question is asked.
    pub questions: u32,
}

/// What was measured of one store.
#[derive(Debug)]
pub struct Store {
    pub amount: Amount,
    pub events_per_second: f64,
    pub bytes_per_event: f64,
    /// Milliseconds of the whole process, for each question.
    pub answers: Vec<(&'static str, Sample)>,
}

/// What is asked: about pods of the middle, whose crashes are as many as those of the others.
const QUESTIONS: [(&str, &[&str]); 4] = [
    ("timeline POD", &["timeline", "gateway-1"]),
    ("timeline CRASH", &["timeline", "000000000007"]),
    ("explain POD", &["explain", "gateway-1"]),
    ("crashes, the newest 500", &["crashes"]),
];

/// The program that fills a store, which uses the tracer's library as the agent does.
const PROGRAM: [&str; 7] =
    ["--release", "--package", "bench", "--features", "store-ingest", "--bin", "store-ingest"];

/// Compiles what fills a store: before anything is measured, since a machine that has just compiled is slow.
pub fn build() -> Result<()> {
    exec::run(workspace::cargo().arg("build").args(PROGRAM))
}

/// What `store-ingest` prints.
#[derive(Debug, Deserialize)]
struct Ingest {
    events_per_second: f64,
    bytes_per_event: f64,
}

impl Store {
    pub fn measure(bench: &Bench, amount: Amount) -> Result<Self> {
        let store = bench.scratch.join("million.db");
        let ingest = ingest(&store, amount)?;
        let tracer = &bench.tracer.program;
        let answers = QUESTIONS.map(|(name, question)| {
            let once = |_| ask(tracer, question, &store);
            // The first one reads the file from the disk.
            once(0)?;
            Ok((name, (0..amount.questions).map(once).collect::<Result<_>>()?))
        });
        Ok(Self {
            amount,
            events_per_second: ingest.events_per_second,
            bytes_per_event: ingest.bytes_per_event,
            answers: answers.into_iter().collect::<Result<_>>()?,
        })
    }
}

fn ingest(store: &Path, amount: Amount) -> Result<Ingest> {
    eprintln!("xtask: a store of {} events", amount.events);
    let printed = exec::stdout(
        workspace::cargo()
            .args(["run", "--quiet"])
            .args(PROGRAM)
            .arg("--")
            .arg(workspace::root().join("tests/corpus"))
            .arg(store)
            .args([amount.events.to_string(), amount.crashes.to_string()]),
    )?;
    serde_json::from_str(&printed).with_context(|| format!("store-ingest printed {printed:?}"))
}

/// Milliseconds from starting the tracer to its end.
fn ask(tracer: &Path, question: &[&str], store: &Path) -> Result<f64> {
    let mut command = Command::new(tracer);
    command.args(question).arg("--store").arg(store).stdin(Stdio::null());
    let began = Instant::now();
    let done = command.output().context("cannot run the tracer")?;
    let took = began.elapsed();
    let words = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`{}`: {words}", exec::line(&command));
    ensure!(!done.stdout.is_empty(), "`{}` printed nothing: {words}", exec::line(&command));
    Ok(took.as_secs_f64() * 1e3)
}
