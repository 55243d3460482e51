//! Clients that are connected and say nothing. It must not know what they cost.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use gateway::wire::message::{Message, Pong};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{AT_ONCE, Client, Road};

/// Clients that are connected.
pub struct Held(JoinSet<anyhow::Result<()>>);

/// Connects so many; returns how that went.
pub async fn connect(road: Road, count: u32) -> anyhow::Result<(Held, Value)> {
    let began = Instant::now();
    let road = Arc::new(road);
    let (mut joining, mut held) = (JoinSet::new(), JoinSet::new());
    for started in 0..count {
        if started >= AT_ONCE {
            hold_next(&mut joining, &mut held).await?;
        }
        let road = road.clone();
        joining.spawn(async move { road.join().await });
    }
    while !joining.is_empty() {
        hold_next(&mut joining, &mut held).await?;
    }
    let connected = json!({ "connected": held.len(), "seconds": began.elapsed().as_secs_f64() });
    Ok((Held(held), connected))
}

impl Held {
    /// Returns when one of them is lost.
    pub async fn keep(mut self) -> anyhow::Result<()> {
        match self.0.join_next().await {
            Some(lost) => lost?.context("an idle client was lost"),
            None => Ok(()),
        }
    }
}

async fn hold_next(
    joining: &mut JoinSet<anyhow::Result<Client>>,
    held: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let client = joining.join_next().await.context("nobody is on the way")??;
    held.spawn(answer(client?));
    Ok(())
}

/// Answers the gateway's pings, by which it finds out over TCP whether anybody is there.
async fn answer(mut client: Client) -> anyhow::Result<()> {
    while let Some(message) = client.listener.next().await? {
        if let Message::Ping(ping) = message {
            let pong = Pong { timestamp: ping.timestamp, server_time: ping.timestamp };
            client.speaker.say(&Message::Pong(pong)).await?;
        }
    }
    anyhow::bail!("the gateway ended the stream")
}
