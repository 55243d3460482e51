//! Finds the emulator that boots other kernels, or gets it: installed, or, where a package that the machine has stands in its
//! way, unpacked aside. It knows nothing of what is booted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::means::packages::{self, Package};
use crate::means::{exec, workspace};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: Package = Package {
    name: "qemu-system-x86",
    proof: PROGRAM,
    why: "to boot other kernels than this machine's",
};

/// Where the libraries of Debian's packages lie.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
/// Folders of firmware.
const FIRMWARE: [&str; 3] = ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"];

/// An emulator that can be run.
pub struct Qemu {
    /// Where its packages were unpacked, if they are not installed.
    aside: Option<PathBuf>,
}

impl Qemu {
    /// Finds or gets it.
    ///
    /// # Errors
    ///
    /// When it is not there and can neither be installed nor unpacked.
    pub fn find_or_fetch() -> Result<Self> {
        if workspace::on_path(PROGRAM).is_some() {
            return Ok(Self { aside: None });
        }
        let aside = workspace::cache("tools/qemu");
        if aside.join("usr/bin").join(PROGRAM).exists() {
            return Ok(Self { aside: Some(aside) });
        }
        let Err(refused) = packages::ensure(&[PACKAGE]) else { return Ok(Self { aside: None }) };
        if !packages::can_install() {
            return Err(refused);
        }
        eprintln!(
            "xtask: {PROGRAM} cannot be installed beside what is there: it is unpacked aside"
        );
        unpack(&aside).with_context(|| format!("{refused:#}; nor can it be unpacked"))?;
        Ok(Self { aside: Some(aside) })
    }

    pub fn command(&self) -> Command {
        let Some(aside) = &self.aside else { return Command::new(PROGRAM) };
        let mut command = Command::new(aside.join("usr/bin").join(PROGRAM));
        let folders = LIBRARIES.map(|folder| aside.join(folder));
        let within = folders.iter().flat_map(|folder| subfolders(folder));
        let path: Vec<String> = folders
            .iter()
            .cloned()
            .chain(within)
            .map(|folder| folder.display().to_string())
            .collect();
        command.env("LD_LIBRARY_PATH", path.join(":"));
        for folder in FIRMWARE {
            command.arg("-L").arg(aside.join(folder));
        }
        command
    }
}

/// Some libraries lie in a folder of their own (`pulseaudio`).
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Downloads the package with all that it depends on and the machine lacks, and unpacks it. Nothing is installed, so that
/// nothing has to make way.
fn unpack(into: &Path) -> Result<()> {
    let archives = tempfile::tempdir().context("cannot create a temporary folder")?;
    fs::create_dir(archives.path().join("partial")).context("cannot create a folder")?;
    packages::download(PACKAGE.name, archives.path())?;
    let mut packages = Vec::new();
    for entry in fs::read_dir(archives.path()).context("cannot list what was downloaded")? {
        let path = entry.context("cannot list what was downloaded")?.path();
        packages.extend(path.extension().is_some_and(|it| it == "deb").then_some(path));
    }
    if packages.is_empty() {
        bail!("apt-get downloaded nothing for {}", PACKAGE.name);
    }
    let fresh = into.with_extension("new");
    // dpkg-deb makes the last folder only, and refuses where the one above it is missing.
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    for package in packages {
        exec::run_quietly(Command::new("dpkg-deb").arg("-x").arg(package).arg(&fresh))?;
    }
    // Whole or not at all.
    fs::rename(&fresh, into).with_context(|| format!("cannot create {}", into.display()))
}
