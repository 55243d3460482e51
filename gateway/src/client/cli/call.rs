//! `gateway client call` writes the result to standard output and an error to standard error.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use super::{Format, connection::Connection, json_of, payload_of};
use crate::client::{CallError, Term};

#[derive(Debug, Args)]
pub struct Options {
    /// Name of the procedure, like com.macula.diagnostics.hello
    procedure: String,
    /// Arguments, sent as bytes; `-` reads them from stdin
    #[arg(allow_hyphen_values = true)]
    args: Option<String>,
    /// The arguments are JSON and sent as what it means: a map, a list, a number, ...
    #[arg(long, requires = "args")]
    json: bool,
    /// Wait so long for the reply
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = super::seconds)]
    timeout: Duration,
    /// Do not wait for a reply: there is none
    #[arg(long, conflicts_with_all = ["timeout", "output"])]
    cast: bool,
    /// How to print the result; an error is printed by `json` alone, and told on stderr otherwise
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let args = payload_of(options.args).await?;
    let args = if options.json { of_json(&args)? } else { args.into() };
    let client = options.connection.connect().await?;
    let mut code = 0;
    if options.cast {
        client.cast(&options.procedure, args).await?;
        client.ping().await?;
    } else {
        let answer = client.call(&options.procedure, args, options.timeout).await;
        code = u8::from(answer.is_err());
        out.write_all(&printed(answer, options.output))?;
        out.flush()?;
    }
    client.close().await;
    Ok(code)
}

fn of_json(text: &[u8]) -> Result<Term> {
    let json: Value = serde_json::from_slice(text)
        .context("the arguments are no JSON; without --json they are sent as bytes")?;
    Term::of_json(&json).context("the arguments cannot be sent")
}

fn printed(answer: Result<Term, CallError>, format: Format) -> Vec<u8> {
    match (answer, format) {
        (Ok(result), Format::Raw) => match result.bytes() {
            Ok(bytes) => bytes.into(),
            Err(_) => result.packed().to_vec(),
        },
        (Ok(result), Format::Text) => {
            let text = match result.bytes() {
                Ok(bytes) => bytes.into(),
                Err(_) => result.to_json().to_string().into_bytes(),
            };
            let end: &[u8] = if text.ends_with(b"\n") { b"" } else { b"\n" };
            [&text, end].concat()
        }
        (Ok(result), Format::Json) => {
            let (key, result) = match result.bytes() {
                Ok(bytes) => {
                    let (key, text) = json_of("result", &bytes);
                    (key, text.into())
                }
                Err(_) => ("result".to_owned(), result.to_json()),
            };
            format!("{}\n", json!({ key: result })).into()
        }
        (Err(CallError { code, message }), Format::Json) => {
            format!("{}\n", json!({ "error": { "code": code, "message": message } })).into()
        }
        (Err(error), Format::Raw | Format::Text) => {
            eprintln!("gateway: {error}");
            Vec::new()
        }
    }
}
