//! Kernels from Debian's archive, unpacked but not installed, and kept. Only the image is taken:
//! nothing that the tests need is a module in Debian's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::means::{exec, packages, workspace};

/// A long-term series that Debian 12 ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Series {
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
}

/// A kernel that can be booted.
#[derive(Debug)]
pub struct Kernel {
    /// As `uname -r` says it.
    pub release: String,
    pub image: PathBuf,
}

impl Series {
    pub const ALL: [Series; 2] = [Series::V6_1, Series::V6_12];

    fn number(self) -> &'static str {
        match self {
            Series::V6_1 => "6.1",
            Series::V6_12 => "6.12",
        }
    }

    /// Where its images are kept, as `vmlinuz-RELEASE`. Whoever has no apt can put one there.
    fn folder(self) -> PathBuf {
        workspace::cache("vm/kernels").join(self.number())
    }
}

/// The newest image of the series that is kept, else the newest of the archive.
///
/// # Errors
///
/// When there is none and it cannot be downloaded; the error says how to do it by hand.
pub fn find_or_fetch(series: Series) -> Result<Kernel> {
    if let Some(kernel) = kept(series) {
        return Ok(kernel);
    }
    // Package lists may be absent, or older than the archive: refresh them, but only then.
    if fetch(series).is_err() && packages::can_install() {
        eprintln!("xtask: refreshing package lists (apt-get update)");
        exec::run_quietly(Command::new("apt-get").args(["-q", "update"]))?;
        fetch(series).with_context(|| by_hand(series))?;
    }
    kept(series).with_context(|| by_hand(series))
}

fn kept(series: Series) -> Option<Kernel> {
    let files = fs::read_dir(series.folder()).ok()?;
    let releases = files.filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        Some(name.strip_prefix("vmlinuz-")?.to_owned())
    });
    let release = releases.max_by_key(|release| numbers(release))?;
    let image = series.folder().join(format!("vmlinuz-{release}"));
    Some(Kernel { release, image })
}

fn fetch(series: Series) -> Result<()> {
    let prefix = format!("linux-image-{}.", series.number());
    let names = exec::stdout(Command::new("apt-cache").args(["pkgnames", &prefix]))?;
    let package = newest(&names).with_context(|| format!("apt knows no {prefix}*-amd64"))?;
    eprintln!("xtask: downloading {package} (once)");

    fs::create_dir_all(series.folder())?;
    let scratch = tempfile::tempdir_in(series.folder())?;
    // As root apt would download as a user of its own, who may not write here.
    let download = ["-q", "-o", "APT::Sandbox::User=root", "download", package];
    exec::run_quietly(Command::new("apt-get").args(download).current_dir(scratch.path()))?;
    let file = fs::read_dir(scratch.path())?.next().context("apt-get downloaded nothing")??;
    unpack_image(&file.path(), scratch.path())?;
    for image in fs::read_dir(scratch.path().join("boot"))? {
        let image = image?;
        fs::rename(image.path(), series.folder().join(image.file_name()))?;
    }
    Ok(())
}

/// Modules are hundreds of megabytes: they are left packed.
fn unpack_image(package: &Path, to: &Path) -> Result<()> {
    let mut files = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let stream = files.stdout.take().context("dpkg-deb has no stdout")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--wildcards", "./boot/vmlinuz-*"]).current_dir(to).stdin(stream);
    let unpacked = exec::run(&mut tar);
    ensure!(files.wait()?.success(), "{} cannot be unpacked", package.display());
    unpacked
}

fn by_hand(series: Series) -> String {
    format!(
        "no Linux {} to boot: on Debian 12 run `sudo apt-get update` and start this again; \
         elsewhere put an image of Debian's, vmlinuz-{}.*-amd64, into {}",
        series.number(),
        series.number(),
        series.folder().display()
    )
}

/// The newest plain image package; `cloud`, `rt` and unsigned ones are other kernels.
fn newest(names: &str) -> Option<&str> {
    names.lines().filter(|name| is_plain(name)).max_by_key(|name| numbers(name))
}

fn is_plain(name: &str) -> bool {
    let version = name.strip_prefix("linux-image-").and_then(|rest| rest.strip_suffix("-amd64"));
    version.is_some_and(|version| {
        let parts = version.split(['.', '-', '+']);
        parts.into_iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()) || is_suite(part))
    })
}

/// A backport names the Debian release it was made for: `6.12.9+deb12`, `6.12.9+bpo`.
fn is_suite(part: &str) -> bool {
    part.starts_with("deb") || part == "bpo"
}

/// The numbers of a name in order, by which versions compare.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_plain_image_is_taken() {
        let names = "linux-image-6.12.9+deb12-amd64\nlinux-image-6.12.117+deb12-amd64\n\
                     linux-image-6.12.200+deb12-cloud-amd64\nlinux-image-6.12.200+deb12-rt-amd64\n\
                     linux-image-6.12.200+deb12-amd64-unsigned\nlinux-image-6.12.201-amd64-dbg\n";
        assert_eq!(newest(names), Some("linux-image-6.12.117+deb12-amd64"));
    }

    #[test]
    fn revisions_of_one_version_are_compared_as_numbers() {
        let names = "linux-image-6.1.0-9-amd64\nlinux-image-6.1.0-56-amd64\n";
        assert_eq!(newest(names), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(newest(""), None);
    }
}
