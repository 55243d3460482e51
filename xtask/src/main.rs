//! `cargo xtask`: runs the chore that the command line names. It knows none of them.

use std::process::ExitCode;

use clap::Parser;
use xtask::chores::Chore;

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

fn main() -> ExitCode {
    // An error is for the person who ran the chore: no backtrace, whatever the environment asks.
    if let Err(error) = Xtask::parse().chore.run() {
        eprintln!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
