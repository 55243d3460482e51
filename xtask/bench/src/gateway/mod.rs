//! The gateway under load, beside peers: message rates and calls of all of them, round by round. This file only orders the
//! work; it knows no peer and no target.

mod cell;
mod field;
mod load;
mod peer;
mod peers;
mod pypi;
mod server;
pub mod strain;
mod zenoh;

use std::path::{Path, PathBuf};

use anyhow::Result;
use xtask::means::workspace;

pub use self::cell::{CallTimes, Calls, Cell, Rates};
use self::field::Field;
use self::load::Outcome;
pub use self::peer::Peer;
use self::peers::Peers;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub rounds: u32,
    /// Messages of a cell and calls of a measurement are divided by it.
    pub less: u64,
}

/// What was measured.
#[derive(Debug)]
pub struct Gateway {
    pub rates: Rates,
    pub calls: Calls,
    /// What did not count, and why.
    pub refused: Vec<String>,
    /// Who ran, and with which settings.
    pub settings: Vec<(&'static str, String)>,
}

/// The programs, built before anything is measured.
#[derive(Debug)]
pub struct Programs {
    pub gateway: PathBuf,
    load: PathBuf,
    peers: Option<Peers>,
}

impl Programs {
    /// `gateway`: one that is built already.
    pub fn build(gateway: Option<PathBuf>, with_peers: bool) -> Result<Self> {
        let peers = with_peers.then(Peers::install).transpose()?;
        let gateway = gateway.map_or_else(|| workspace::build_dist("gateway"), Ok)?;
        Ok(Self { gateway, load: workspace::build_featured("bench", "gateway-load")?, peers })
    }
}

impl Gateway {
    pub fn measure(programs: &Programs, scratch: &Path, amount: Amount) -> Result<Self> {
        let field = Field::start(programs, scratch)?;
        let (mut rates, mut calls) = (Rates::default(), Calls::default());
        let mut refused = Vec::new();
        for round in 0..amount.rounds {
            eprintln!("xtask: the gateway's round {} of {}", round + 1, amount.rounds);
            for cell in Cell::ALL {
                for contender in field.turned(round) {
                    if !cell.passes(contender.peer) {
                        continue;
                    }
                    let outcome = field.messages(contender, cell, amount.less)?;
                    rates.add(contender.peer, cell, note(outcome, &mut refused));
                }
            }
            for in_flight in Calls::IN_FLIGHT {
                for contender in field.turned(round).filter(|one| one.peer.answers()) {
                    let outcome = field.calls(contender, in_flight, amount.less)?;
                    calls.add(contender.peer, in_flight, note(outcome, &mut refused));
                }
            }
        }
        Ok(Self { rates, calls, refused, settings: field.settings })
    }
}

/// What counts; what does not is told at once, and kept.
fn note<T>(outcome: Outcome<T>, refused: &mut Vec<String>) -> Option<T> {
    match outcome {
        Outcome::Counts(value) => Some(value),
        Outcome::Refused(why) => {
            eprintln!("xtask: {why}");
            refused.push(why);
            None
        }
    }
}
