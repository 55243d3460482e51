//! Installs the programs of the set by their ordinary clients: apt-get, pip, npm. It knows no death.

use std::fs;
use std::path::Path;
use std::process::Command;

use ::tests::wild::Family;
use anyhow::{Context as _, Result};

use crate::means::{exec, packages, workspace};

/// The same folders on every machine, since recordings name them.
const PYTHON: &str = "/opt/wild/python";
const NODE: &str = "/opt/wild/node";

pub fn all(families: &[Family]) -> Result<()> {
    let all_of = |list: fn(&Family) -> &[String]| {
        let mut names: Vec<&str> = families.iter().flat_map(list).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    debian(&all_of(|family| &family.debian))?;
    pypi(&all_of(|family| &family.pypi))?;
    npm(&all_of(|family| &family.npm))
}

fn debian(names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names
        .iter()
        .map(|name| name.split_once('=').unwrap_or((name, "")))
        .filter(|(name, program)| !is_installed(name) && workspace::on_path(program).is_none())
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() { Ok(()) } else { packages::install(&missing) }
}

fn is_installed(name: &str) -> bool {
    let asked =
        exec::stdout(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", name]));
    asked.is_ok_and(|status| status == "installed")
}

fn pypi(names: &[&str]) -> Result<()> {
    let pip = Path::new(PYTHON).join("bin/pip");
    if !pip.exists() {
        // Debian's interpreter, whatever else comes first on PATH.
        exec::run_quietly(
            Command::new("/usr/bin/python3").args(["-m", "venv", "--copies", PYTHON]),
        )?;
    }
    exec::run_quietly(Command::new(pip).args(["install", "--quiet"]).args(names))
}

fn npm(names: &[&str]) -> Result<()> {
    fs::create_dir_all(NODE).with_context(|| format!("cannot make {NODE}"))?;
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !Path::new(NODE).join("node_modules").join(name).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-fund", "--no-audit"]).args(missing).current_dir(NODE);
    exec::run_quietly(&mut npm)
}
