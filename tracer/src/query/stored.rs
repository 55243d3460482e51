//! Events that are stored, read a part at a time: those of several nodes in the order of their times. It must not
//! know how they are printed.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use serde::Deserialize;

use super::{
    Found,
    printer::Printer,
    source::{Answer, Source},
    sources::Sources,
    url::Url,
};
use crate::{
    contract::question::{EVENTS, Events},
    node::api::{LAST_ROW, MORE},
};

/// Events of one answer; of all answers that are held at once, where there are not too many nodes.
const PART: usize = 2_000;
const SMALLEST_PART: usize = 100;
/// Between two looks at a store that somebody else writes.
const PAUSE: Duration = Duration::from_millis(250);

/// Prints them, the first `limit` of them where there is one.
pub async fn all(
    asked: &Events,
    limit: Option<usize>,
    printer: Printer,
    sources: &mut Sources,
) -> anyhow::Result<Found> {
    let size = (PART / sources.answering().len().max(1)).max(SMALLEST_PART);
    let mut left = limit.unwrap_or(usize::MAX);
    if left == 0 {
        return Ok(nothing());
    }
    let first =
        sources.all(async |_, source| Part::ask(asked, source, 0, size.min(left)).await).await?;
    let mut reels: Vec<Reel> =
        first.into_iter().map(|(node, part)| Reel::new(node, part)).collect();
    let mut found = false;
    loop {
        while left > 0
            && let Some((node, event)) = next(&mut reels)
        {
            (found, left) = (true, left - 1);
            let node = sources.node(node).filter(|_| sources.are_several());
            if printer.print(&(event + "\n"), node)?.is_break() {
                return Ok(Found::Something);
            }
        }
        let ended: Vec<usize> =
            reels.iter().filter(|reel| reel.lacks()).map(|reel| reel.node).collect();
        if left == 0 || ended.is_empty() {
            return Ok(if found { Found::Something } else { nothing() });
        }
        let after = |node| reels.iter().find(|reel| reel.node == node).map_or(0, |reel| reel.after);
        let parts = sources.some(&ended, async |node, source| {
            Part::ask(asked, source, after(node), size.min(left)).await
        });
        let parts = parts.await?;
        reels.retain(|reel| !reel.lacks());
        reels.extend(parts.into_iter().map(|(node, part)| Reel::new(node, part)));
    }
}

fn nothing() -> Found {
    Found::Nothing("no events found".to_owned())
}

/// Prints what comes into a store that has no live events.
pub async fn follow(
    asked: &Events,
    printer: Printer,
    sources: &mut Sources,
) -> anyhow::Result<Found> {
    // With none of its events: where it ends now.
    let (mut after, mut limit) = (0, 0);
    loop {
        let ask = async |_, source: &mut Source| Part::ask(asked, source, after, limit).await;
        let parts = sources.all(ask).await?;
        for (_, part) in parts {
            if printer.print(&part.lines, None)?.is_break() {
                return Ok(Found::Something);
            }
            (after, limit) = (part.last_row, PART);
            if !part.more {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Stored events of one answer.
struct Part {
    /// One JSON object a line.
    lines: String,
    last_row: i64,
    more: bool,
}

impl Part {
    async fn ask(
        asked: &Events,
        source: &mut Source,
        after: i64,
        limit: usize,
    ) -> anyhow::Result<Self> {
        let (after_row, limit) = (Some(after), Some(limit));
        let asked = Events { after_row, limit, ..asked.clone() };
        let url = Url::with(EVENTS, &asked)?;
        match source.get(&url, "application/jsonl").await? {
            Answer::Nothing(why) | Answer::Several { message: why, .. } => bail!(why),
            Answer::Found(answer) => {
                let headers = answer.headers();
                let last_row = header(headers, LAST_ROW.as_str()).and_then(|row| row.parse().ok());
                let last_row = last_row.context("the agent does not say where its answer ends")?;
                let more = header(headers, MORE.as_str()) == Some("true");
                Ok(Self { last_row, more, lines: answer.text().await? })
            }
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Events of one node that are not printed yet.
struct Reel {
    node: usize,
    /// Time and JSON of each.
    events: VecDeque<(String, String)>,
    /// Where to read on.
    after: i64,
    more: bool,
}

#[derive(Deserialize)]
struct Timed {
    #[serde(default)]
    time: String,
}

impl Reel {
    fn new(node: usize, part: Part) -> Self {
        let time =
            |line| serde_json::from_str::<Timed>(line).map_or(String::new(), |event| event.time);
        let events = part.lines.lines().map(|line| (time(line), line.to_owned())).collect();
        Self { node, events, after: part.last_row, more: part.more }
    }

    /// True where the next event has to be asked for.
    fn lacks(&self) -> bool {
        self.events.is_empty() && self.more
    }
}

/// The earliest of the events that are next, and its node. `None` where that cannot be known, or nothing is left.
fn next(reels: &mut [Reel]) -> Option<(usize, String)> {
    if reels.iter().any(Reel::lacks) {
        return None;
    }
    let reels = reels.iter_mut().filter(|reel| !reel.events.is_empty());
    let reel = reels.min_by(|one, other| {
        let time = |reel: &Reel| reel.events.front().map(|(time, _)| time.clone());
        time(one).cmp(&time(other))
    })?;
    reel.events.pop_front().map(|(_, event)| (reel.node, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel(node: usize, times: &[&str], more: bool) -> Reel {
        let lines: String = times.iter().map(|time| format!("{{\"time\":\"{time}\"}}\n")).collect();
        Reel::new(node, Part { lines, last_row: 7, more })
    }

    #[test]
    fn events_of_nodes_come_in_the_order_of_their_times() {
        let mut reels =
            [reel(0, &["1", "4"], false), reel(1, &[], false), reel(2, &["2", "3"], false)];
        let nodes: Vec<usize> =
            std::iter::from_fn(|| next(&mut reels)).map(|(node, _)| node).collect();
        assert_eq!(nodes, [0, 2, 2, 0]);
    }

    #[test]
    fn a_node_whose_next_event_is_not_known_is_waited_for() {
        let mut reels = [reel(0, &["1", "3"], false), reel(1, &["2"], true)];
        assert_eq!(next(&mut reels).map(|(node, _)| node), Some(0));
        assert_eq!(next(&mut reels).map(|(node, _)| node), Some(1));
        assert_eq!(next(&mut reels), None);
        assert!(reels[1].lacks());
    }
}
