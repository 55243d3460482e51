//! The messages of a benchmark: publishers send, subscribers check what arrived.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::{Options, Rate, client};
use crate::{
    client::{Client, Config, Error, PublishOptions, SubscribeOptions, Subscription, WhenFull},
    wire::topic::Topic,
};

/// After this time without a message the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// The counts of a measurement.
#[derive(Debug)]
pub struct Measured {
    published: Rate,
    delivered: Rate,
    /// Messages that were never delivered, of all subscribers together.
    lost: u64,
    /// Messages that came twice, or after a later one.
    disordered: u64,
}

impl Measured {
    /// Whether each message came once, and in its publisher's order.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.disordered == 0
    }

    pub fn json(&self) -> Value {
        json!({
            "published": self.published.json(),
            "delivered": self.delivered.json(),
            "lost": self.lost,
            "disordered": self.disordered,
        })
    }

    pub fn text(&self) -> String {
        let check = if self.is_good() {
            "each once and in order".to_owned()
        } else {
            format!("{} lost, {} twice or out of order", self.lost, self.disordered)
        };
        let lines = [self.published.line("published"), self.delivered.line("delivered")];
        format!("{}\n{:<10} {check}", lines.join("\n"), "messages")
    }
}

pub async fn measure(options: &Options, config: &Config, name: &str) -> Result<Measured> {
    let (publishers, each) = (options.publishers, options.count);
    let all = u64::from(publishers) * each;
    let mut subscribers = JoinSet::new();
    for _ in 0..options.subscribers {
        let client = client(config).await?;
        // The client must not drop what the gateway delivered.
        let full = SubscribeOptions { when_full: WhenFull::Wait, ..SubscribeOptions::default() };
        let subscription = client.subscribe(&format!("{name}.*").parse()?, full).await?;
        subscribers.spawn(receive(client, subscription, publishers, all));
    }
    let mut sources = Vec::new();
    for number in 0..publishers {
        let topic: Topic = format!("{name}.{number}").parse()?;
        sources.push((client(config).await?, topic, number));
    }
    let began = Instant::now();
    let mut publishing = JoinSet::new();
    for (client, topic, number) in sources {
        publishing.spawn(publish(client, topic, number, each, options.size));
    }
    let mut published = Vec::new();
    while let Some(ended) = publishing.join_next().await {
        published.push(ended?.context("a publisher stopped")?);
    }
    let published_in = began.elapsed();
    let (mut count, mut disordered, mut last) = (0, 0, began);
    while let Some(ended) = subscribers.join_next().await {
        let (tally, at) = ended?;
        count += tally.distinct;
        disordered += tally.disordered;
        last = last.max(at);
    }
    for client in published {
        client.close().await;
    }
    let of = |count, took| Rate { count, bytes: count * u64::from(options.size), took };
    Ok(Measured {
        published: of(all, published_in),
        delivered: of(count, last.duration_since(began)),
        lost: (all * u64::from(options.subscribers)).saturating_sub(count),
        disordered,
    })
}

async fn publish(
    client: Client,
    topic: Topic,
    number: u16,
    count: u64,
    size: u32,
) -> Result<Client, Error> {
    for sequence in 0..count {
        client.publish(&topic, payload(number, sequence, size), PublishOptions::default()).await?;
    }
    // The measurement lasts until the gateway has the last message.
    client.ping().await?;
    Ok(client)
}

fn payload(publisher: u16, sequence: u64, size: u32) -> Bytes {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(size);
    bytes.put_u16(publisher);
    bytes.put_u64(sequence);
    bytes.resize(size, 0);
    bytes.freeze()
}

async fn receive(
    client: Client,
    mut messages: Subscription,
    publishers: u16,
    all: u64,
) -> (Tally, Instant) {
    let mut tally = Tally { next: vec![0; usize::from(publishers)], distinct: 0, disordered: 0 };
    let mut last = Instant::now();
    while tally.distinct < all {
        let Ok(Some(message)) = timeout(PATIENCE, messages.next()).await else { break };
        tally.count(&message.payload);
        last = Instant::now();
    }
    client.close().await;
    (tally, last)
}

/// The messages that one subscriber got.
#[derive(Debug, PartialEq)]
struct Tally {
    /// The next number that should come, of each publisher.
    next: Vec<u64>,
    distinct: u64,
    disordered: u64,
}

impl Tally {
    fn count(&mut self, payload: &[u8]) {
        let Some((publisher, rest)) = payload.split_first_chunk() else { return };
        let Some((sequence, _)) = rest.split_first_chunk() else { return };
        let (publisher, sequence) = (u16::from_be_bytes(*publisher), u64::from_be_bytes(*sequence));
        let Some(next) = self.next.get_mut(usize::from(publisher)) else { return };
        if sequence < *next {
            // The message came before, or was skipped and counts as lost.
            self.disordered += 1;
            return;
        }
        self.distinct += 1;
        *next = sequence + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_late_or_there_twice_is_seen() {
        let mut tally = Tally { next: vec![0; 2], distinct: 0, disordered: 0 };
        for (publisher, sequence) in [(0, 0), (1, 0), (0, 1), (0, 3), (0, 2), (1, 0), (9, 0)] {
            tally.count(&payload(publisher, sequence, 16));
        }
        tally.count(b"short");
        assert_eq!(tally, Tally { next: vec![4, 1], distinct: 4, disordered: 2 });
    }
}
