//! One subscriber of fifty reads nothing: how late the others get their messages, beside the same where all read, and what
//! the gateway keeps and drops for the one. It knows nothing about targets.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Programs;
use super::load::{Load, Over, arguments};
use super::served::Served;
use crate::sample::Sample;

pub const SUBSCRIBERS: u32 = 50;
pub const RATE: u32 = 200;
pub const PAYLOAD_BYTES: u32 = 1024;
/// More than the queue of one client, what QUIC keeps of unacknowledged bytes, and the kernel's buffers of a TCP connection
/// hold together.
const EXTRA_BYTES: u32 = 32 << 20;

/// Over one transport.
#[derive(Debug)]
pub struct Stuck {
    pub over: Over,
    /// All read.
    pub without: Lateness,
    /// One does not, and its queue is full.
    pub with: Lateness,
    /// One does not, and its queue fills meanwhile.
    pub falling: Lateness,
    /// What the gateway held at most, bytes, above the same without the stuck one.
    pub grown_bytes: Sample,
    /// Messages that the gateway says it dropped, of all rounds.
    pub dropped: u64,
    /// Messages that the stuck one never got, of all rounds.
    pub missed: u64,
}

/// Milliseconds, one of each a round.
#[derive(Debug, Default)]
pub struct Lateness {
    pub p50: Sample,
    pub p99: Sample,
    pub most: Sample,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Measured {
    p50_ms: f64,
    p99_ms: f64,
    most_ms: f64,
    missed_by_stuck: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    AllRead,
    OneIsFull,
    OneFills,
}

impl Stuck {
    pub fn measure(programs: &Programs, over: Over, rounds: u32, seconds: u32) -> Result<Self> {
        eprintln!("xtask: a stuck subscriber over {}, {rounds} rounds", over.name());
        let mut all = Self {
            over,
            without: Lateness::default(),
            with: Lateness::default(),
            falling: Lateness::default(),
            grown_bytes: Sample::default(),
            dropped: 0,
            missed: 0,
        };
        for round in 0..rounds {
            let mut most = [0; 2];
            for turn in [round % 2, (round + 1) % 2] {
                let who = if turn == 0 { Who::AllRead } else { Who::OneIsFull };
                most[turn as usize] = all.add(programs, who, seconds)?;
            }
            all.add(programs, Who::OneFills, seconds)?;
            let [without, with] = most.map(|bytes| bytes as f64);
            all.grown_bytes.push(with - without);
        }
        Ok(all)
    }

    /// One run with a new gateway; returns what that held at most.
    fn add(&mut self, programs: &Programs, who: Who, seconds: u32) -> Result<u64> {
        let gateway = Served::start(&programs.gateway)?;
        let at = gateway.at().of(self.over);
        let mut words = arguments(&[
            &"stuck",
            &"--at",
            &at,
            &"--over",
            &self.over.argument(),
            &"--subscribers",
            &SUBSCRIBERS,
            &"--rate",
            &RATE,
            &"--payload-bytes",
            &PAYLOAD_BYTES,
            &"--seconds",
            &seconds,
        ]);
        let stuck = arguments(&[&"--stuck", &"--extra-bytes", &EXTRA_BYTES]);
        match who {
            Who::AllRead => {}
            Who::OneIsFull => words.extend(stuck),
            Who::OneFills => words.extend(stuck.into_iter().chain(["--meanwhile".to_owned()])),
        }
        let measured: Measured =
            Load::start(&programs.strain, &words)?.last().with_context(|| gateway.words())?;
        let dropped = gateway.metrics()?.value("macula_gateway_messages_dropped_total");
        ensure!(
            who != Who::AllRead || dropped == 0,
            "{dropped} messages were dropped for clients that read"
        );
        self.dropped += dropped;
        self.missed += measured.missed_by_stuck;
        let lateness = match who {
            Who::AllRead => &mut self.without,
            Who::OneIsFull => &mut self.with,
            Who::OneFills => &mut self.falling,
        };
        lateness.p50.push(measured.p50_ms);
        lateness.p99.push(measured.p99_ms);
        lateness.most.push(measured.most_ms);
        Ok(gateway.memory()?.most)
    }
}
