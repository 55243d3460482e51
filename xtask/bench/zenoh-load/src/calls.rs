//! Calls: one session asks, another answers. It knows nothing about messages to subscribers.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use zenoh::query::Reply;
use zenoh::{Result, Session, Wait as _};

use crate::{Router, key, payload};

pub struct Cell {
    /// Bytes that go there and back.
    pub size: usize,
    /// Calls under way at a time.
    pub in_flight: usize,
    /// Those that count; a fifth of them go before, to warm up.
    pub calls: usize,
}

const PROBES: usize = 500;
const PROBE_WAIT: Duration = Duration::from_millis(20);

/// Longer than Zenoh itself waits for a reply.
const PATIENCE: Duration = Duration::from_secs(15);

impl Cell {
    /// Each latency is from before the call is handed to Zenoh until Zenoh hands over the reply.
    pub fn measure(&self, router: &Router<'_>) -> Result<String> {
        let body = payload(0, self.size);
        let answering = router.open()?;
        let reply = body.clone();
        answering
            .declare_queryable(key())
            .callback(move |query| {
                // The asking side fails where the reply is missing.
                let _ = query.reply(key(), reply.clone()).wait();
            })
            .background()
            .wait()?;
        let asking = router.open()?;
        meet(&asking)?;

        let (report, reports) = sync_channel(self.in_flight);
        let ask = || {
            let (report, asked) = (report.clone(), Instant::now());
            let answered = move |reply: Reply| {
                let _ = report.send(reply.result().is_ok().then(|| asked.elapsed()));
            };
            asking.get(key()).payload(body.clone()).callback(answered).wait()
        };
        let warm = self.calls / 5;
        let all = warm + self.calls;
        let mut latencies = Vec::with_capacity(all);
        let mut began = Instant::now();
        for _ in 0..self.in_flight.min(all) {
            ask()?;
        }
        while latencies.len() < all {
            let latency = reports.recv_timeout(PATIENCE).ok().flatten();
            latencies.push(latency.ok_or("a call had no reply")?);
            if latencies.len() == warm {
                began = Instant::now();
            }
            if latencies.len() + self.in_flight <= all {
                ask()?;
            }
        }
        let per_second = self.calls as f64 / began.elapsed().as_secs_f64();
        answering.close().wait()?;
        asking.close().wait()?;
        let latencies = &mut latencies[warm..];
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            latencies[(self.calls * percent).div_ceil(100) - 1].as_secs_f64() * 1e6
        };
        let (p50, p99) = (percentile(50), percentile(99));
        Ok(format!(r#"{{"p50_us":{p50:.1},"p99_us":{p99:.1},"per_second":{per_second:.1}}}"#))
    }
}

/// Asks until the router knows who answers.
fn meet(asking: &Session) -> Result<()> {
    for _ in 0..PROBES {
        let (report, reports) = sync_channel(1);
        let answered = move |_: Reply| {
            let _ = report.try_send(());
        };
        asking.get(key()).callback(answered).wait()?;
        if reports.recv_timeout(PROBE_WAIT).is_ok() {
            return Ok(());
        }
    }
    Err("the router reaches nobody who answers".into())
}
