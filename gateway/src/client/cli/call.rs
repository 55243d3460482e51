//! `gateway client call`: the result to standard output, an error to standard error.

use std::{io::Write, time::Duration};

use anyhow::Result;
use clap::Args;

use super::{connection::Connection, payload_of};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    connection: Connection,
    /// Name of the procedure, like com.macula.diagnostics.hello
    procedure: String,
    /// Arguments, usually JSON; `-` reads them from standard input
    args: Option<String>,
    /// Seconds to wait for the reply
    #[arg(long, default_value = "30", value_parser = super::seconds)]
    timeout: Duration,
    /// Do not wait for a reply: there is none
    #[arg(long, conflicts_with = "timeout")]
    cast: bool,
}

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let args = payload_of(options.args).await?;
    let client = options.connection.connect().await?;
    let mut code = 0;
    if options.cast {
        client.cast(&options.procedure, args).await?;
        client.ping().await?;
    } else {
        match client.call(&options.procedure, args, options.timeout).await {
            Ok(result) => {
                out.write_all(&result)?;
                if !result.ends_with(b"\n") {
                    writeln!(out)?;
                }
                out.flush()?;
            }
            Err(error) => {
                eprintln!("{error}");
                code = 1;
            }
        }
    }
    client.close().await;
    Ok(code)
}
