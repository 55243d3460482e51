//! Calls from one client to another through the server, some of them under way at a time: how long each takes.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Cell;
use crate::link::Link;
use crate::messages::PATIENCE;
use crate::sequence::{NUMBER_BYTES, number, payload};

/// Microseconds from writing a call to its reply, and replies a second. Every call must be answered once. A fifth of the
/// calls go before, to warm up.
pub async fn measure(cell: &Cell, calls: u32) -> Result<Value> {
    let mut provider = Link::open(cell, 0).await?;
    let serve = provider.wire.serve().context("this peer is not measured with calls")?;
    provider.ask(&serve).await.context("cannot serve")?;
    let mut caller = Caller::open(cell, calls).await?;
    let measured = tokio::select! {
        measured = caller.call_all(usize::from(cell.in_flight)) => measured,
        ended = answer(&mut provider) => ended,
    };
    caller.link.close().await;
    provider.close().await;
    let (mut took, per_second) = measured?;
    took.sort_unstable_by(f64::total_cmp);
    let percentile = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    Ok(json!({ "p50_us": percentile(50), "p99_us": percentile(99), "per_second": per_second }))
}

/// Answers each call with what it brought; returns only when it cannot.
async fn answer<T>(provider: &mut Link) -> Result<T> {
    let (wire, mut out) = (provider.wire, Vec::new());
    loop {
        provider.read(|call| wire.reply(&mut out, call.reply_to, call.body)).await?;
        provider.write(&out).await?;
        out.clear();
    }
}

struct Caller {
    link: Link,
    body: Vec<u8>,
    warm: usize,
    /// When each call was written, until it is answered.
    began: Vec<Option<Instant>>,
    all: usize,
}

impl Caller {
    async fn open(cell: &Cell, calls: u32) -> Result<Self> {
        let mut link = Link::open(cell, 1).await?;
        if let Some(subscribe) = link.wire.await_replies() {
            link.ask(&subscribe).await?;
        }
        let (calls, size) = (usize::try_from(calls)?, usize::try_from(cell.size)?);
        let (warm, all) = (calls / 5, calls / 5 + calls);
        Ok(Self { link, body: payload(size), warm, began: Vec::with_capacity(all), all })
    }

    /// Microseconds of each call, and calls a second.
    async fn call_all(&mut self, in_flight: usize) -> Result<(Vec<f64>, f64)> {
        let mut took = Vec::with_capacity(self.all - self.warm);
        let (mut answered, mut wrong) = (0, 0);
        let mut warm_at = Instant::now();
        let mut out = Vec::new();
        while answered < self.all {
            let now = Instant::now();
            while self.began.len() < self.all && self.began.len() - answered < in_flight {
                let next = self.began.len() as u64;
                self.body[..NUMBER_BYTES].copy_from_slice(&next.to_be_bytes());
                self.link.wire.call(&mut out, next, &self.body);
                self.began.push(Some(now));
            }
            self.link.write(&out).await?;
            out.clear();
            let (began, warm, size) = (&mut self.began, self.warm, self.body.len());
            let before = answered;
            let read = self.link.read(|reply| {
                let arrived = Instant::now();
                let call = number(reply.body).and_then(|number| usize::try_from(number).ok());
                let call = call.filter(|_| reply.body.len() == size);
                match call.and_then(|call| Some((call, began.get_mut(call)?.take()?))) {
                    Some((call, began)) => {
                        answered += 1;
                        if call >= warm {
                            took.push((arrived - began).as_secs_f64() * 1e6);
                        }
                    }
                    None => wrong += 1,
                }
            });
            timeout(PATIENCE, read).await.context("a call was not answered")??;
            ensure!(wrong == 0, "{wrong} replies to calls that were not made, or came twice");
            if (before..answered).contains(&self.warm) {
                warm_at = Instant::now();
            }
        }
        let per_second = (self.all - self.warm) as f64 / warm_at.elapsed().as_secs_f64();
        Ok((took, per_second))
    }
}
