//! The binary under test, as `tracer exec` is called. Knows no death.

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
        tests::binary::here(test, needs).map(Self)
    }

    /// `tracer exec` of a server with these options, up to the command.
    pub fn exec(&self, options: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            vec![self.0.clone().into(), "exec".into(), "--keep-running".into()];
        words.extend(options.iter().map(OsString::from));
        words.push("--".into());
        words
    }

    /// The binary itself.
    pub fn binary(&self) -> &std::path::Path {
        &self.0
    }
}
