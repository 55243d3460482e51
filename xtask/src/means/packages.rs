//! Puts Debian packages on a machine that lacks them, or says how to. It knows apt, not what the
//! packages are for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

use crate::means::{exec, workspace};

/// One package that a chore needs.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// The Debian package's name.
    pub name: &'static str,
    /// What proves that it is there, however it came: a program on PATH, or an absolute path.
    pub proof: &'static str,
    /// What it is needed for, as the end of "needed ...".
    pub why: &'static str,
}

impl Package {
    fn is_missing(&self) -> bool {
        if self.proof.starts_with('/') {
            return !Path::new(self.proof).exists();
        }
        workspace::on_path(self.proof).is_none()
    }
}

/// Sees to it that all packages are there, installing only those that are missing.
///
/// # Errors
///
/// When some are missing and this is not root on Debian or Ubuntu (the error has the command to
/// run), or when apt-get fails.
pub fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages.iter().filter(|package| package.is_missing()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !can_install() {
        let reasons: Vec<String> =
            missing.iter().map(|p| format!("  {} is needed {}", p.proof, p.why)).collect();
        bail!(
            "missing programs:\n{}\nOn Debian or Ubuntu: {}",
            reasons.join("\n"),
            install_line(&names)
        );
    }
    install(&names)?;
    match missing.iter().find(|package| package.is_missing()) {
        Some(package) => {
            bail!("package {} is installed, but {} is not there", package.name, package.proof)
        }
        None => Ok(()),
    }
}

/// Whether we may install packages by ourselves: root, with apt-get.
pub fn can_install() -> bool {
    rustix::process::geteuid().is_root() && workspace::on_path("apt-get").is_some()
}

/// The command for a person who installs packages by hand.
pub fn install_line(names: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install -y {}", names.join(" "))
}

/// Installs packages; never removes one that is in their way, and starts none of their services: only
/// programs are wanted of them.
pub fn install(names: &[&str]) -> Result<()> {
    update()?;
    let _none_started = ServicePolicy::start_none()?;
    eprintln!("xtask: installing {} (apt-get)", names.join(", "));
    exec::run_quietly(
        apt_get().args(["install", "-y", "--no-remove", "--no-install-recommends"]).args(names),
    )
    .with_context(|| {
        format!("cannot install packages; by hand it would be: {}", install_line(names))
    })
}

/// Downloads a package and those of its dependencies that are not installed into a folder; nothing is installed.
pub fn download(name: &str, into: &Path) -> Result<()> {
    update()?;
    exec::run_quietly(
        apt_get()
            .args(["install", "-y", "--download-only", "--no-install-recommends"])
            .arg("-o")
            .arg(format!("Dir::Cache::archives={}", into.display()))
            // The download needs no other user: the folder is ours alone.
            .args(["-o", "APT::Sandbox::User=root"])
            .arg(name),
    )
}

/// The version that apt would install, without its epoch and Debian revision: `1.96.0+dfsg1`.
pub fn candidate(name: &str) -> Result<Option<String>> {
    update()?;
    let policy = exec::stdout(Command::new("apt-cache").args(["policy", name]).env("LC_ALL", "C"))?;
    Ok(candidate_of(&policy))
}

fn candidate_of(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    if version == "(none)" {
        return None;
    }
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    Some(version.rsplit_once('-').map_or(version, |(upstream, _)| upstream).to_owned())
}

/// The local policy of invoke-rc.d(8) and deb-systemd-invoke(1p), for as long as packages are installed. One
/// that the machine already has is left as it is.
struct ServicePolicy {
    ours: bool,
}

impl ServicePolicy {
    const FILE: &str = "/usr/sbin/policy-rc.d";

    fn start_none() -> Result<Self> {
        let ours = !Path::new(Self::FILE).exists();
        if ours {
            let written = fs::write(Self::FILE, "#!/bin/sh\nexit 101\n")
                .and_then(|()| fs::set_permissions(Self::FILE, fs::Permissions::from_mode(0o755)));
            written.with_context(|| format!("cannot write {}", Self::FILE))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(Self::FILE)
        {
            eprintln!("xtask: remove {} by hand: {error}", Self::FILE);
        }
    }
}

/// Refreshes apt's package lists, once in our own run.
fn update() -> Result<()> {
    static UPDATED: OnceLock<Result<(), String>> = OnceLock::new();
    let updated = UPDATED.get_or_init(|| {
        eprintln!("xtask: refreshing package lists (apt-get update)");
        exec::run_quietly(apt_get().arg("update")).map_err(|error| format!("{error:#}"))
    });
    updated.clone().map_err(anyhow::Error::msg)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_version_is_read_from_apts_answer() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1:1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate_of(policy).as_deref(), Some("1.96.0+dfsg1"));
    }

    #[test]
    fn a_package_without_candidate_cannot_be_installed() {
        assert_eq!(candidate_of("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_of(""), None);
    }
}
