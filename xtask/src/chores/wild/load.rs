//! Keeps every core busy beside deaths, so that what must be looked up at the moment of one comes late. It knows no death.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Load(Vec<Child>);

impl Load {
    pub fn begin() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut load = Self(Vec::new());
        // Twice the cores: whoever wakes up finds each of them taken.
        for _ in 0..2 * cores {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            load.0.push(command.spawn().context("cannot run sh")?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for busy in &mut self.0 {
            // It does not end by itself.
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}
