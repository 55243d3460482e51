//! `cargo xtask lint`: format, clippy, the house rules, the dependencies' licences and sources. It
//! knows which checks there are, not what they check.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{exec, tidy, workspace};

/// The version of cargo-deny whose configuration format deny.toml is written in.
const CARGO_DENY: &str = "0.19";

#[derive(Debug, Args)]
pub struct Options {
    /// Install cargo-deny under target/tools if it is missing, so that no check is skipped
    #[arg(long)]
    deny: bool,
}

pub fn run(options: Options) -> Result<()> {
    tidy::check(&workspace::root())?;
    exec::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    exec::run(workspace::cargo().args(CLIPPY))?;
    match cargo_deny(options.deny)? {
        // The advisory database is a download of its own, at every run: not a part of a check
        // that must work without network.
        Some(deny) => exec::run(
            std::process::Command::new(deny)
                .current_dir(workspace::root())
                .args(["check", "bans", "licenses", "sources"]),
        ),
        None => {
            eprintln!("xtask: cargo-deny is not installed: licences not checked (--deny installs)");
            Ok(())
        }
    }
}

const CLIPPY: [&str; 8] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--features",
    "xtask/shell-files",
    "--",
    "-D",
    "warnings",
];

fn cargo_deny(install: bool) -> Result<Option<PathBuf>> {
    let root = workspace::cache("tools/cargo-deny");
    let ours = root.join("bin/cargo-deny");
    if ours.is_file() {
        return Ok(Some(ours));
    }
    let found = workspace::on_path("cargo-deny");
    if found.is_some() || !install {
        return Ok(found);
    }
    eprintln!("xtask: building cargo-deny {CARGO_DENY} (some minutes, once)");
    let mut command = workspace::cargo();
    command.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked"]);
    exec::run(command.args(["--no-track", "--root"]).arg(&root))?;
    Ok(Some(ours))
}
