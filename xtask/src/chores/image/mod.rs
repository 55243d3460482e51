//! `cargo xtask image`: builds the images that `deploy/` names, without a container engine. It knows what is in each; how
//! an archive is written is `archive`'s.

mod archive;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::chores::build_ebpf;
use crate::means::host_files::{add_file, add_libraries, add_merged_folders, add_program};
use crate::means::packages::Package;
use crate::means::rootfs::{Entry, Tree};
use crate::means::static_build::{self, Profile};
use crate::means::{packages, setup, workspace};
use archive::Image;

#[derive(Debug, Args)]
pub struct Options {
    /// Only these images; by default all
    #[arg(value_enum)]
    names: Vec<Name>,
    /// How the programs are compiled
    #[arg(long, value_enum, default_value_t = Profile::Dist)]
    profile: Profile,
}

/// An image that `deploy/` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    Gateway,
    Tracer,
    /// Programs that die on purpose, for `deploy/crashes`
    Victims,
}

/// An image in a file: an OCI layout that is what `docker save` writes too.
#[derive(Debug, Clone)]
pub struct Archive {
    /// What manifests call it, with its tag.
    pub reference: String,
    pub file: PathBuf,
}

/// What `deploy/crashes` runs, as `tests/victims` builds it.
const VICTIMS: [&str; 6] =
    ["victim", "foreign", "loader_gone", "resolve", "needs_gone_library", "needs_newer_glibc"];

pub fn run(options: Options) -> Result<()> {
    let names = if options.names.is_empty() { Name::value_variants() } else { &options.names };
    build(names, options.profile).map(drop)
}

/// Builds images of this machine's architecture into `target/images`; those that are not as they are shipped, into a
/// folder of it.
///
/// # Errors
///
/// When a program does not compile, or an image is larger than it may be.
pub fn build(names: &[Name], profile: Profile) -> Result<Vec<Archive>> {
    let compiler = |package: &&Package| ["gcc", "libc6-dev"].contains(&package.name);
    let compiler: Vec<Package> = setup::TESTS.iter().filter(compiler).copied().collect();
    packages::ensure(&compiler)?;
    let folder = match profile {
        Profile::Dist => workspace::cache("images"),
        Profile::Release => workspace::cache("images").join(profile.name()),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    names.iter().map(|name| name.build(profile, &folder)).collect()
}

impl Name {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Tracer => "tracer",
            Self::Victims => "victims",
        }
    }

    /// The tag is the version of this workspace.
    pub fn reference(self) -> String {
        format!("ghcr.io/macula-io/macula-{}:{}", self.name(), env!("CARGO_PKG_VERSION"))
    }

    fn entrypoint(self) -> &'static str {
        match self {
            Self::Gateway => "/usr/bin/gateway",
            Self::Tracer => "/usr/bin/tracer",
            Self::Victims => "/victim",
        }
    }

    /// Nobody's account, where nothing is to be written.
    fn user(self) -> &'static str {
        match self {
            Self::Gateway => "65532:65532",
            Self::Tracer | Self::Victims => "0:0",
        }
    }

    /// In bytes; nodes fetch it before anything runs.
    fn largest(self) -> Option<usize> {
        match self {
            Self::Gateway => Some(20_000_000),
            Self::Tracer => Some(25_000_000),
            Self::Victims => None,
        }
    }

    fn build(self, profile: Profile, folder: &Path) -> Result<Archive> {
        let image = Image {
            reference: self.reference(),
            entrypoint: self.entrypoint(),
            user: self.user(),
            root: match self {
                Self::Gateway => program("gateway", profile)?,
                Self::Tracer => {
                    build_ebpf::run(build_ebpf::Options::default())?;
                    program("tracer", profile)?
                }
                Self::Victims => victims()?,
            },
        };
        let bytes = archive::write(&image)?;
        let file = folder.join(self.name()).with_extension("tar");
        let beside = file.with_extension("tar.new");
        fs::write(&beside, &bytes)
            .and_then(|()| fs::rename(&beside, &file))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let archive = Archive { reference: image.reference, file };
        eprintln!(
            "xtask: {} {} {} bytes, {} unpacked, sha256 {}",
            archive.file.display(),
            archive.reference,
            bytes.len(),
            image.root.bytes(),
            archive::sha256(&bytes)
        );
        if let Some(largest) = self.largest() {
            let file = archive.file.display();
            ensure!(bytes.len() <= largest, "{file} is larger than {largest} bytes");
        }
        Ok(archive)
    }
}

/// One static program along PATH, and nothing else: no shell, no library, no file of accounts. Nor certificates of public
/// authorities: the gateway's clients name theirs, and the API server's is mounted into the agent's pod.
fn program(name: &str, profile: Profile) -> Result<Tree> {
    let mut root = Tree::default();
    let built = static_build::program(name, profile)?;
    add_file(&mut root, &built, Path::new("/usr/bin").join(name))?;
    Ok(root)
}

fn victims() -> Result<Tree> {
    let built = ::tests::victims::folder()?;
    let mut root = Tree::default();
    add_merged_folders(&mut root);
    for name in VICTIMS {
        add_file(&mut root, &built.join(name), Path::new("/").join(name))?;
    }
    // The helper of `certificate-never-made`, and the shell by which it is called.
    add_file(&mut root, &built.join("victim"), "/usr/bin/openssl")?;
    add_program(&mut root, &workspace::on_path("sh").context("sh is not in PATH")?, "sh")?;
    add_libraries(&mut root, &built.join("resolve"))?;
    root.add("/tmp", Entry::Folder);
    Ok(root)
}

#[cfg(test)]
mod tests;
