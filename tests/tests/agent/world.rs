//! A containerd and an agent beside it. Knows no pod.

use std::io;
use std::path::Path;

use anyhow::Result;
use tests::agent::Agent;
use tests::binary;
use tests::cri::{Around, Containerd, NEEDS};

/// What each test has of its own.
#[derive(Debug)]
pub struct World {
    // First, since it must not see its pods being cleared away.
    pub agent: Agent,
    pub containerd: Containerd,
}

impl World {
    /// Starts both, the agent to watch all pods; says why not where they cannot run, or panics where tests are required.
    pub fn here(test: &str, around: Around) -> Result<Option<Self>> {
        Self::with(test, around, &[])
    }

    /// The same with options of `tracer run`.
    pub fn with(test: &str, around: Around, options: &[&str]) -> Result<Option<Self>> {
        Self::around(test, around, options, |_| Ok(()))
    }

    /// The same; before the agent starts, something is done with the runtime's socket.
    pub fn around(
        test: &str,
        around: Around,
        options: &[&str],
        before: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Option<Self>> {
        let Some(binary) = binary::here(test, NEEDS) else { return Ok(None) };
        let containerd = Containerd::start(around)?;
        before(&containerd.socket())?;
        let agent = Agent::start(&binary, &containerd, options)?;
        Ok(Some(Self { agent, containerd }))
    }
}
