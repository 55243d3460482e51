//! What a gateway keeps for clients that are connected and say nothing. It knows nothing about targets.

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::Programs;
use super::load::{Load, Over, arguments};
use super::served::Served;
use crate::process::Memory;

/// A gateway before and after so many clients came.
#[derive(Debug)]
pub struct Idle {
    pub over: Over,
    pub connections: u32,
    pub before: Memory,
    pub after: Memory,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Connected {
    connected: u32,
}

impl Idle {
    /// Of a new gateway, so that nothing is left of other clients.
    pub fn measure(programs: &Programs, over: Over, connections: u32) -> Result<Self> {
        eprintln!("xtask: {connections} idle clients over {}", over.name());
        let gateway = Served::start(&programs.gateway)?;
        let before = gateway.memory()?;
        let at = gateway.at().of(over);
        let words = arguments(&[
            &"idle",
            &"--at",
            &at,
            &"--over",
            &over.argument(),
            &"--connections",
            &connections,
        ]);
        let mut load = Load::start(&programs.strain, &words)?;
        let Connected { connected } = load.next()?;
        let after = gateway.memory()?;
        let clients = gateway.metrics()?.value("macula_gateway_clients_total");
        ensure!(
            connected == connections && clients == u64::from(connections),
            "{connected} clients know that they are connected, the gateway knows of {clients}"
        );
        Ok(Self { over, connections, before, after })
    }

    /// Bytes, of all kinds.
    pub fn resident_each(&self) -> f64 {
        self.each(|memory| memory.now)
    }

    /// Bytes that no file backs.
    pub fn anonymous_each(&self) -> f64 {
        self.each(|memory| memory.anonymous)
    }

    fn each(&self, of: impl Fn(&Memory) -> u64) -> f64 {
        of(&self.after).saturating_sub(of(&self.before)) as f64 / f64::from(self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_held_before_is_no_clients() {
        let memory = |now, anonymous| Memory { now, most: now, anonymous, of_files: 0 };
        let (before, after) = (memory(8000, 500), memory(48_000, 30_500));
        let idle = Idle { over: Over::Quic, connections: 10, before, after };
        assert_eq!((idle.resident_each(), idle.anonymous_each()), (4000.0, 3000.0));
    }
}
