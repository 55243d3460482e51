//! The program that loads a gateway, and what it prints. It knows no figure's meaning.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use xtask::means::exec;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Quic,
    Tcp,
}

impl Over {
    pub const BOTH: [Self; 2] = [Self::Quic, Self::Tcp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Quic => "QUIC",
            Self::Tcp => "TCP",
        }
    }

    /// As the program's arguments name it.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        }
    }
}

/// The program while it runs. Killed when dropped.
#[derive(Debug)]
pub struct Load {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    line: String,
}

impl Load {
    pub fn start(program: &Path, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        // Where an error arose in it is of no use here.
        command.args(arguments).env("RUST_BACKTRACE", "0");
        let line = exec::line(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{line}`"))?;
        let stdout = child.stdout.take().context("the program has no stdout")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), line })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.lines.next().with_context(|| format!("`{}` ended", self.line))??;
        serde_json::from_str(&line).with_context(|| format!("`{}` printed {line:?}", self.line))
    }

    /// The last line that it prints.
    pub fn last<T: DeserializeOwned>(mut self) -> Result<T> {
        let last = self.next()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "`{}` ended with {status}", self.line);
        Ok(last)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Arguments as the program takes them.
pub fn arguments(words: &[&dyn Display]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printing(words: &str) -> Load {
        Load::start(Path::new("sh"), &arguments(&[&"-c", &words])).unwrap()
    }

    #[test]
    fn lines_are_read_one_by_one_and_a_failure_is_not_taken_for_a_figure() {
        let mut load = printing("echo 1; echo 2; exit 3");
        assert_eq!(load.next::<u32>().unwrap(), 1);
        let error = load.last::<u32>().unwrap_err().to_string();
        assert!(error.ends_with("ended with exit status: 3"), "{error}");
        assert!(printing("echo words").next::<u32>().is_err());
        assert!(printing("true").next::<u32>().is_err());
    }
}
