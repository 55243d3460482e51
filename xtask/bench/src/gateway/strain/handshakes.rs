//! Handshakes over QUIC: a gateway's beside those of quinn alone with the same settings, in turns. It knows nothing about
//! targets.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::Programs;
use super::load::{Load, arguments};
use super::served::Served;
use crate::process;
use crate::sample::Sample;

/// One side, over all rounds.
#[derive(Debug, Default)]
pub struct Side {
    pub per_second: Sample,
    /// CPU time of the side itself, microseconds a handshake.
    pub cpu_us: Sample,
}

#[derive(Debug, Default)]
pub struct Handshakes {
    pub gateway: Side,
    pub quinn: Side,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Shaken {
    handshakes: u64,
    seconds: f64,
}

#[derive(Debug, Deserialize)]
struct Floor {
    at: SocketAddr,
}

impl Handshakes {
    pub fn measure(programs: &Programs, rounds: u32, seconds: u64) -> Result<Self> {
        eprintln!("xtask: handshakes beside quinn alone, {rounds} rounds");
        let gateway = Served::start(&programs.gateway)?;
        let mut floor = Load::start(&programs.strain, &arguments(&[&"floor"]))?;
        let Floor { at } = floor.next()?;
        let mut all = Self::default();
        // A process is faster once it has done it all before; that is no round.
        Side::default().add(programs, gateway.pid(), gateway.at().udp, 1)?;
        Side::default().add(programs, floor.pid(), at, 1)?;
        for round in 0..rounds {
            for turn in [round % 2, (round + 1) % 2] {
                if turn == 0 {
                    all.gateway.add(programs, gateway.pid(), gateway.at().udp, seconds)?;
                } else {
                    all.quinn.add(programs, floor.pid(), at, seconds)?;
                }
            }
        }
        let refused = gateway.metrics()?.sum("macula_gateway_connections_refused_total");
        ensure!(refused == 0, "the gateway refused {refused} handshakes: {}", gateway.words());
        Ok(all)
    }
}

impl Side {
    fn add(&mut self, programs: &Programs, pid: u32, at: SocketAddr, seconds: u64) -> Result<()> {
        let before = process::cpu_time_ns(pid)?;
        let words = arguments(&[&"handshakes", &"--at", &at, &"--seconds", &seconds]);
        let Shaken { handshakes, seconds } = Load::start(&programs.strain, &words)?.last()?;
        let cpu_ns = process::cpu_time_ns(pid)?.saturating_sub(before);
        ensure!(handshakes > 0, "nobody shook hands with {at}");
        self.per_second.push(handshakes as f64 / seconds);
        self.cpu_us.push(cpu_ns as f64 / 1e3 / handshakes as f64);
        Ok(())
    }
}
