//! One publisher and some subscribers: how many messages arrive a second, and whether each did once and in order.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Cell;
use crate::batch::Batch;
use crate::link::Link;
use crate::progress::Progress;
use crate::sequence::Sequence;

/// Without any message for so long the rest counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a window counts for topic and header of each message.
const AROUND: u64 = 128;

/// How many are sent before those that count.
pub fn warm_up(messages: u64) -> u64 {
    messages / 5
}

/// `received` counts messages after the warm-up, of all subscribers together; `in_order` is true if each of them, and of
/// those of the warm-up, came once and in order.
pub async fn measure(cell: &Cell, messages: u64) -> Result<Value> {
    let size = usize::try_from(cell.size)?;
    let (warm, all) = (warm_up(messages), warm_up(messages) + messages);
    let progress = Progress::new(cell.subscribers);
    let mut subscribers = JoinSet::new();
    for number in 0..cell.subscribers {
        let mut link = Link::open(cell, number).await?;
        let subscribe = link.wire.subscribe();
        link.ask(&subscribe).await.context("cannot subscribe")?;
        let mut tally = Tally { sequence: Sequence::new(size), warm, all, began: None };
        let progress = progress.clone();
        subscribers.spawn(async move {
            let ended = tally.receive(&mut link, number, &progress).await;
            link.close().await;
            ended.map(|ended| (tally, ended))
        });
    }
    let publisher = Link::open(cell, cell.subscribers).await?;
    let window = (cell.window / (u64::from(cell.size) + AROUND)).max(1);
    let publishing = tokio::spawn(publish(publisher, size, all, window, progress));
    let (mut received, mut in_order) = (0, true);
    let (mut began, mut ended) = (None, None);
    while let Some(done) = subscribers.join_next().await {
        let (tally, end) = done??;
        received += tally.sequence.count().saturating_sub(warm);
        in_order &= tally.sequence.is_in_order();
        began = earlier(began, tally.began);
        ended = ended.max(Some(end));
    }
    // Where messages were lost it waits for room that does not come.
    if received == messages * u64::from(cell.subscribers) {
        publishing.await??;
    } else {
        publishing.abort();
    }
    let seconds = began.zip(ended).map(|(began, ended): (Instant, Instant)| ended - began);
    let seconds = seconds.unwrap_or_default().as_secs_f64();
    Ok(json!({ "received": received, "seconds": seconds, "in_order": in_order }))
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

async fn publish(
    mut link: Link,
    size: usize,
    all: u64,
    window: u64,
    progress: Progress,
) -> Result<()> {
    let wire = link.wire;
    let mut batch = Batch::new(size, |body| wire.publish(body));
    while batch.taken() < all {
        let left = all - batch.taken();
        let room = progress.room(batch.taken(), window, batch.most().min(left)).await;
        link.write(batch.take(room.min(left))).await.context("cannot publish")?;
    }
    // The server may have asked whether we are there, and may have refused something.
    link.ask(&wire.flush()).await.context("the publisher was refused")?;
    link.close().await;
    Ok(())
}

/// What one subscriber has seen.
#[derive(Debug)]
struct Tally {
    sequence: Sequence,
    warm: u64,
    all: u64,
    /// When the last message of the warm-up had come.
    began: Option<Instant>,
}

impl Tally {
    /// Until all have come, or none for too long; returns when the last one came.
    async fn receive(
        &mut self,
        link: &mut Link,
        number: u16,
        progress: &Progress,
    ) -> Result<Instant> {
        let mut last = Instant::now();
        while self.sequence.count() < self.all {
            let Ok(read) =
                timeout(PATIENCE, link.read(|message| self.sequence.take(message.body))).await
            else {
                break;
            };
            read.context("cannot receive")?;
            last = Instant::now();
            if self.began.is_none() && self.sequence.count() >= self.warm {
                self.began = Some(last);
            }
            progress.tell(number, self.sequence.count());
        }
        Ok(last)
    }
}
