//! The calls of a benchmark: one caller keeps a number of calls under way, one provider echoes them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Options, Rate, client};
use crate::client::{Client, Config, Term, cli::milliseconds};

const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Measured {
    rate: Rate,
    /// The times of all calls, in order.
    took: Vec<Duration>,
    /// The numbers of failed calls, by the code of the error.
    failed: BTreeMap<String, u64>,
}

impl Measured {
    pub fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    pub fn json(&self) -> Value {
        let of = |percent| milliseconds(self.percentile(percent));
        json!({
            "answered": self.rate.json(),
            "p50_ms": of(50),
            "p99_ms": of(99),
            "most_ms": of(100),
            "failed": self.failed,
        })
    }

    pub fn text(&self, in_flight: u16) -> String {
        let of = |percent| milliseconds(self.percentile(percent));
        let latency = format!("p50 {:.3} ms, p99 {:.3} ms, most {:.3} ms", of(50), of(99), of(100));
        let lines =
            format!("{}\n{:<10} {in_flight} in flight: {latency}", self.rate.line("calls"), "");
        let failed = self.failed.iter().map(|(code, count)| format!("\n{count} failed: {code}"));
        failed.fold(lines, |text, line| text + &line)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.took.len() * percent).div_ceil(100).max(1) - 1;
        self.took.get(rank).copied().unwrap_or_default()
    }
}

pub async fn measure(options: &Options, config: &Config, name: &str) -> Result<Measured> {
    let procedure = format!("{name}.echo");
    let mut provider = config.clone();
    provider.most_handlers = provider.most_handlers.max(options.in_flight.into());
    let provider = client(&provider).await?;
    provider.register(&procedure, |args| async move { Ok(args) }).await?;
    let caller = client(config).await?;

    let size = usize::try_from(options.size)?;
    let args = Term::from(vec![b'x'; size]);
    let left = Arc::new(AtomicU32::new(options.calls));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..options.in_flight {
        callers.spawn(call(caller.clone(), procedure.clone(), args.clone(), left.clone()));
    }
    let (mut took, mut failed) = (Vec::new(), BTreeMap::new());
    while let Some(ended) = callers.join_next().await {
        for call in ended? {
            match call {
                Ok(one) => took.push(one),
                Err(code) => *failed.entry(code).or_default() += 1,
            }
        }
    }
    let elapsed = began.elapsed();
    caller.close().await;
    provider.close().await;
    took.sort_unstable();
    let count = u64::try_from(took.len())?;
    let rate = Rate { count, bytes: count * u64::from(options.size), took: elapsed };
    Ok(Measured { rate, took, failed })
}

/// Calls until no call is left to make; returns how long each took, or the code of its error.
async fn call(
    client: Client,
    procedure: String,
    args: Term,
    left: Arc<AtomicU32>,
) -> Vec<Result<Duration, String>> {
    let take = || left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    let mut done = Vec::new();
    while take().is_ok() {
        let began = Instant::now();
        done.push(match client.call(&procedure, args.clone(), WITHIN).await {
            Ok(result) if result == args => Ok(began.elapsed()),
            Ok(_) => Err("wrong_result".to_owned()),
            Err(error) => Err(error.code),
        });
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |count: u64| Measured {
            rate: Rate { count, bytes: 0, took: Duration::from_secs(1) },
            took: (1..=count).map(Duration::from_millis).collect(),
            failed: BTreeMap::new(),
        };
        let at = |count, percent| of(count).percentile(percent).as_millis();
        assert_eq!((at(100, 50), at(100, 99), at(100, 100)), (50, 99, 100));
        assert_eq!((at(1, 50), at(0, 50)), (1, 0));
    }
}
