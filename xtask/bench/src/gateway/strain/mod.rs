//! The gateway under strain: many idle clients, many handshakes, one client that reads nothing, SIGTERM under load. This file
//! only orders the work; it knows no figure.

mod handshakes;
mod idle;
mod load;
mod served;
mod stop;
mod stuck;

use std::path::PathBuf;

use anyhow::Result;
use xtask::means::workspace;

pub use self::handshakes::Handshakes;
pub use self::idle::Idle;
pub use self::load::Over;
pub use self::served::LIMITS;
pub use self::stop::Stop;
pub use self::stuck::{PAYLOAD_BYTES, RATE, SUBSCRIBERS, Stuck};

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Idle clients, at first and then.
    pub connections: [u32; 2],
    /// Of handshakes, and of publishing to many, each in each round.
    pub seconds: u32,
}

/// Built before anything is measured.
#[derive(Debug)]
pub struct Programs {
    gateway: PathBuf,
    strain: PathBuf,
}

impl Programs {
    /// `gateway`: one that is built already.
    pub fn build(gateway: Option<PathBuf>) -> Result<Self> {
        let gateway = gateway.map_or_else(|| workspace::build_dist("gateway"), Ok)?;
        Ok(Self { gateway, strain: workspace::build_featured("bench", "gateway-strain")? })
    }
}

/// All that was measured.
#[derive(Debug)]
pub struct Strain {
    pub idle: Vec<Idle>,
    pub handshakes: Handshakes,
    pub stuck: Vec<Stuck>,
    pub stop: Stop,
}

impl Strain {
    pub fn measure(programs: &Programs, rounds: u32, amount: Amount) -> Result<Self> {
        let mut idle = Vec::new();
        for over in Over::BOTH {
            for connections in amount.connections {
                idle.push(Idle::measure(programs, over, connections)?);
            }
        }
        let handshakes = Handshakes::measure(programs, rounds, amount.seconds.into())?;
        let stuck = Over::BOTH.map(|over| Stuck::measure(programs, over, rounds, amount.seconds));
        let stuck = stuck.into_iter().collect::<Result<_>>()?;
        Ok(Self { idle, handshakes, stuck, stop: Stop::measure(programs)? })
    }
}
