//! Loads a gateway: `gateway-strain MEASUREMENT`, one for each of the subcommands. Each prints one JSON object a line. It is
//! a program of its own, so that its memory and its descriptors are not the gateway's, and so that the other chores need not
//! compile QUIC first. What the figures must be is not known here.

mod client;
mod handshakes;
mod idle;
mod latency;
mod stop;
mod stuck;

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use serde_json::json;

use self::client::{Over, Road};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Connect clients that say nothing, and hold them until this process is ended
    Idle {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: u32,
    },
    /// Shake hands over QUIC, as often as it goes
    Handshakes {
        #[arg(long)]
        at: SocketAddr,
        #[arg(long)]
        seconds: u64,
    },
    /// Be what they are compared with: quinn alone, until this process is ended
    Floor,
    /// Publish at a steady rate to subscribers of whom one may be stuck
    Stuck {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: stuck::Options,
    },
    /// Load a gateway, say so, and count how its clients fare when it is stopped
    Stop(stop::Options),
}

/// What is loaded.
#[derive(Debug, Args)]
struct Target {
    #[arg(long)]
    at: SocketAddr,
    #[arg(long, value_enum)]
    over: Over,
}

impl Target {
    fn road(&self) -> anyhow::Result<Road> {
        Road::new(self.at, self.over)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().measurement {
        Measurement::Idle { target, connections } => {
            let (held, connected) = idle::connect(target.road()?, connections).await?;
            println!("{connected}");
            held.keep().await?;
        }
        Measurement::Handshakes { at, seconds } => {
            println!("{}", handshakes::shake(Road::new(at, Over::Quic)?, seconds).await?);
        }
        Measurement::Floor => {
            let (endpoint, at) = handshakes::floor()?;
            println!("{}", json!({ "at": at }));
            handshakes::accept(endpoint).await;
        }
        Measurement::Stuck { target, options } => {
            println!("{}", stuck::measure(&target.road()?, options).await?);
        }
        Measurement::Stop(options) => {
            let loaded = || println!("{}", json!({ "loaded": true }));
            println!("{}", stop::measure(options, loaded).await?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
