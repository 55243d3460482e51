//! Finds, or builds once, the linker of eBPF objects. It knows LLVM and where tools are kept, not
//! what is linked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow, bail};

use crate::means::tools::Tool;
use crate::means::{exec, packages, workspace};

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
    let tool = Tool {
        name: "bpf-linker",
        version: VERSION,
        variant: format!("-llvm-{llvm_major}"),
        takes: "about a minute",
    };
    if let Some(built) = tool.built() {
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
    let Some(prefix) = llvm_prefix(llvm_major).filter(|_| LLVM.contains(&llvm_major)) else {
        bail!(by_hand(llvm_major));
    };
    let built = tool.build(|command| {
        command.args(["--no-default-features", "--features", &format!("llvm-{llvm_major}")]);
        command.env("LLVM_PREFIX", &prefix);
    });
    built.map_err(|error| anyhow!("{error:#}\n{}", by_hand(llvm_major)))
}

/// The program that takes DWARF out of an object, where this LLVM is installed.
pub fn objcopy(llvm_major: u32) -> Option<PathBuf> {
    llvm_prefix(llvm_major).map(|prefix| prefix.join("bin/llvm-objcopy")).filter(|f| f.is_file())
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
        "bpf-linker {VERSION} is needed, and it is not here and could not be built with LLVM \
         {major}.\nEither, on Debian or Ubuntu:\n  {}\nor put a ready \
         bpf-linker on PATH:\n  cargo binstall bpf-linker@{VERSION}\nand run this command again.",
        packages::install_line(&[&llvm_package(major)])
    )
}
