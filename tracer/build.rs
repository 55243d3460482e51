//! Puts the eBPF object where the loader embeds it from, or an empty stub where it has not been
//! built, so that `cargo check` needs no BPF toolchain. It builds nothing itself.
//!
//! The object is the file that `TRACER_EBPF_OBJECT` names, else `target/tracer-ebpf.o` of this
//! workspace, which `cargo xtask build-ebpf` writes. With the stub, `cfg(ebpf_stub)` is set.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), String> {
    println!("cargo::rustc-check-cfg=cfg(ebpf_stub)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TRACER_EBPF_OBJECT");

    let object = match env::var_os("TRACER_EBPF_OBJECT") {
        Some(file) => PathBuf::from(file),
        None => in_workspace()?,
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))?;
    if bytes.is_empty() {
        println!("cargo::rustc-cfg=ebpf_stub");
    } else if !bytes.starts_with(b"\x7fELF") {
        return Err(format!("{} is no eBPF object: it is no ELF file", object.display()));
    }
    let embedded = variable("OUT_DIR")?.join("tracer-ebpf.o");
    fs::write(&embedded, bytes).map_err(|error| format!("{}: {error}", embedded.display()))
}

/// The workspace's own object. An absent one is made as an empty file: cargo runs a build script
/// again at every build while a file that it depends on is absent.
fn in_workspace() -> Result<PathBuf, String> {
    let object = variable("CARGO_MANIFEST_DIR")?.join("../target/tracer-ebpf.o");
    create_if_absent(&object).map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(object)
}

fn create_if_absent(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::OpenOptions::new().append(true).create(true).open(file).map(drop)
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {name}"))
}
