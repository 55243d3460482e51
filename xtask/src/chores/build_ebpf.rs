//! `cargo xtask build-ebpf`: builds the eBPF programs into the object that the tracer embeds. It
//! knows nothing about what is in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::means::bpf_toolchain::{TARGET, Toolchain};
use crate::means::{bpf_linker, exec, tree, workspace};

#[derive(Debug, Args, Default)]
pub struct Options {
    /// Build twice, in two places, and fail unless both give the same bytes
    #[arg(long)]
    check_reproducible: bool,
}

pub fn run(options: Options) -> Result<()> {
    let started = Instant::now();
    let builder = Builder::new()?;
    if options.check_reproducible {
        return check_reproducible(&builder);
    }
    let object = workspace::object();
    let bytes = builder.build(&workspace::root(), &builder.cache())?;
    // An unchanged file keeps its time stamp, so that the tracer is not compiled again.
    if fs::read(&object).ok().as_ref() != Some(&bytes) {
        let beside = object.with_extension("o.new");
        fs::write(&beside, &bytes)
            .and_then(|()| fs::rename(&beside, &object))
            .with_context(|| format!("cannot write {}", object.display()))?;
    }
    eprintln!(
        "xtask: {} {} bytes sha256 {} ({:.1?})",
        object.display(),
        bytes.len(),
        sha256(&bytes),
        started.elapsed()
    );
    Ok(())
}

/// A compiler and a linker that fit each other.
struct Builder {
    toolchain: Toolchain,
    linker: PathBuf,
    llvm_major: u32,
}

impl Builder {
    fn new() -> Result<Self> {
        let toolchain = Toolchain::find_or_install()?;
        let llvm_major = toolchain.llvm_major()?;
        let linker = bpf_linker::find_or_build(llvm_major)?;
        Ok(Self { toolchain, linker, llvm_major })
    }

    /// cargo does not see that the linker has changed; a folder for each makes it link again.
    fn cache(&self) -> PathBuf {
        workspace::cache(&format!("ebpf/{}-llvm-{}", bpf_linker::VERSION, self.llvm_major))
    }

    /// Builds the workspace at `root` and returns the object's bytes.
    fn build(&self, root: &Path, target_dir: &Path) -> Result<Vec<u8>> {
        let mut command = self.toolchain.cargo_build();
        command
            .current_dir(root)
            .args(["--locked", "--release", "--package", "tracer-ebpf", "--bin", "tracer-ebpf"])
            .arg("--target-dir")
            .arg(target_dir)
            .env("PATH", self.path_with_linker()?)
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(root))
            // One unit and one order of work: the linker sees the same input each time.
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
            .env("CARGO_PROFILE_RELEASE_STRIP", "none");
        exec::run(&mut command)?;
        let object = target_dir.join(TARGET).join("release/tracer-ebpf");
        let object = self.without_dwarf(object)?;
        let bytes = fs::read(&object)
            .with_context(|| format!("cargo built no object at {}", object.display()))?;
        ensure!(bytes.starts_with(b"\x7fELF"), "{} is no ELF object", object.display());
        Ok(bytes)
    }

    /// DWARF was needed to make BTF and is five sixths of the object; the kernel reads BTF alone.
    /// A ready linker may have come without LLVM's tools: then it stays in.
    fn without_dwarf(&self, object: PathBuf) -> Result<PathBuf> {
        let Some(objcopy) = bpf_linker::objcopy(self.llvm_major) else { return Ok(object) };
        let stripped = object.with_extension("o");
        exec::run(Command::new(objcopy).arg("--strip-debug").arg(&object).arg(&stripped))?;
        Ok(stripped)
    }

    fn path_with_linker(&self) -> Result<std::ffi::OsString> {
        let folder = self.linker.parent().context("the linker has no folder")?;
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [folder.to_path_buf()].into_iter().chain(env::split_paths(&path));
        env::join_paths(folders).context("PATH cannot be extended")
    }
}

/// Flags as cargo wants them, separated by 0x1f. BTF is made from debug information; paths of this
/// machine are taken out of it.
fn rustflags(root: &Path) -> String {
    let mut flags = vec!["-Cdebuginfo=2".to_owned(), "-Clink-arg=--btf".to_owned()];
    flags.extend(workspace::remapped_paths(root, "/tracer"));
    flags.join("\x1f")
}

/// Builds here, and from a copy of the sources in another folder: neither the checkout's path nor
/// the target folder's may reach the object.
fn check_reproducible(builder: &Builder) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let copy = scratch.path().join("copy");
    tree::copy(&workspace::root(), &copy)?;
    let here = builder.build(&workspace::root(), &scratch.path().join("target-here"))?;
    let there = builder.build(&copy, &scratch.path().join("target-there"))?;
    ensure!(
        here == there,
        "the object is not reproducible: sha256 {} here, {} from a copy of the sources",
        sha256(&here),
        sha256(&there)
    );
    eprintln!("xtask: reproducible, {} bytes sha256 {}", here.len(), sha256(&here));
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
