//! The heartbeat of a loop that must never stop: the loop notes each turn, and health reports a loop that is stuck.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Remembers when a loop last turned.
#[derive(Debug)]
pub struct Beat {
    started: Instant,
    turned_ms: AtomicU64,
}

impl Beat {
    /// Each loop turns at least this often.
    pub const EVERY: Duration = Duration::from_secs(1);

    /// Notes that the loop turns now.
    pub fn turn(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turned_ms.store(now, Ordering::Relaxed);
    }

    /// How long ago the loop last turned.
    pub fn since(&self) -> Duration {
        let turned = Duration::from_millis(self.turned_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(turned)
    }
}

impl Default for Beat {
    fn default() -> Self {
        Self { started: Instant::now(), turned_ms: AtomicU64::default() }
    }
}
