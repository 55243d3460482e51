//! `gateway client`: publish, subscribe, call, serve and measure from a shell. It knows the client's public interface only.

mod bench;
mod call;
mod changes;
mod connection;
mod ping;
mod publish;
mod serve;
mod subscribe;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Subcommand;

/// Speak to a gateway as a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print messages whose topic matches
    Sub(subscribe::Options),
    /// Publish one message
    Pub(publish::Options),
    /// Call a procedure and print its result
    Call(call::Options),
    /// Offer a procedure that a command answers
    Serve(serve::Options),
    /// Measure the time to the gateway and back
    Ping(ping::Options),
    /// Measure messages and calls a second, and check that each arrives once and in order
    Bench(bench::Options),
}

/// Runs a command; returns the exit code of the process. A reader of its output that goes away ends it quietly.
///
/// # Errors
/// It could not do what it was asked; the text says what to do next.
pub async fn run(command: Command) -> anyhow::Result<u8> {
    run_to(command, &mut io::stdout()).await
}

/// The same with its output to `out`.
///
/// # Errors
/// It could not do what it was asked; the text says what to do next.
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

/// For people, or one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A payload as JSON: text where it is UTF-8.
fn json_of(payload: &[u8]) -> (&'static str, String) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match str::from_utf8(payload) {
        Ok(text) => ("payload", text.to_owned()),
        Err(_) => ("payload_base64", STANDARD.encode(payload)),
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

/// Payload of an argument: `-` is standard input.
async fn payload_of(argument: Option<String>) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context;
    if argument.as_deref() != Some("-") {
        return Ok(argument.unwrap_or_default().into_bytes());
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin(), &mut bytes).map(|_| bytes)
    });
    read.await?.context("cannot read the payload from standard input")
}

/// Seconds of an argument, with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_stays_on_its_line() {
        assert_eq!(text_of("230 V, grün".as_bytes()), "230 V, grün");
        assert_eq!(text_of(b"a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(text_of(&[0xff, b'a']), "\\xffa");
    }

    #[test]
    fn a_reader_of_the_output_that_went_away_is_no_error() {
        let gone = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&gone));
        assert!(!is_broken_pipe(&anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound))));
    }

    #[test]
    fn json_has_text_where_it_is_text() {
        assert_eq!(json_of(b"a"), ("payload", "a".to_owned()));
        assert_eq!(json_of(&[0xff]), ("payload_base64", "/w==".to_owned()));
    }
}
