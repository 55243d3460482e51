//! Builds programs of crates.io that chores use, once, into `target/tools`. It knows no tool.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::means::{exec, workspace};

/// A program from crates.io, at one version for everybody.
#[derive(Debug)]
pub struct Tool {
    /// The crate's and the program's name.
    pub name: &'static str,
    pub version: &'static str,
    /// What else tells two builds of that version apart, as the end of the folder's name.
    pub variant: String,
    /// How long a person must wait for it.
    pub takes: &'static str,
}

impl Tool {
    /// The program, where it has been built already.
    pub fn built(&self) -> Option<PathBuf> {
        let program = self.folder().join("bin").join(self.name);
        program.is_file().then_some(program)
    }

    /// Builds it; `configure` adds features and variables to the `cargo install`.
    pub fn build(&self, configure: impl FnOnce(&mut Command)) -> Result<PathBuf> {
        eprintln!("xtask: building {} {} ({}, once)", self.name, self.version, self.takes);
        let started = Instant::now();
        let scratch = workspace::cache("tools/build").join(self.name);
        let mut command = Command::new("cargo");
        command
            .args(["install", self.name, "--version", self.version, "--locked", "--no-track"])
            // It would advise to put a folder on PATH that nobody needs there.
            .arg("--quiet")
            .arg("--root")
            .arg(self.folder())
            .arg("--target-dir")
            .arg(&scratch)
            // It runs for seconds: waiting for its optimisation would take longer.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            // Flags meant for our own programs are not meant for a tool.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET");
        configure(&mut command);
        exec::run(&mut command)?;
        eprintln!("xtask: built {} in {:.0?}", self.name, started.elapsed());
        // What was compiled on the way is of no more use, and is large.
        let _ = std::fs::remove_dir_all(scratch);
        Ok(self.folder().join("bin").join(self.name))
    }

    fn folder(&self) -> PathBuf {
        workspace::cache("tools").join(format!("{}-{}{}", self.name, self.version, self.variant))
    }
}
