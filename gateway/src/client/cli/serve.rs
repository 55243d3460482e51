//! `gateway client serve` runs a command for each call: the arguments are the input of the command, its output is the
//! result.

use std::{ffi::OsString, process::Stdio, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{
    changes::Changes,
    connection::{Connection, connect},
    stop::Stop,
};
use crate::client::{CallError, Term};

#[derive(Debug, Args)]
pub struct Options {
    /// Name of the procedure, like com.example.add
    procedure: String,
    /// Answer with the arguments
    #[arg(long, conflicts_with = "command", required_unless_present = "command")]
    echo: bool,
    /// The command gets the arguments as JSON, whatever they are, and answers by JSON: by a map, a list, a number, ...
    #[arg(long, conflicts_with = "echo")]
    json: bool,
    /// Calls at a time; more are answered by `busy`
    #[arg(long, default_value = "16", value_name = "COUNT")]
    concurrency: usize,
    /// Do not say on stderr what is served, which calls failed, and that the connection was lost
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: Connection,
    /// Command that gets the arguments on its stdin, bytes as they are and all else as JSON; its stdout is the result
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) async fn run(options: Options) -> Result<u8> {
    let mut config = options.connection.config()?;
    config.most_handlers = options.concurrency;
    let most = config.most_payload_bytes;
    let client = connect(config).await?;
    let mut stop = Stop::listen()?;
    if options.echo {
        client.register(&options.procedure, |args| async move { Ok(args) }).await?;
    } else {
        let command: Arc<[OsString]> = options.command.into();
        let (quiet, json) = (options.quiet, options.json);
        let handler = move |args: Term| {
            let answer = answer(command.clone(), input_of(&args, json), u64::from(most));
            async move {
                let result = answer.await.and_then(|output| result_of(output, json));
                result.inspect_err(|error| {
                    if !quiet {
                        eprintln!("{error}");
                    }
                })
            }
        };
        client.register(&options.procedure, handler).await?;
    }
    let mut changes = Changes::of(&client, options.quiet);
    if !options.quiet {
        eprintln!("serving {}", options.procedure);
    }
    loop {
        tokio::select! {
            reported = changes.report_next() => reported?,
            () = stop.asked() => break,
        }
    }
    client.close().await;
    Ok(0)
}

fn input_of(args: &Term, json: bool) -> Bytes {
    match args.bytes() {
        Ok(bytes) if !json => bytes,
        Ok(_) | Err(_) => args.to_json().to_string().into(),
    }
}

fn result_of(output: Bytes, json: bool) -> Result<Term, CallError> {
    if !json {
        return Ok(output.into());
    }
    let wrong = |why: &dyn std::fmt::Display| {
        CallError::handler(format!("the command answered by no JSON: {why}"))
    };
    let value = serde_json::from_slice(&output).map_err(|error| wrong(&error))?;
    Term::of_json(&value).map_err(|error| wrong(&error))
}

/// Runs the command for one call. A command whose call has ended is killed.
async fn answer(command: Arc<[OsString]>, args: Bytes, most: u64) -> Result<Bytes, CallError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CallError::handler("no command is set"));
    };
    let name = program.to_string_lossy();
    let wrong = |what: &str, why: &dyn std::fmt::Display| {
        CallError::handler(format!("{what} {name}: {why}"))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| wrong("cannot run", &error))?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(wrong("cannot run", &"it has no pipes"));
    };
    let write = async move {
        // A command need not read its input.
        let _ = input.write_all(&args).await;
    };
    let read = async {
        let mut result = Vec::new();
        output.take(most).read_to_end(&mut result).await.map(|_| result)
    };
    let ((), result) = tokio::join!(write, read);
    let result = result.map_err(|error| wrong("cannot read from", &error))?;
    let ended = child.wait().await.map_err(|error| wrong("cannot wait for", &error))?;
    if ended.success() { Ok(result.into()) } else { Err(wrong("failed:", &ended)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer_of(command: &[&str], args: &'static [u8]) -> Result<Bytes, CallError> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        answer(command.into(), Bytes::from_static(args), 1 << 20).await
    }

    #[tokio::test]
    async fn a_command_answers_by_its_output() {
        assert_eq!(answer_of(&["cat"], b"abc").await.unwrap(), "abc");
        assert_eq!(answer_of(&["echo", "-n", "x"], b"not read").await.unwrap(), "x");
    }

    #[test]
    fn a_command_gets_bytes_as_they_are_and_all_else_as_json() {
        let map = Term::of_json(&serde_json::json!({"a": 1})).unwrap();
        assert_eq!(input_of(&"x\n".into(), false), "x\n");
        assert_eq!(input_of(&map, false), "{\"a\":1}");
        assert_eq!(input_of(&"x\n".into(), true), "\"x\\n\"");
        assert_eq!(result_of("{\"a\":1}\n".into(), true).unwrap(), map);
        assert_eq!(result_of("3\n".into(), false).unwrap(), "3\n");
        assert_eq!(result_of("three".into(), true).unwrap_err().code, "handler_error");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_a_handlers_error() {
        for (command, why) in [("false", "exit status: 1"), ("/no/such/command", "No such file")] {
            let error = answer_of(&[command], b"").await.unwrap_err();
            assert_eq!(error.code, "handler_error");
            assert!(error.message.contains(why), "{error}");
        }
    }
}
