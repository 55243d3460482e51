//! `gateway client sub` prints one line for each message.

use std::{io::Write, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use super::{Format, changes::Changes, connection::Connection, json_of, stop::Stop, text_of};
use crate::{
    client::{Publish, SubscribeOptions, WhenFull},
    wire::topic::Pattern,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Patterns: `*` is one segment, `#` any number of them
    #[arg(required = true)]
    patterns: Vec<Pattern>,
    /// End after so many messages
    #[arg(short = 'n', long)]
    count: Option<u64>,
    /// End when no message came for so long; with 1 if there were fewer than --count, or none
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    timeout: Option<Duration>,
    /// How to print messages
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Do not say on stderr that the connection was lost and came again
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let client = options.connection.connect().await?;
    let mut stop = Stop::listen()?;
    // If the output is read slowly, the gateway drops messages, and counts them.
    let full = SubscribeOptions { when_full: WhenFull::Wait, ..SubscribeOptions::default() };
    let mut messages = client.subscribe_all(&options.patterns, full).await?;
    let mut changes = Changes::of(&client, options.quiet);
    let (most, patience) =
        (options.count.unwrap_or(u64::MAX), options.timeout.unwrap_or(Duration::MAX));
    let (mut count, mut code) = (0, 0);
    // A change of the connection is no message: the timeout goes on.
    'messages: while count < most {
        let next = timeout(patience, messages.next());
        tokio::pin!(next);
        let next = loop {
            tokio::select! {
                next = &mut next => break next,
                reported = changes.report_next() => reported?,
                () = stop.asked() => break 'messages,
            }
        };
        match next {
            Ok(Some(message)) => {
                out.write_all(&printed(&message, options.output))?;
                out.flush()?;
                count += 1;
            }
            Ok(None) => break,
            Err(_) => {
                code = u8::from(count < options.count.unwrap_or(1));
                break;
            }
        }
    }
    client.close().await;
    Ok(code)
}

fn printed(message: &Publish, format: Format) -> Vec<u8> {
    match format {
        Format::Raw => message.payload.to_vec(),
        Format::Text => format!("{} {}\n", message.topic, text_of(&message.payload)).into(),
        Format::Json => {
            let (key, payload) = json_of("payload", &message.payload);
            let topic = message.topic.as_str();
            let (retain, qos) = (message.retain, message.qos.number());
            let id = message.message_id.to_string();
            let object = json!({ "topic": topic, key: payload, "retain": retain, "qos": qos, "message_id": id });
            format!("{object}\n").into()
        }
    }
}
