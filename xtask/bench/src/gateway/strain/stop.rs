//! A gateway that gets SIGTERM while it has much to do. It knows nothing about targets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::Programs;
use super::load::{Load, arguments};
use super::served::Served;

/// Clients of each kind over each transport, of those that say nothing twenty times as many; and calls of each caller.
const CLIENTS: u32 = 8;
const CALLS: u32 = 64;

#[derive(Debug)]
pub struct Stop {
    pub seen: Seen,
    /// `None` where a signal ended it.
    pub exit_code: Option<i32>,
    /// From the signal to its end.
    pub took: Duration,
}

/// What its clients saw, as the program prints it.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub clients: u64,
    /// Those that were told `draining`.
    pub told: u64,
    pub calls: u64,
    pub results: u64,
    /// By code.
    pub errors: BTreeMap<String, u64>,
    /// Calls that a provider got.
    pub asked: u64,
    pub accepted_without_reply: u64,
    /// Those on the way when their caller was told, too.
    pub without_reply: u64,
}

#[derive(Debug, Deserialize)]
struct Loaded {
    loaded: bool,
}

impl Stop {
    pub fn measure(programs: &Programs) -> Result<Self> {
        eprintln!("xtask: SIGTERM under load");
        let gateway = Served::start(&programs.gateway)?;
        let at = gateway.at();
        let mut load = Load::start(
            &programs.strain,
            &arguments(&[
                &"stop",
                &"--quic",
                &at.udp,
                &"--tcp",
                &at.tcp,
                &"--clients",
                &CLIENTS,
                &"--calls",
                &CALLS,
            ]),
        )?;
        let Loaded { loaded } = load.next()?;
        ensure!(loaded, "the gateway could not be loaded");
        let (status, took) = gateway.stop()?;
        Ok(Self { seen: load.last()?, exit_code: status.code(), took })
    }
}
