//! Zenoh over QUIC as a peer: its router, as the vendor builds it for Python, and its own client as what loads
//! it, for nobody else speaks its protocol. It knows nothing about the other peers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use xtask::means::{exec, workspace};

use super::load::Generator;
use super::pypi;
use super::server::Server;

/// Of PyPI's package `eclipse-zenoh`, and of the client: see the lock file of `xtask/bench/zenoh-load`.
const VERSION: &str = "1.10.2";

/// Opens a session in router mode, which is all that `zenohd` does. What passes through it meets no Python.
const ROUTER: &str = include_str!("zenoh-router.py");

const LISTEN: &str = "quic/127.0.0.1:0";

/// What the router logs once it listens, and then where.
const LISTENS: &str = "Zenoh can be reached at: ";

#[derive(Debug)]
pub struct Zenoh {
    /// Of Python, at `FOLDER/zenoh`.
    package: PathBuf,
    /// The program of `xtask/bench/zenoh-load`.
    load: PathBuf,
}

/// A router that runs, and what loads it.
#[derive(Debug)]
pub struct Started {
    pub server: Server,
    pub generator: Generator,
    /// Version and settings, for people.
    pub settings: String,
}

impl Zenoh {
    /// Installs the router and builds the load, under target/tools, once.
    pub fn install() -> Result<Self> {
        let package = pypi::install("eclipse-zenoh", VERSION, "zenoh")?;
        Ok(Self { package, load: build_load()? })
    }

    /// `folder` has tls.crt and tls.key.
    pub fn start(&self, folder: &Path) -> Result<Started> {
        let mut command = Command::new("python3");
        command.args(["-c", ROUTER, LISTEN, "tls.crt", "tls.key"]);
        let modules = self.package.parent().context("the Python package is in no folder")?;
        command.current_dir(folder).env("PYTHONPATH", modules).env_remove("RUST_LOG");
        let (server, line) = Server::start(&mut command, LISTENS)?;
        let (_, endpoint) = line.split_once(LISTENS).context("Zenoh says no address")?;
        let ca = format!("--ca={}", folder.join("tls.crt").display());
        let arguments = [format!("--connect={endpoint}"), ca].map(Into::into);
        let generator = Generator { program: self.load.clone(), arguments: arguments.into() };
        let settings = format!("{VERSION}: listen {LISTEN}; no scouting; publishers block");
        Ok(Started { server, generator, settings })
    }
}

/// It is no member of the workspace: its hundreds of dependencies are nobody else's.
fn build_load() -> Result<PathBuf> {
    let folder = workspace::cache("tools/zenoh-load");
    let program = folder.join("release/zenoh-load");
    if !program.is_file() {
        eprintln!("xtask: building Zenoh's client, to load its router (some minutes, once)");
    }
    let started = Instant::now();
    let mut command = workspace::cargo();
    command
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--manifest-path", "xtask/bench/zenoh-load/Cargo.toml", "--target-dir"])
        .arg(&folder)
        // Flags meant for our own programs are not meant for a peer's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    exec::run(&mut command)?;
    eprintln!("xtask: Zenoh's client is built, in {:.0?}", started.elapsed());
    Ok(program)
}
