//! The agent `tracer run` under measurement, with containers made by hand. This file only orders the work; it knows no
//! figure.

mod disarmed;
mod lines;
mod memory;
mod messages;
mod node;
mod pressure;
mod run;
mod runtime;

use anyhow::Result;

pub use self::disarmed::{Caller, Disarmed};
pub use self::memory::{Amount, Growth, Held};
pub use self::pressure::Pressure;
use super::calls::Bench;
use super::pressure::{flood, storm};

/// All that was measured of it.
#[derive(Debug)]
pub struct Agent {
    pub disarmed: Disarmed,
    pub growth: Growth,
    pub flood: Pressure,
    pub storm: Pressure,
}

impl Agent {
    pub fn measure(bench: &Bench, rounds: u32, amount: Amount, seconds: u64) -> Result<Self> {
        eprintln!("xtask: the agent with its recorder off, {rounds} rounds");
        let disarmed = Disarmed::measure(bench, rounds)?;
        eprintln!("xtask: the agent over {} starts of containers", amount.starts);
        let growth = Growth::measure(bench, amount)?;
        eprintln!("xtask: the agent under pressure, twice {seconds} s");
        let flood = Pressure::measure(bench, seconds, &flood(seconds))?;
        let storm = Pressure::measure(bench, seconds, &storm(seconds))?;
        Ok(Self { disarmed, growth, flood, storm })
    }
}
