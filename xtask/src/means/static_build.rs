//! Builds this workspace's programs static, so that they run on a root that has nothing else: a virtual machine's or an
//! image's. It knows cargo, not what they do.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::means::{exec, workspace};

/// How the programs are compiled: the name is that of cargo's profile and of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// As they are shipped
    Dist,
    /// Some minutes sooner
    Release,
}

impl Profile {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dist => "dist",
            Self::Release => "release",
        }
    }
}

/// Builds a program of the package of the same name, for this machine's architecture.
///
/// # Errors
///
/// When it does not compile.
pub fn program(name: &str, profile: Profile) -> Result<PathBuf> {
    let host = host()?;
    let mut command = cargo("build", profile, &host);
    exec::run(command.args(["--locked", "--package", name, "--bin", name]))?;
    let file = folder().join(&host).join(profile.name()).join(name);
    ensure!(file.is_file(), "cargo built no {}", file.display());
    Ok(file)
}

/// This machine, as the compiler calls it.
pub fn host() -> Result<String> {
    let version = exec::stdout(workspace::cargo().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.with_context(|| format!("cargo does not say what it runs on:\n{version}"))?.to_owned())
}

/// cargo for static programs, in a target folder of its own: other flags would make everything in
/// the usual one stale. With the target named, macros and build scripts stay as they are.
pub fn cargo(verb: &str, profile: Profile, host: &str) -> Command {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(workspace::remapped_paths(&workspace::root(), "/macula"));
    let mut command = workspace::cargo();
    command
        .args([verb, "--profile", profile.name(), "--target", host, "--target-dir"])
        .arg(folder())
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // All of it has to fit into a small machine. A panic still says its file and line.
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    command
}

fn folder() -> PathBuf {
    workspace::cache("static")
}
