//! The binary under test, and whether it can be tested here.
//!
//! `TRACER_BIN` names it (else the release build of this tree). With `TRACER_TEST_PRIVILEGED=required` what cannot be
//! tested is a failure, unless only a virtual machine of our own can have what it needs.

use std::ffi::OsString;
use std::path::PathBuf;

use tests::Need;

/// The binary under test.
#[derive(Debug)]
pub struct Tracer(PathBuf);

impl Tracer {
    /// The binary, if it is here and so are the needs; else says why not and gives `None`, or panics where tests are
    /// required.
    pub fn here(test: &str, needs: &[Need]) -> Option<Self> {
        let required = std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|v| v == "required");
        if let Some((need, why)) = needs.iter().find_map(|need| Some((need, need.lack()?))) {
            assert!(!required || need.only_in_a_virtual_machine(), "{test} cannot run: {why}");
            eprintln!("{test} skipped: {why}");
            return None;
        }
        let binary = std::env::var_os("TRACER_BIN").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/tracer")),
            PathBuf::from,
        );
        if !binary.is_file() {
            assert!(!required, "there is no {}: cargo build --release -p tracer", binary.display());
            eprintln!("{test} skipped: there is no {}", binary.display());
            return None;
        }
        Some(Self(binary))
    }

    /// `tracer exec` with these options, up to the command.
    pub fn exec(&self, options: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.0.clone().into(), "exec".into()];
        words.extend(options.iter().map(OsString::from));
        words.push("--".into());
        words
    }

    /// The binary itself.
    pub fn binary(&self) -> &std::path::Path {
        &self.0
    }
}
