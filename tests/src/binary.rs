//! The tracer's binary under test, and whether it can be tested here.
//!
//! `TRACER_BIN` names it (else the release build of this tree). With `TRACER_TEST_PRIVILEGED=required` what cannot be
//! tested is a failure, unless only a virtual machine of our own can have what it needs.

use std::path::PathBuf;

use crate::need::{self, Need};

/// The binary, if it is here and so are the needs; else says why not and gives `None`, or panics where tests are required.
pub fn here(test: &str, needs: &[Need]) -> Option<PathBuf> {
    if !need::met(test, needs) {
        return None;
    }
    let binary = std::env::var_os("TRACER_BIN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/tracer")),
        PathBuf::from,
    );
    if binary.is_file() {
        return Some(binary);
    }
    let why = format!("there is no {}: cargo build --release -p tracer", binary.display());
    assert!(!need::required(), "{test} cannot run: {why}");
    eprintln!("{test} skipped: {why}");
    None
}
