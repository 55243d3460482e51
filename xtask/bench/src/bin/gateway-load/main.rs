//! Loads one message server and measures how fast it passes messages or calls. The same program for every peer, so that the
//! servers differ and nothing else. It prints one JSON object for a cell; `cargo xtask bench` knows what to make of it.
//! `gateway-load sink` is the other end of a transfer over quinn alone, `gateway-load certificate` makes the pair that all
//! servers show.

mod batch;
mod calls;
mod certificate;
mod heard;
mod link;
mod macula;
mod messages;
mod mqtt;
mod nats;
mod progress;
mod quinn_alone;
mod sequence;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use self::link::Peer;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure one cell of a server that runs, with `--messages` or `--calls`
    Measure(Cell),
    /// Take what `measure --peer quinn` sends, until this is killed; says `ready ADDRESS` on stderr first
    Sink {
        /// Folder with tls.crt and tls.key
        folder: PathBuf,
    },
    /// Write tls.crt and tls.key for localhost into a folder
    Certificate { folder: PathBuf },
}

#[derive(Debug, Args)]
pub struct Cell {
    /// What the server is, and how it is reached
    #[arg(long, value_enum)]
    peer: Peer,
    #[arg(long)]
    address: SocketAddr,
    /// Certificate that the server shows
    #[arg(long)]
    certificate: PathBuf,
    /// Bytes of each payload
    #[arg(long, value_parser = clap::value_parser!(u32).range(16..=65536))]
    size: u32,
    /// Clients that receive every message, each on a connection of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    subscribers: u16,
    /// Messages that count; a fifth of them go before, to warm up
    #[arg(long, conflicts_with = "calls")]
    messages: Option<u64>,
    /// Bytes that the publisher is ahead of the last subscriber at most: payloads, and 128 for what is around each
    #[arg(long, default_value_t = 4 << 20)]
    window: u64,
    /// Calls that count
    #[arg(long)]
    calls: Option<u32>,
    /// Calls under way at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
}

fn main() -> ExitCode {
    // An error is for the person who reads a benchmark: no backtrace, whatever the environment asks.
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Certificate { folder } => certificate::write(&folder),
        Command::Sink { folder } => runtime.block_on(quinn_alone::sink(&folder)),
        Command::Measure(cell) => {
            let printed = match (cell.messages, cell.calls, cell.peer) {
                (Some(messages), None, Peer::Quinn) => {
                    runtime.block_on(quinn_alone::measure(&cell, messages))?
                }
                (Some(messages), None, _) => {
                    runtime.block_on(messages::measure(&cell, messages))?
                }
                (None, Some(calls), _) => runtime.block_on(calls::measure(&cell, calls))?,
                _ => bail!("one of --messages and --calls is needed"),
            };
            println!("{printed}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
