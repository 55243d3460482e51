//! The programs under test and the peer that tests one, and whether they can be tested here.
//!
//! `TRACER_BIN` and `GATEWAY_BIN` name them (else the release build of this tree). With
//! `TRACER_TEST_PRIVILEGED=required` what cannot be tested is a failure, unless only a virtual machine of our own can have
//! what it needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::need::{self, Need};

/// The tracer, if it is here and so are the needs; else says why not and gives `None`, or panics where tests are required.
pub fn here(test: &str, needs: &[Need]) -> Option<PathBuf> {
    if !need::met(test, needs) {
        return None;
    }
    built(test, "tracer", "TRACER_BIN")
}

/// The gateway, likewise.
pub fn gateway(test: &str) -> Option<PathBuf> {
    built(test, "gateway", "GATEWAY_BIN")
}

/// The folder of the images' archives, if it is here and so are the needs: `IMAGES` names it, else it is where `cargo
/// xtask image --profile release` puts them.
pub fn images(test: &str, needs: &[Need]) -> Option<PathBuf> {
    if !need::met(test, needs) {
        return None;
    }
    let folder = std::env::var_os("IMAGES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images/release"),
        PathBuf::from,
    );
    if ["gateway", "tracer", "victims"]
        .iter()
        .all(|name| folder.join(name).with_extension("tar").is_file())
    {
        return Some(folder);
    }
    let why = format!("{} lacks images: cargo xtask image --profile release", folder.display());
    assert!(!need::required(), "{test} cannot run: {why}");
    eprintln!("{test} skipped: {why}");
    None
}

/// The command that runs the peer of `tests/peer`, if Python and the packages that it imports are here:
/// `MACULA_PEER_PACKAGES` names their folder, else it is where `cargo xtask test` puts them. Under `CI=true` it must be
/// here too.
pub fn peer(test: &str) -> Option<Command> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = std::env::var_os("MACULA_PEER_PACKAGES")
        .map_or_else(|| tests.join("../target/tools/macula-peer"), PathBuf::from);
    let python = || {
        let mut command = Command::new("python3");
        // Without -B it would write beside its sources.
        command.arg("-B").env("PYTHONPATH", &packages).stdin(Stdio::null());
        command
    };
    let imported =
        python().args(["-c", "import aioquic, asyncio, msgpack; asyncio.timeout"]).output();
    let why = match imported {
        Ok(output) if output.status.success() => {
            let mut command = python();
            command.arg(tests.join("peer"));
            return Some(command);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("python3 cannot be run: {error}"),
    };
    let why = format!("the peer cannot run with {}: {why}: cargo xtask test", packages.display());
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!need::required() && !ci, "{test} cannot run: {why}");
    eprintln!("{test} skipped: {why}");
    None
}

fn built(test: &str, name: &str, variable: &str) -> Option<PathBuf> {
    let binary = std::env::var_os(variable).map_or_else(
        || Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release")).join(name),
        PathBuf::from,
    );
    if binary.is_file() {
        return Some(binary);
    }
    let why = format!("there is no {}: cargo build --release -p {name}", binary.display());
    assert!(!need::required(), "{test} cannot run: {why}");
    eprintln!("{test} skipped: {why}");
    None
}
