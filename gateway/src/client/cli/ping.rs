//! `gateway client ping`: round trips, as ping(8) shows them.

use std::{io::Write, time::Duration};

use anyhow::Result;
use clap::Args;
use tokio::time::{MissedTickBehavior, timeout};

use super::{connection::Connection, milliseconds};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    connection: Connection,
    /// End after so many pings; until interrupted by default
    #[arg(short, long)]
    count: Option<u64>,
    /// Seconds between two
    #[arg(short, long, default_value = "1", value_parser = super::seconds)]
    interval: Duration,
}

/// A ping without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let client = options.connection.connect().await?;
    let config = client.config();
    let (address, transport) = (config.address.clone(), config.transport.name());
    writeln!(out, "PING {address} over {transport}, realm {}", config.realm)?;
    let mut ticks = tokio::time::interval(options.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Times::default();
    for number in 1..=options.count.unwrap_or(u64::MAX) {
        let ping = async {
            ticks.tick().await;
            timeout(PATIENCE, client.ping()).await
        };
        let answer = tokio::select! {
            answer = ping => answer,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        };
        times.sent += 1;
        match answer {
            Ok(Ok(took)) => {
                times.add(took);
                writeln!(out, "pong from {address}: seq={number} time={} ms", milliseconds(took))?;
            }
            Ok(Err(error)) => writeln!(out, "no pong: seq={number} {error}")?,
            Err(_) => writeln!(out, "no pong: seq={number} within {} s", PATIENCE.as_secs())?,
        }
        out.flush()?;
    }
    writeln!(out, "--- {address} ping statistics ---\n{}", times.summary())?;
    client.close().await;
    Ok(u8::from(times.answered == 0))
}

#[derive(Debug, Default)]
struct Times {
    sent: u64,
    answered: u32,
    least: Option<Duration>,
    most: Duration,
    sum: Duration,
    /// Seconds.
    sum_of_squares: f64,
}

impl Times {
    fn add(&mut self, took: Duration) {
        self.answered = self.answered.saturating_add(1);
        self.least = Some(self.least.map_or(took, |least| least.min(took)));
        self.most = self.most.max(took);
        self.sum += took;
        self.sum_of_squares += took.as_secs_f64().powi(2);
    }

    fn summary(&self) -> String {
        let answered = u64::from(self.answered);
        let lost = self.sent.saturating_sub(answered) * 100 / self.sent.max(1);
        let counts = format!("{} sent, {answered} answered, {lost}% lost", self.sent);
        let Some(least) = self.least else { return counts };
        let mean = self.sum / self.answered;
        let variance = self.sum_of_squares / f64::from(self.answered) - mean.as_secs_f64().powi(2);
        let deviation = Duration::from_secs_f64(variance.max(0.0).sqrt());
        let of = [least, mean, self.most, deviation].map(milliseconds).join("/");
        format!("{counts}\nrtt min/avg/max/mdev = {of} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_that_of_ping() {
        let mut times = Times { sent: 3, ..Times::default() };
        assert_eq!(times.summary(), "3 sent, 0 answered, 100% lost");
        times.add(Duration::from_millis(1));
        times.add(Duration::from_millis(3));
        let expect =
            "3 sent, 2 answered, 33% lost\nrtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms";
        assert_eq!(times.summary(), expect);
    }
}
