//! `gateway client sub`: one line a message.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{Format, changes::Changes, connection::Connection, json_of, text_of};
use crate::{
    client::{Publish, SubscribeOptions, WhenFull},
    topic::Pattern,
};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    connection: Connection,
    /// Patterns: `*` is one segment, `#` any number of them
    #[arg(required = true)]
    patterns: Vec<Pattern>,
    /// End after so many messages
    #[arg(short = 'n', long)]
    count: Option<u64>,
    /// `text`: topic and payload; `json`: one object a line
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

pub(super) async fn run(options: Options, out: &mut (impl Write + Send)) -> Result<u8> {
    let client = options.connection.connect().await?;
    // Who reads our output slowly makes the gateway drop, which counts it.
    let full = SubscribeOptions { when_full: WhenFull::Wait, ..SubscribeOptions::default() };
    let mut messages = client.subscribe_all(&options.patterns, full).await?;
    let mut changes = Changes::of(&client);
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { break };
                writeln!(out, "{}", line(&message, options.output))?;
                out.flush()?;
                left -= 1;
            }
            told = changes.tell() => told?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        }
    }
    client.close().await;
    Ok(0)
}

fn line(message: &Publish, format: Format) -> String {
    match format {
        Format::Text => format!("{} {}", message.topic, text_of(&message.payload)),
        Format::Json => {
            let (key, payload) = json_of(&message.payload);
            let topic = message.topic.as_str();
            let (retain, qos) = (message.retain, message.qos.number());
            let id = message.message_id.to_string();
            json!({ "topic": topic, key: payload, "retain": retain, "qos": qos, "message_id": id })
                .to_string()
        }
    }
}
