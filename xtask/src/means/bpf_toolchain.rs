//! Finds, or installs, a Rust compiler that can build for `bpfel-unknown-none`. It knows compilers
//! and their packages, not what is compiled.
//!
//! There are two worlds. Debian ships a compiler with a ready `core` for BPF; rustup ships none, so
//! there a nightly compiles `core` from its source (`-Z build-std`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::means::{exec, packages, workspace};

/// The target of eBPF programs on little-endian machines.
pub const TARGET: &str = "bpfel-unknown-none";

/// The oldest compiler that builds this workspace (`rust-version` in Cargo.toml).
const OLDEST: (u32, u32) = (1, 95);

/// Debian's compiler with its ready BPF `core`: the browser team's backport in stable releases,
/// then the ordinary packages of a release that is new enough.
const DEBIAN: [[&str; 3]; 2] = [
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
    ["rustc", "cargo", "libstd-rust-dev-bpf"],
];

/// A compiler that can build for BPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// A compiler with a ready `core`, and the cargo beside it.
    Ready { rustc: PathBuf, cargo: PathBuf },
    /// rustup's nightly, which compiles `core` from its source.
    Nightly,
}

impl Toolchain {
    /// Finds a toolchain on this machine; installs one where none is found and we may.
    ///
    /// # Errors
    ///
    /// When there is none and none can be installed: the error has the commands to run by hand.
    pub fn find_or_install() -> Result<Self> {
        if let Some(toolchain) = Self::find() {
            return Ok(toolchain);
        }
        if packages::can_install() && install_debian()? {
            return Self::ready().context("Debian's Rust packages are installed, but not usable");
        }
        if workspace::on_path("rustup").is_some() {
            install_nightly()?;
            return Ok(Self::Nightly);
        }
        bail!("no Rust compiler here can build eBPF programs.\n{}", by_hand())
    }

    /// `cargo build` for BPF: the caller adds what to build. The environment that the outer
    /// `cargo xtask` set up for its own toolchain is taken away, since it would win over ours.
    pub fn cargo_build(&self) -> Command {
        let mut command = match self {
            Self::Ready { rustc, cargo } => {
                let mut command = Command::new(cargo);
                // The programs use unstable features, which a stable compiler has, but hides.
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").arg("build");
                command
            }
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "cargo", "build", "-Z", "build-std=core"]);
                command.env_remove("RUSTC");
                command
            }
        };
        for name in OF_THE_OUTER_CARGO {
            command.env_remove(name);
        }
        command.args(["--target", TARGET]);
        command
    }

    /// The major version of the LLVM inside the compiler: the linker must not be older.
    pub fn llvm_major(&self) -> Result<u32> {
        let mut command = match self {
            Self::Ready { rustc, .. } => Command::new(rustc),
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "rustc"]);
                command
            }
        };
        let version = exec::stdout(command.arg("-vV").env_remove("RUSTUP_TOOLCHAIN"))?;
        llvm_major_of(&version).with_context(|| format!("rustc names no LLVM version:\n{version}"))
    }

    fn find() -> Option<Self> {
        Self::ready().or_else(|| nightly_has_source().then_some(Self::Nightly))
    }

    /// Looks at every rustc of PATH, and at the place where distributions put theirs.
    fn ready() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/bin")]);
        folders
            .map(|folder| (folder.join("rustc"), folder.join("cargo")))
            .filter(|(rustc, cargo)| rustc.is_file() && cargo.is_file())
            .find(|(rustc, _)| has_ready_core(rustc))
            .map(|(rustc, cargo)| Self::Ready { rustc, cargo })
    }
}

/// Variables by which the outer cargo and rustup would impose their own toolchain and flags.
const OF_THE_OUTER_CARGO: [&str; 12] = [
    "CARGO",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

fn has_ready_core(rustc: &Path) -> bool {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("LD_LIBRARY_PATH");
    let Ok(folder) = exec::stdout(&mut command) else { return false };
    let Ok(entries) = std::fs::read_dir(folder.trim()) else { return false };
    let has_core = entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("libcore-")
    });
    has_core && is_new_enough(rustc)
}

fn is_new_enough(rustc: &Path) -> bool {
    let version = exec::stdout(Command::new(rustc).arg("-V").env_remove("LD_LIBRARY_PATH"));
    let version = version.ok().and_then(|text| text.split(' ').nth(1).and_then(minor_of));
    version.is_some_and(|version| version >= OLDEST)
}

fn nightly_has_source() -> bool {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc", "--print", "sysroot"]);
    let sysroot = exec::stdout(command.env("RUSTUP_AUTO_INSTALL", "0"));
    sysroot.is_ok_and(|folder| {
        Path::new(folder.trim()).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

/// Installs Debian's compiler where it is new enough. False where this release has none.
fn install_debian() -> Result<bool> {
    for names in DEBIAN {
        let mut new_enough = true;
        for name in names {
            let version = packages::candidate(name)?;
            new_enough &= version.as_deref().and_then(minor_of).is_some_and(|v| v >= OLDEST);
        }
        if new_enough {
            return packages::install(&names).map(|()| true);
        }
    }
    Ok(false)
}

fn install_nightly() -> Result<()> {
    eprintln!("xtask: installing a nightly Rust with its source (rustup)");
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    command.args(["--component", "rust-src"]).env_remove("RUST_BACKTRACE");
    exec::run(&mut command).map_err(|error| anyhow!("{error:#}\n{}", by_hand()))
}

fn by_hand() -> String {
    format!(
        "Either, on Debian or Ubuntu:\n  {}\nor, where rustup can reach its server:\n  \
         rustup toolchain install nightly --profile minimal --component rust-src\n\
         and run this command again.",
        packages::install_line(&DEBIAN[0])
    )
}

/// `1.96.0+dfsg1` to (1, 96).
fn minor_of(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn llvm_major_of(version: &str) -> Option<u32> {
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_versions_compare_by_their_numbers() {
        assert!(minor_of("1.96.0+dfsg1") > minor_of("1.95.1"));
        assert!(minor_of("1.100.0") > minor_of("1.95.0"));
        assert_eq!(minor_of("unknown"), None);
    }

    #[test]
    fn llvm_version_is_read_from_the_compilers_answer() {
        assert_eq!(llvm_major_of("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major_of("rustc 1.96.0\n"), None);
    }

    #[test]
    fn the_outer_toolchain_does_not_reach_the_bpf_build() {
        let toolchain =
            Toolchain::Ready { rustc: "/usr/bin/rustc".into(), cargo: "/usr/bin/cargo".into() };
        let command = toolchain.cargo_build();
        for name in ["RUSTUP_TOOLCHAIN", "CARGO", "LD_LIBRARY_PATH"] {
            assert!(command.get_envs().any(|(n, value)| n == name && value.is_none()), "{name}");
        }
    }
}
