//! Fifty subscribers of one topic, of whom one may read nothing: how late the others get what is published at a steady rate.
//! What is late is not known here.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use clap::Args;
use gateway::wire::{
    id::MessageId,
    message::{Message, Ping, Publish, Qos, Subscribe},
    topic::{Pattern, Topic},
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::{interval, timeout},
};

use crate::{
    client::{Client, Road},
    latency::Latency,
};

#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    #[arg(long)]
    pub subscribers: usize,
    /// One of them reads nothing
    #[arg(long)]
    pub stuck: bool,
    /// Published to that one alone, by somebody else, before the rate begins
    #[arg(long, default_value_t = 0)]
    pub extra_bytes: u64,
    /// The same evenly over all the seconds instead
    #[arg(long)]
    pub meanwhile: bool,
    /// Messages a second
    #[arg(long)]
    pub rate: u32,
    #[arg(long)]
    pub payload_bytes: usize,
    /// So few that over TCP nobody need answer the gateway's pings
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub seconds: u32,
}

/// All subscribers have it.
const NEWS: &str = "strain.news";
/// The last one has it too.
const ONLY_LAST: &str = "strain.last";
/// Times a second that more is published to the last one meanwhile.
const FILLS: u32 = 100;
const PING: u64 = 7;
/// Messages that wait for a publisher that is held up: those of some seconds.
const DUE: usize = 1 << 14;
/// Nothing takes longer than that, unless something is lost.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn measure(road: &Road, options: Options) -> anyhow::Result<Value> {
    let (clock, count) = (Instant::now(), u64::from(options.rate) * u64::from(options.seconds));
    let mut readers = JoinSet::new();
    for _ in 1..options.subscribers {
        let subscriber = subscribe(road, &[NEWS]).await?;
        readers.spawn(read(subscriber, count, clock));
    }
    let last = subscribe(road, &[NEWS, ONLY_LAST]).await?;
    let publisher = road.join().await?;
    let mut filler = road.join().await?;
    let extra = options.extra_bytes / options.payload_bytes as u64;
    if !options.meanwhile {
        fill(&mut filler, options, 0..extra, clock).await?;
        confirmed(&mut filler).await?;
    }

    // It reads, or does not, and is not one of the others.
    let (mut reads, mut stuck) = (JoinSet::new(), None);
    if options.stuck {
        stuck = Some(last);
    } else {
        reads.spawn(read(last, count, clock));
    }
    let (due, dues) = channel(DUE);
    let ticks = tick(options.rate, count, clock, due);
    let published = publish(publisher, options.payload_bytes, dues);
    let latencies = async {
        let mut latency = Latency::default();
        while let Some(read) = readers.join_next().await {
            latency.add(read?.context("a subscriber that reads")?);
        }
        while let Some(read) = reads.join_next().await {
            read??;
        }
        anyhow::Ok(latency)
    };
    let filled = async {
        if options.meanwhile {
            fill_evenly(&mut filler, options, extra, clock).await?;
        }
        Ok(())
    };
    let all = async { tokio::try_join!(ticks, published, filled, latencies) };
    let all = timeout(PATIENCE, all).await.context("messages do not come")??;
    let ((), _publisher, (), latency) = all;
    confirmed(&mut filler).await?;
    let missed = match stuck {
        Some(stuck) => (extra + count).saturating_sub(catch_up(stuck).await?),
        None => 0,
    };
    Ok(json!({
        "deliveries": latency.count(), "missed_by_stuck": missed, "p50_ms": latency.percentile_ms(50.0),
        "p99_ms": latency.percentile_ms(99.0), "most_ms": latency.percentile_ms(100.0),
    }))
}

async fn fill(
    filler: &mut Client,
    options: Options,
    numbers: Range<u64>,
    clock: Instant,
) -> anyhow::Result<()> {
    for number in numbers {
        let message = message(ONLY_LAST, options.payload_bytes, number, clock.elapsed())?;
        filler.speaker.say(&message).await?;
    }
    Ok(())
}

async fn fill_evenly(
    filler: &mut Client,
    options: Options,
    count: u64,
    clock: Instant,
) -> anyhow::Result<()> {
    let steps = u64::from(options.seconds) * u64::from(FILLS);
    let mut ticks = interval(Duration::from_secs(1) / FILLS);
    for step in 0..steps {
        ticks.tick().await;
        let numbers = count * step / steps..count * (step + 1) / steps;
        fill(filler, options, numbers, clock).await?;
    }
    Ok(())
}

/// Says when each message is due; it waits for nobody, so that what holds the publisher up makes messages late.
async fn tick(rate: u32, count: u64, clock: Instant, due: Sender<Duration>) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    for _ in 0..count {
        ticks.tick().await;
        due.try_send(clock.elapsed()).context("the publisher is held up for seconds")?;
    }
    Ok(())
}

/// Returns the publisher, which must not leave before what it said has arrived.
async fn publish(
    mut publisher: Client,
    payload_bytes: usize,
    mut dues: Receiver<Duration>,
) -> anyhow::Result<Client> {
    let mut number = 0;
    while let Some(due) = dues.recv().await {
        publisher.speaker.say(&message(NEWS, payload_bytes, number, due)?).await?;
        number += 1;
    }
    Ok(publisher)
}

/// Each message once, in order: anything else is an error.
async fn read(mut subscriber: Client, count: u64, clock: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for expected in 0..count {
        let payload = loop {
            match subscriber.listener.next().await? {
                Some(Message::Publish(publish)) if publish.topic.as_str() == NEWS => {
                    break publish.payload;
                }
                Some(_) => {}
                None => bail!("the gateway ended the stream after {expected} messages"),
            }
        };
        let (number, due) = head(&payload)?;
        ensure!(number == expected, "message {number} came where {expected} was expected");
        latencies.push(clock.elapsed().saturating_sub(due));
    }
    Ok(latencies)
}

/// How many messages were kept for a client that now begins to read.
async fn catch_up(mut stuck: Client) -> anyhow::Result<u64> {
    stuck.speaker.say(&Message::Ping(Ping { timestamp: PING })).await?;
    let mut messages = 0;
    loop {
        match stuck.listener.next().await? {
            Some(Message::Publish(_)) => messages += 1,
            Some(Message::Pong(_)) => return Ok(messages),
            Some(_) => {}
            None => bail!("the gateway ended the stream of who was stuck"),
        }
    }
}

async fn subscribe(road: &Road, topics: &[&str]) -> anyhow::Result<Client> {
    let mut client = road.join().await?;
    let topics = topics.iter().map(|topic| Ok(topic.parse::<Pattern>()?));
    let topics = topics.collect::<anyhow::Result<_>>()?;
    client.speaker.say(&Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })).await?;
    confirmed(&mut client).await?;
    Ok(client)
}

/// Returns once the gateway has seen all that was said before.
async fn confirmed(client: &mut Client) -> anyhow::Result<()> {
    client.speaker.say(&Message::Ping(Ping { timestamp: PING })).await?;
    match client.listener.next().await? {
        Some(Message::Pong(_)) => Ok(()),
        other => bail!("the gateway answered a PING with {other:?}"),
    }
}

/// Its number, and the time at which it was to be published.
fn message(topic: &str, bytes: usize, number: u64, due: Duration) -> anyhow::Result<Message> {
    let mut payload = BytesMut::zeroed(bytes);
    let mut head = &mut payload[..];
    ensure!(head.len() >= 16, "a payload of {bytes} bytes has no room for its number and time");
    head.put_u64(number);
    head.put_u64(u64::try_from(due.as_nanos())?);
    Ok(Message::Publish(Publish {
        topic: topic.parse::<Topic>()?,
        payload: payload.freeze(),
        qos: Qos::AtMostOnce,
        retain: false,
        message_id: MessageId::from(u128::from(number).to_be_bytes()),
    }))
}

fn head(payload: &Bytes) -> anyhow::Result<(u64, Duration)> {
    let (number, rest) = payload.split_first_chunk().context("a payload is too short")?;
    let due = rest.first_chunk().context("a payload is too short")?;
    Ok((u64::from_be_bytes(*number), Duration::from_nanos(u64::from_be_bytes(*due))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_its_number_and_time() {
        let Message::Publish(publish) = message(NEWS, 32, 9, Duration::from_nanos(77)).unwrap()
        else {
            panic!("no publish")
        };
        assert_eq!(publish.payload.len(), 32);
        assert_eq!(head(&publish.payload).unwrap(), (9, Duration::from_nanos(77)));
        assert!(message(NEWS, 8, 9, Duration::ZERO).is_err());
        assert!(head(&Bytes::from_static(b"short")).is_err());
    }
}
