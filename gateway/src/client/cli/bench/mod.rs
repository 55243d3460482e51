//! `gateway client bench` measures how fast a gateway passes on messages and calls. Each message carries its publisher and a
//! number, so the benchmark sees a message that is missing, late or doubled.

mod calls;
mod messages;

use std::{io::Write, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{
    Report,
    connection::{Connection, connect},
};
use crate::{
    client::{self, Client, Config},
    wire::id::NodeId,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Of each payload
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = clap::value_parser!(u32).range(16..))]
    size: u32,
    /// Messages of each publisher; 0 measures calls only
    #[arg(short = 'n', long, default_value = "100000")]
    count: u64,
    /// Clients that publish, each on a connection of its own
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    publishers: u16,
    /// Clients that subscribe to all of it, each on a connection of its own
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    subscribers: u16,
    /// Calls; 0 measures messages only
    #[arg(long, default_value = "10000")]
    calls: u32,
    /// Calls under way at a time
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// How to print what was measured
    #[arg(short, long, value_enum, default_value_t = Report::Text)]
    output: Report,
    #[command(flatten)]
    connection: Connection,
}

/// How many there were, and how long they took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    count: u64,
    bytes: u64,
    took: Duration,
}

impl Rate {
    #[allow(clippy::cast_precision_loss)] // Rates are for reading.
    fn of(self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    fn json(self) -> Value {
        json!({
            "count": self.count,
            "seconds": self.took.as_secs_f64(),
            "per_second": self.of(self.count).round(),
            "bytes_per_second": self.of(self.bytes).round(),
        })
    }

    fn line(self, name: &str) -> String {
        let (rate, megabytes) = (self.of(self.count), self.of(self.bytes) / 1e6);
        let (count, took) = (self.count, self.took.as_secs_f64());
        format!("{name:<10} {count:>12} in {took:>8.3} s {rate:>12.0} /s {megabytes:>10.1} MB/s")
    }
}

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let config = options.connection.config()?;
    if config.certificate.is_some() {
        bail!(
            "bench makes several connections, and those of one proven node replace each other: \
             leave out --cert and --key"
        );
    }
    // Two runs at the same time use names of their own.
    let run = u64::from_be_bytes(client::random());
    let name = format!("bench.{run:016x}");
    let messages = match options.count {
        0 => None,
        _ => Some(messages::measure(&options, &config, &name).await?),
    };
    let calls = match options.calls {
        0 => None,
        _ => Some(calls::measure(&options, &config, &name).await?),
    };
    match options.output {
        Report::Json => {
            let object = json!({
                "address": config.address,
                "transport": config.transport.name(),
                "payload_bytes": options.size,
                "publishers": options.publishers,
                "subscribers": options.subscribers,
                "messages": messages.as_ref().map(messages::Measured::json),
                "in_flight": options.in_flight,
                "calls": calls.as_ref().map(calls::Measured::json),
            });
            writeln!(out, "{object}")?;
        }
        Report::Text => {
            let (publishers, subscribers) = (options.publishers, options.subscribers);
            let (address, transport) = (&config.address, config.transport.name());
            let size = options.size;
            writeln!(out, "{address} over {transport}, {size} bytes, {publishers}:{subscribers}")?;
            if let Some(messages) = &messages {
                writeln!(out, "{}", messages.text())?;
            }
            if let Some(calls) = &calls {
                writeln!(out, "{}", calls.text(options.in_flight))?;
            }
        }
    }
    out.flush()?;
    let good = messages.is_none_or(|it| it.is_good()) && calls.is_none_or(|it| it.is_good());
    Ok(u8::from(!good))
}

/// Connects as a node of its own.
async fn client(config: &Config) -> Result<Client> {
    connect(Config { node_id: NodeId(client::random()), ..config.clone() }).await
}
