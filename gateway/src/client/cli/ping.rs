//! `gateway client ping` measures round trips and prints them as ping(8) does.

use std::{io::Write, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, timeout};

use super::{Report, connection::Connection, milliseconds, stop::Stop};

#[derive(Debug, Args)]
pub struct Options {
    /// End after so many pings; until interrupted by default
    #[arg(short = 'n', long, visible_short_alias = 'c')]
    count: Option<u64>,
    /// From one to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = super::seconds)]
    interval: Duration,
    /// How to print round trips and statistics
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    output: Report,
    /// Print the statistics alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A ping without an answer for this long is lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let client = options.connection.connect().await?;
    let mut stop = Stop::listen()?;
    let config = client.config();
    let (address, transport) = (config.address.clone(), config.transport.name());
    let is_text = options.output == Report::Text;
    if is_text {
        writeln!(out, "PING {address} over {transport}, realm {}", config.realm)?;
    }
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
            () = stop.asked() => break,
        };
        times.sent += 1;
        let answer = answer
            .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))
            .and_then(|answer| answer.map_err(|error| error.to_string()));
        if let Ok(took) = answer {
            times.add(took);
        }
        let line = match (answer, options.output) {
            (Ok(took), Report::Text) => {
                format!("pong from {address}: seq={number} time={:.3} ms", milliseconds(took))
            }
            (Err(why), Report::Text) => format!("no pong: seq={number} {why}"),
            (Ok(took), Report::Json) => {
                json!({ "seq": number, "ms": milliseconds(took) }).to_string()
            }
            (Err(why), Report::Json) => json!({ "seq": number, "error": why }).to_string(),
        };
        if !options.quiet {
            writeln!(out, "{line}")?;
            out.flush()?;
        }
    }
    if is_text {
        writeln!(out, "--- {address} ping statistics ---\n{}", times.summary())?;
    } else {
        writeln!(out, "{}", times.json())?;
    }
    out.flush()?;
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
    /// The timestamp, in seconds.
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
        let Some(of) = self.spread() else { return counts };
        let of = of.map(|ms| format!("{ms:.3}")).join("/");
        format!("{counts}\nrtt min/avg/max/mdev = {of} ms")
    }

    fn json(&self) -> Value {
        let [least, mean, most, deviation] = self.spread().map_or([None; 4], |of| of.map(Some));
        json!({
            "sent": self.sent,
            "answered": self.answered,
            "min_ms": least,
            "avg_ms": mean,
            "max_ms": most,
            "mdev_ms": deviation,
        })
    }

    /// The shortest, mean and longest time and the standard deviation, in milliseconds.
    fn spread(&self) -> Option<[f64; 4]> {
        let least = self.least?;
        let mean = self.sum / self.answered;
        let variance = self.sum_of_squares / f64::from(self.answered) - mean.as_secs_f64().powi(2);
        let deviation = Duration::from_secs_f64(variance.max(0.0).sqrt());
        Some([least, mean, self.most, deviation].map(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_that_of_ping() {
        let mut times = Times { sent: 3, ..Times::default() };
        assert_eq!(times.summary(), "3 sent, 0 answered, 100% lost");
        assert_eq!(times.json()["min_ms"], Value::Null);
        times.add(Duration::from_millis(1));
        times.add(Duration::from_millis(3));
        let expect =
            "3 sent, 2 answered, 33% lost\nrtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms";
        assert_eq!(times.summary(), expect);
        assert_eq!(times.json()["mdev_ms"], 1.0);
    }
}
