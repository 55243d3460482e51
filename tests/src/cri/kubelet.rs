//! What a kubelet does by itself: it starts again what has ended, and forgets all but the last dead container. Without
//! its back-off.

use anyhow::{Context, Result};

use super::messages::ContainerStatus;
use super::pod::{Pod, Started};

/// A container that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How it was started.
    pub started: Started,
    /// What the runtime knows of its end.
    pub status: ContainerStatus,
}

impl Pod<'_> {
    /// Lets a container start, waits for its end and lets it start again, `restarts` times. `live` starts it, as attempt
    /// N, and does to it what is to be done from outside.
    ///
    /// # Errors
    /// When `live` fails, or a container does not end.
    pub fn crash_loop(
        &self,
        restarts: u32,
        mut live: impl FnMut(u32) -> Result<Started>,
    ) -> Result<Vec<Ended>> {
        let mut ends: Vec<Ended> = Vec::new();
        for attempt in 0..=restarts {
            let started = live(attempt)?;
            let status = self.end_of(&started.id).with_context(|| format!("attempt {attempt}"))?;
            if let Some(before) = ends.last() {
                self.remove(&before.started.id)?;
            }
            ends.push(Ended { started, status });
        }
        Ok(ends)
    }
}
