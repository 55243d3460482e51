//! Runs the program that loads a server, once for each cell, and judges what it prints. A generator is any program that
//! fulfils this contract; ours is `gateway-load`:
//!
//! - `PROGRAM ARGUMENTS... --size N --subscribers N --messages N`: one publisher sends so many messages of so many bytes to each
//!   subscriber, some more before to warm up, and is at most 4 MiB ahead of the last of them. It prints
//!   `{"received": 5000, "seconds": 1.5, "in_order": true}`: messages after the warm-up of all subscribers together, the time
//!   they took, and whether each came once and in the publisher's order.
//! - `PROGRAM ARGUMENTS... --size N --in-flight N --calls N`: so many calls, some more before, so many at a time. It prints
//!   `{"p50_us": 60.5, "p99_us": 130.0, "per_second": 14000.0}`.
//!
//! An exit code other than 0 means that the cell does not count.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use xtask::means::exec;

use super::cell::{Calls, Cell, Times};

/// A program and the arguments that say what it loads.
#[derive(Debug, Clone)]
pub struct Generator {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    Counts(T),
    /// Why it does not.
    Refused(String),
}

#[derive(Debug, Deserialize)]
struct Received {
    received: u64,
    seconds: f64,
    in_order: bool,
}

impl Generator {
    /// Messages received a second.
    pub fn messages(&self, cell: Cell, messages: u64) -> Outcome<f64> {
        let Cell { subscribers, size } = cell;
        let arguments = [
            format!("--size={size}"),
            format!("--subscribers={subscribers}"),
            format!("--messages={messages}"),
        ];
        match self.run(&arguments) {
            Ok(received) => rate(&received, messages * u64::from(subscribers)),
            Err(why) => Outcome::Refused(why),
        }
    }

    pub fn calls(&self, in_flight: u16, calls: u64) -> Outcome<Times> {
        let arguments = [
            format!("--size={}", Calls::SIZE),
            format!("--in-flight={in_flight}"),
            format!("--calls={calls}"),
        ];
        self.run(&arguments).map_or_else(Outcome::Refused, Outcome::Counts)
    }

    fn run<T: DeserializeOwned>(&self, arguments: &[String]) -> Result<T, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(arguments);
        let printed = exec::stdout(&mut command).map_err(|error| format!("{error:#}"))?;
        serde_json::from_str(&printed).map_err(|error| format!("{printed:?}: {error}"))
    }
}

fn rate(received: &Received, wanted: u64) -> Outcome<f64> {
    let Received { received, seconds, in_order } = *received;
    if received != wanted {
        return Outcome::Refused(format!("{received} of {wanted} messages arrived"));
    }
    if !in_order {
        return Outcome::Refused("messages are missing, or came twice or out of order".to_owned());
    }
    if seconds <= 0.0 {
        return Outcome::Refused(format!("{received} messages took {seconds} s"));
    }
    Outcome::Counts(received as f64 / seconds)
}

impl<T> Outcome<T> {
    /// Says who it was where it does not count.
    pub fn of(self, name: impl FnOnce() -> String) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{}: {why}", name())),
            counts @ Self::Counts(_) => counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: &str) -> Generator {
        let arguments = ["-c", "echo \"$0\"", json].map(OsString::from);
        Generator { program: "sh".into(), arguments: arguments.into() }
    }

    #[test]
    fn a_cell_counts_only_if_all_came_once_and_in_order() {
        let cell = Cell { subscribers: 5, size: 16 };
        let of = |json: &str| printed(json).messages(cell, 100);
        let good = r#"{"received": 500, "seconds": 0.5, "in_order": true}"#;
        assert_eq!(of(good), Outcome::Counts(1000.0));
        for bad in [
            r#"{"received": 499, "seconds": 0.5, "in_order": true}"#,
            r#"{"received": 500, "seconds": 0.5, "in_order": false}"#,
            r#"{"received": 500, "seconds": 0, "in_order": true}"#,
            "nothing",
        ] {
            assert!(matches!(of(bad), Outcome::Refused(_)), "{bad}");
        }
    }

    #[test]
    fn times_of_calls_are_taken_as_they_are_printed() {
        let outcome = printed(r#"{"p50_us": 1.5, "p99_us": 2, "per_second": 3}"#).calls(1, 9);
        let times = Times { p50_us: 1.5, p99_us: 2.0, per_second: 3.0 };
        assert_eq!(outcome, Outcome::Counts(times));
    }

    #[test]
    fn a_generator_that_fails_says_why() {
        let fails = Generator { program: "false".into(), arguments: Vec::new() };
        let Outcome::Refused(why) = fails.calls(1, 9).of(|| "peer".to_owned()) else { panic!() };
        assert!(why.starts_with("peer: `false"), "{why}");
    }
}
