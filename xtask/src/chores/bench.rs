//! `cargo xtask bench`: becomes the bench, a package of its own that the other chores do not wait for. It knows nothing
//! about what is measured.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::means::workspace;

#[derive(Debug, Args)]
pub struct Options {
    /// The bench's own: `cargo xtask bench --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub fn run(options: Options) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["run", "--package", "bench", "--bin", "bench", "--manifest-path"]);
    command.arg(workspace::root().join("Cargo.toml")).arg("--").args(options.arguments);
    // Files that the arguments name are looked for where the person is.
    let error = command.current_dir(env::current_dir()?).exec();
    Err(error).with_context(|| format!("cannot run {command:?}"))
}
