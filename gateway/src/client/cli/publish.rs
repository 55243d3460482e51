//! `gateway client pub` publishes one message. It prints nothing.

use anyhow::Result;
use clap::Args;

use super::{connection::Connection, payload_of};
use crate::{
    client::{PublishOptions, Qos},
    wire::topic::Topic,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Topic, like meters.7.power
    topic: Topic,
    /// Payload; `-` reads it from stdin, '' is an empty one
    #[arg(allow_hyphen_values = true)]
    payload: String,
    /// Keep it for later subscribers; an empty payload forgets what was kept
    #[arg(long)]
    retain: bool,
    /// Carried to the subscribers, 0 to 2; delivery is at most once whatever it is
    #[arg(long, default_value = "0", value_parser = qos)]
    qos: Qos,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(options: Options) -> Result<u8> {
    let payload = payload_of(Some(options.payload)).await?;
    let client = options.connection.connect().await?;
    let how = PublishOptions { retain: options.retain, qos: options.qos };
    client.publish(&options.topic, payload, how).await?;
    // After its answer the gateway has the message, or has said why not.
    client.ping().await?;
    client.close().await;
    Ok(0)
}

fn qos(text: &str) -> Result<Qos, String> {
    text.parse().ok().and_then(Qos::of).ok_or_else(|| "it is 0, 1 or 2".to_owned())
}
