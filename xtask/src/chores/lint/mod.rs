//! `cargo xtask lint`: format, clippy, the house rules, the dependencies' licences and sources. It
//! knows which checks there are, not what they check.

mod causes;
mod circles;
mod prototypes;
mod source;
mod tidy;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::means::tools::Tool;
use crate::means::{exec, workspace};

#[derive(Debug, Args)]
pub struct Options {
    /// Build cargo-deny under target/tools if it is missing, so that no check is skipped
    #[arg(long)]
    deny: bool,
}

/// Runs all checks, so that one run shows all that is wrong.
pub fn run(options: Options) -> Result<()> {
    let checks = [
        ("house rules", tidy::check(&workspace::root())),
        ("circles", circles::check(&workspace::root())),
        ("prototypes of hooks", prototypes::check(&workspace::root())),
        ("causes", causes::check(&workspace::root())),
        ("format", exec::run(workspace::cargo().args(["fmt", "--all", "--check"]))),
        ("format of zenoh-load", exec::run(workspace::cargo().args(FORMAT_OF_ZENOH_LOAD))),
        ("clippy", exec::run(workspace::cargo().args(CLIPPY))),
        ("dependencies", dependencies(options.deny)),
    ];
    let mut failed = Vec::new();
    for (name, result) in checks {
        if let Err(error) = result {
            eprintln!("xtask: {name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    Ok(())
}

/// It is no member of the workspace. Clippy leaves it out: it would compile all of Zenoh first, for
/// minutes. The house rules are checked there too.
const FORMAT_OF_ZENOH_LOAD: [&str; 4] =
    ["fmt", "--check", "--manifest-path", "xtask/bench/zenoh-load/Cargo.toml"];

const CLIPPY: [&str; 7] =
    ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];

/// Licences, sources and bans by deny.toml. The advisory database is no part of it: it is a
/// download at every run, and this must work without network.
fn dependencies(install: bool) -> Result<()> {
    let Some(deny) = cargo_deny(install)? else {
        eprintln!("xtask: cargo-deny is not installed: licences not checked (--deny builds it)");
        return Ok(());
    };
    let mut command = Command::new(deny);
    command.current_dir(workspace::root());
    exec::run(command.args(["--log-level", "error", "check", "bans", "licenses", "sources"]))
}

fn cargo_deny(install: bool) -> Result<Option<PathBuf>> {
    let tool = Tool {
        name: "cargo-deny",
        version: "0.19.9",
        variant: String::new(),
        takes: "some minutes",
    };
    match tool.built().or_else(|| workspace::on_path("cargo-deny")) {
        None if install => tool.build(|_| {}).map(Some),
        found => Ok(found),
    }
}
