//! `gateway client`: publish, subscribe, call, serve and measure from a shell. It uses the client's public interface only.

mod bench;
mod call;
mod changes;
mod connection;
mod ping;
mod publish;
mod serve;
mod stop;
mod subscribe;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::{Subcommand, ValueEnum};

/// The exit code for a failure of the command itself, or for wrong usage.
pub const FAILURE: u8 = 2;

/// Speak to a gateway as a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print messages whose topic matches
    #[command(after_help = SUB_HELP)]
    Sub(subscribe::Options),
    /// Publish one message
    #[command(after_help = PUB_HELP)]
    Pub(publish::Options),
    /// Call a procedure and print its result
    #[command(after_help = CALL_HELP)]
    Call(call::Options),
    /// Offer a procedure that a command answers, until it is interrupted
    #[command(after_help = SERVE_HELP)]
    Serve(serve::Options),
    /// Measure the time to the gateway and back
    #[command(after_help = PING_HELP)]
    Ping(ping::Options),
    /// Measure messages and calls a second, and check that each arrives once and in order
    #[command(after_help = BENCH_HELP)]
    Bench(bench::Options),
}

const SUB_HELP: &str = "\
Examples:
  gateway client sub --insecure 'meters.*.power'
  gateway client sub --ca ca.pem -o json '#' | jq .payload
  gateway client sub --ca ca.pem -n 1 -o raw camera.image > image.jpg";

const PUB_HELP: &str = "\
Ends when the gateway has taken the message.

Examples:
  gateway client pub --insecure meters.7.power 230
  gateway client pub --ca ca.pem --retain camera.image - < image.jpg";

const CALL_HELP: &str = "\
Ends with 1 if the call fails.

Examples:
  gateway client call --insecure com.macula.diagnostics.info
  gateway client call --ca ca.pem com.example.add --json '{\"a\": 1, \"b\": 2}'
  gateway client call --ca ca.pem com.example.store - < image.jpg";

const SERVE_HELP: &str = "\
A command that fails makes the call fail. One whose caller no longer waits is killed.

Examples:
  gateway client serve --insecure com.example.upper -- tr a-z A-Z
  gateway client serve --ca ca.pem com.example.sum --json -- jq '.a + .b'";

const PING_HELP: &str = "\
Statistics come at the end, at ^C too. Ends with 1 if no ping was answered.

Example: gateway client ping --insecure -n 3";

const BENCH_HELP: &str = "\
Ends with 1 if a message or call was lost, came twice or out of order.

Example: gateway client bench --insecure --subscribers 10";

/// Runs a command; returns the exit code of the process. The command ends quietly when the reader of its output goes away.
///
/// # Errors
/// The command failed; the text says what to do next.
pub async fn run(command: Command) -> anyhow::Result<u8> {
    run_to(command, &mut io::stdout()).await
}

/// Runs a command with its output to `out`.
///
/// # Errors
/// The command failed; the text says what to do next.
pub async fn run_to(command: Command, out: &mut (impl Write + Send)) -> anyhow::Result<u8> {
    let ended = match command {
        Command::Sub(options) => subscribe::run(options, out).await,
        Command::Pub(options) => publish::run(options).await,
        Command::Call(options) => call::run(options, out).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Ping(options) => ping::run(options, out).await,
        Command::Bench(options) => bench::run(options, out).await,
    };
    match ended {
        Err(error) if is_broken_pipe(&error) => Ok(0),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(of)
}

/// How payloads are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: a line each
    Text,
    /// One JSON object a line; a payload that is no UTF-8 is in base64, under its key with `_base64`
    Json,
    /// The bytes and nothing else
    Raw,
}

/// How measurements are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// A payload as key and value of JSON: as text if it is UTF-8, else in base64.
fn json_of(key: &str, payload: &[u8]) -> (String, String) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match str::from_utf8(payload) {
        Ok(text) => (key.to_owned(), text.to_owned()),
        Err(_) => (format!("{key}_base64"), STANDARD.encode(payload)),
    }
}

/// A payload on one line of a terminal.
fn text_of(payload: &[u8]) -> String {
    match str::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => payload.escape_ascii().to_string(),
    }
}

/// The payload that an argument stands for: `-` is standard input.
async fn payload_of(argument: Option<String>) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context;
    if argument.as_deref() != Some("-") {
        return Ok(argument.unwrap_or_default().into_bytes());
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin(), &mut bytes).map(|_| bytes)
    });
    read.await?.context("cannot read stdin")
}

/// Parses an argument of seconds, with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
