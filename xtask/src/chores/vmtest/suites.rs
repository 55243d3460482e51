//! Builds what runs inside a virtual machine: the tracer and the live tests, static, and the
//! victims. It knows cargo, not what the tests do.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::means::exec;
use crate::means::static_build::{self, Profile};

const PROFILE: Profile = Profile::Release;

/// Test targets of package `tests` that need the real kernel, in the order in which they run: that
/// each death is what it is called comes before what the tracer says about it.
const SUITES: [&str; 2] = ["scenes", "live"];

/// Built programs on this machine.
#[derive(Debug)]
pub struct Suites {
    pub tracer: PathBuf,
    /// Name and program of each.
    pub suites: Vec<(&'static str, PathBuf)>,
    /// The folder of the victims.
    pub victims: PathBuf,
}

impl Suites {
    pub fn names(&self) -> Vec<&'static str> {
        self.suites.iter().map(|(name, _)| *name).collect()
    }
}

/// Builds all of it, static, so that it runs on a root that has nothing.
///
/// # Errors
///
/// When something does not compile.
pub fn build() -> Result<Suites> {
    let tracer = static_build::program("tracer", PROFILE)?;
    let mut command = static_build::cargo("test", PROFILE, &static_build::host()?);
    command.args(["--no-run", "--message-format=json-render-diagnostics", "--package", "tests"]);
    command.args(SUITES.iter().flat_map(|suite| ["--test", suite]));
    let output = command.stderr(Stdio::inherit()).output().with_context(|| exec::line(&command))?;
    ensure!(output.status.success(), "`{}` failed: {}", exec::line(&command), output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let suites = SUITES
        .iter()
        .map(|suite| Ok((*suite, executable(&messages, suite)?)))
        .collect::<Result<Vec<_>>>()?;
    let victims = ::tests::victims::folder()?;
    Ok(Suites { tracer, suites, victims })
}

/// The program of a test target, from cargo's messages.
fn executable(messages: &str, suite: &str) -> Result<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == suite)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .with_context(|| format!("cargo built no test {suite}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_test_program_is_named_by_cargos_message() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tests"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/target/live-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "live").unwrap(), Path::new("/target/live-1"));
        let error = executable(messages, "scenes").unwrap_err();
        assert_eq!(error.to_string(), "cargo built no test scenes");
    }
}
