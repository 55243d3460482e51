//! Finds, or builds once, the linker of eBPF objects. It knows LLVM and where tools are kept, not
//! what is linked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{exec, packages, workspace};

/// One version for everybody, so that the same sources give the same object.
pub const VERSION: &str = "0.13.0";

/// The LLVM versions that this version of the linker can be built with.
const LLVM: std::ops::RangeInclusive<u32> = 21..=23;

/// The linker for bitcode of the given LLVM major version, built or found.
///
/// # Errors
///
/// When it is not there and cannot be built: the error has the commands to run by hand.
pub fn find_or_build(llvm_major: u32) -> Result<PathBuf> {
    let root = workspace::cache(&format!("tools/bpf-linker-{VERSION}-llvm-{llvm_major}"));
    let built = root.join("bin/bpf-linker");
    if built.is_file() {
        return Ok(built);
    }
    if llvm_prefix(llvm_major).is_none() {
        if let Some(found) = workspace::on_path("bpf-linker").filter(|file| is_our_version(file)) {
            return Ok(found);
        }
        if packages::can_install() && packages::candidate(&llvm_package(llvm_major))?.is_some() {
            packages::install(&[&llvm_package(llvm_major)])?;
        }
    }
    match llvm_prefix(llvm_major) {
        Some(prefix) if LLVM.contains(&llvm_major) => build(&root, &prefix, llvm_major)?,
        _ => bail!(by_hand(llvm_major)),
    }
    Ok(built)
}

fn build(root: &Path, llvm_prefix: &Path, llvm_major: u32) -> Result<()> {
    eprintln!(
        "xtask: building bpf-linker {VERSION} with LLVM {llvm_major} (about 40 s on two cores, once)"
    );
    let started = Instant::now();
    let mut command = Command::new("cargo");
    command
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm_major}"), "--no-track", "--root"])
        .arg(root)
        .arg("--target-dir")
        .arg(workspace::cache("tools/build"))
        .env("LLVM_PREFIX", llvm_prefix)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        // Flags meant for our own programs are not meant for a tool.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    exec::run(&mut command).with_context(|| by_hand(llvm_major))?;
    eprintln!("xtask: built bpf-linker in {:.0?}", started.elapsed());
    // What was compiled on the way is of no more use, and is large.
    let _ = std::fs::remove_dir_all(workspace::cache("tools/build"));
    Ok(())
}

/// Where LLVM's headers and libraries of this version are.
fn llvm_prefix(major: u32) -> Option<PathBuf> {
    let prefix = env::var_os("LLVM_PREFIX")
        .map_or_else(|| PathBuf::from(format!("/usr/lib/llvm-{major}")), PathBuf::from);
    prefix.join("include/llvm-c/Core.h").is_file().then_some(prefix)
}

fn llvm_package(major: u32) -> String {
    format!("llvm-{major}-dev")
}

fn is_our_version(linker: &Path) -> bool {
    let version = exec::stdout(Command::new(linker).arg("--version"));
    version.is_ok_and(|text| text.split_whitespace().any(|word| word == VERSION))
}

fn by_hand(major: u32) -> String {
    format!(
        "bpf-linker {VERSION} is needed, and it is not here and cannot be built: LLVM {major}'s \
         development files are missing.\nEither, on Debian or Ubuntu:\n  {}\nor put a ready \
         bpf-linker on PATH:\n  cargo binstall bpf-linker@{VERSION}\nand run this command again.",
        packages::install_line(&[&llvm_package(major)])
    )
}
