//! `gateway client pub`. It knows no output.

use anyhow::Result;
use clap::Args;

use super::{connection::Connection, payload_of};
use crate::{
    client::{PublishOptions, Qos},
    topic::Topic,
};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    connection: Connection,
    /// Topic, like meters.7.power
    topic: Topic,
    /// Payload; `-` reads it from standard input
    payload: Option<String>,
    /// Keep it for later subscribers; an empty payload forgets what was kept
    #[arg(long)]
    retain: bool,
}

pub(super) async fn run(options: Options) -> Result<u8> {
    let payload = payload_of(options.payload).await?;
    let client = options.connection.connect().await?;
    let how = PublishOptions { retain: options.retain, qos: Qos::AtMostOnce };
    client.publish(&options.topic, payload, how).await?;
    // The gateway has taken it, or says why not.
    client.ping().await?;
    client.close().await;
    Ok(0)
}
