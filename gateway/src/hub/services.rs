//! What all realms share: the clock, the counters, the built-in procedures, and the log of messages that were passed over.
//! Realms are not known here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tracing::{debug, info};

use crate::{
    budget::Budget,
    observe::{diagnostics::Diagnostics, metrics::Metrics},
    session::{FirstPassedOver, Now},
};

#[derive(Debug)]
pub(super) struct Services {
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Arc<Budget>,
    pub(super) diagnostics: Diagnostics,
    /// The beginning of the steady clock.
    started: Instant,
    /// The second, on the steady clock and counted from 1, of the last log line about a message that was passed over.
    last_logged: AtomicU64,
}

impl Services {
    pub(super) fn new(
        diagnostics: Diagnostics,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
    ) -> Self {
        let (started, last_logged) = (Instant::now(), AtomicU64::default());
        Self { metrics, budget, diagnostics, started, last_logged }
    }

    pub(super) fn now(&self) -> Now {
        Now { steady: microseconds(self.started.elapsed()), calendar: calendar_ms() }
    }

    /// Logs the first message of a client that was passed over. At level info it is one line a second for all clients, so
    /// that nobody fills the log.
    pub(super) fn log_passed_over(&self, FirstPassedOver { node, what }: &FirstPassedOver) {
        let second = self.started.elapsed().as_secs() + 1;
        if self.last_logged.swap(second, Ordering::Relaxed) == second {
            debug!(%node, "the gateway passed over a message: {what}");
        } else {
            info!(%node, "the gateway passed over a message, and only counts further ones of this client: {what}");
        }
    }
}

/// Milliseconds since 1970.
pub fn calendar_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
