//! The binary `gateway`: its command line; everything else is in the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gateway::{client::cli, config, life};

/// A gateway of the macula mesh: realms, publish/subscribe and remote procedure calls over QUIC and TLS.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until SIGTERM
    #[command(after_help = RUN_HELP)]
    Run(Box<config::Options>),
    /// Speak to a gateway as a client
    #[command(subcommand)]
    Client(Box<cli::Command>),
}

/// Exit code of a client for its own failures, as for wrong usage.
const CLIENT_FAILED: u8 = 2;

const RUN_HELP: &str = "\
RELEASE_COOKIE is the secret that all gateways share; it has no flag, since arguments can be read by
everybody on the machine. SIGHUP reads realms and permissions anew.

Ends with 0 after SIGTERM, 2 for settings, 3 for a certificate, 4 for a port that cannot be had,
5 for anything else, 101 for a bug.

Example: gateway run --self-signed --realm be.cortexiq.energy";

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => life::run(*options),
        Command::Client(command) => match client(*command) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("gateway: {error:#}");
                ExitCode::from(CLIENT_FAILED)
            }
        },
    }
}

fn client(command: cli::Command) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli::run(command))
}
