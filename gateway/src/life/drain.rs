//! How the gateway stops: it admits nobody, lets calls end, disconnects every client, and waits until all of them have left.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tracing::{info, warn};

use super::Gateway;

/// The time over which clients are disconnected, so that they do not all connect to the next gateway at once.
const SPREAD: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);
/// The part of the grace period that is left for the last clients to leave.
const LEAVING: Duration = Duration::from_secs(2);

impl Gateway {
    /// Stops the gateway. Returns whether every client has left before the grace period was over.
    pub async fn drain(mut self) -> bool {
        let (delay, grace) = (self.settings.drain_delay, self.settings.grace);
        info!(clients = self.hub.counts().clients, ?delay, ?grace, "draining");
        self.state.set_draining();
        sleep(delay).await;
        let until = Instant::now() + grace;
        self.entrance.stop();
        self.hub.stop();
        self.disconnect_clients(grace, until - LEAVING.min(grace / 4)).await;
        let all_left = timeout_at(until, self.empty()).await.is_ok();
        if !all_left {
            warn!(
                clients = self.hub.counts().clients,
                "the grace period is over: the gateway cuts the clients that are left"
            );
        }
        // Clients that have left may still get their last frames; connections that never became clients are not waited for.
        let last = timeout_at(until.min(Instant::now() + LEAVING), async {
            while self.accepting.join_next().await.is_some() {}
        });
        if last.await.is_err() {
            self.accepting.shutdown().await;
            // The streams of clients end before their connections do.
            sleep(STEP).await;
        }
        self.state.set_ready(false);
        self.endpoint.close(0_u8.into(), b"the gateway has stopped");
        // The endpoint sends what is on its way to clients.
        let _ = timeout_at(until.max(Instant::now() + STEP), self.endpoint.wait_idle()).await;
        self.lasting.shutdown().await;
        all_left
    }

    /// Waits until no client is left.
    async fn empty(&self) {
        let mut ticks = interval(STEP);
        while self.hub.counts().clients > 0 {
            ticks.tick().await;
        }
    }

    /// Disconnects clients step by step; those with a part in a call when the call has ended, or when `until` has come.
    async fn disconnect_clients(&self, grace: Duration, until: Instant) {
        let steps = SPREAD.min(grace / 4).as_millis() / STEP.as_millis();
        let steps = usize::try_from(steps).unwrap_or(usize::MAX).max(1);
        let most = self.hub.counts().clients.div_ceil(steps).max(1);
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            if self.hub.drain_some(most) == 0 {
                return;
            }
            ticks.tick().await;
        }
        warn!(calls = self.hub.open_calls(), "calls under way did not end in time");
        self.hub.drain();
    }
}
