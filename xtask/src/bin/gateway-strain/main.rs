//! Loads a gateway: `gateway-strain MEASUREMENT`, one for each of the subcommands. Each prints one JSON object a line. It is
//! a program of its own, so that its memory and its descriptors are not the gateway's, and so that the other chores need not
//! compile QUIC first. What the figures must be is not known here.

mod client;
mod handshakes;
mod idle;
mod latency;
mod stop;
mod stuck;
mod trust;

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
        gateway: Gateway,
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
        gateway: Gateway,
        #[command(flatten)]
        options: stuck::Options,
    },
    /// Load a gateway, say so, and count how its clients fare when it is stopped
    Stop(stop::Options),
}

/// What is loaded.
#[derive(Debug, Args)]
struct Gateway {
    #[arg(long)]
    at: SocketAddr,
    #[arg(long, value_enum)]
    over: Over,
}

impl Gateway {
    fn road(&self) -> anyhow::Result<Road> {
        Road::new(self.at, self.over)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().measurement {
        Measurement::Idle { gateway, connections } => {
            let (held, connected) = idle::connect(gateway.road()?, connections).await?;
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
        Measurement::Stuck { gateway, options } => {
            println!("{}", stuck::measure(&gateway.road()?, options).await?);
        }
        Measurement::Stop(options) => {
            let loaded = || println!("{}", json!({ "loaded": true }));
            println!("{}", stop::measure(options, loaded).await?);
        }
    }
    Ok(())
}
