//! What is both counted and logged: one struct each, so that the metric and the line agree. It must not
//! decide anything.

use std::fmt::Display;

use super::{ByKind, Metrics};

/// The kernel side, or a queue of ours, had no room.
#[derive(Debug)]
pub struct EventsLost {
    pub kind: &'static str,
    pub count: u64,
}

impl EventsLost {
    pub fn tell(&self, metrics: &Metrics) {
        metrics.events_lost.get_or_create(&ByKind { kind: self.kind }).inc_by(self.count);
        tracing::warn!(kind = self.kind, count = self.count, "events were lost");
    }
}

/// A record that no decoder accepts: the programs and this agent do not fit, or one of them is wrong.
pub struct Undecodable<'a> {
    pub error: &'a dyn Display,
}

impl Undecodable<'_> {
    pub fn tell(&self, metrics: &Metrics) {
        metrics.records_undecodable.inc();
        tracing::warn!(error = %self.error, "a record cannot be decoded");
    }
}

/// A follower of the live stream was too slow; it is told so by a `lost` line.
#[derive(Debug)]
pub struct LinesLost {
    pub count: u64,
}

impl LinesLost {
    pub fn tell(&self, metrics: &Metrics) {
        metrics.subscriber_lines_lost.inc_by(self.count);
        tracing::debug!(count = self.count, "a follower of the live stream is too slow");
    }
}

/// One follower more than are allowed.
#[derive(Debug)]
pub struct SubscriberRefused {
    pub most: usize,
}

impl SubscriberRefused {
    pub fn tell(&self, metrics: &Metrics) {
        metrics.subscribers_refused.inc();
        tracing::warn!(most = self.most, "a follower of the live stream was refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_counted() {
        let metrics = Metrics::new();
        EventsLost { kind: "exec", count: 3 }.tell(&metrics);
        Undecodable { error: &"short" }.tell(&metrics);
        LinesLost { count: 5 }.tell(&metrics);
        SubscriberRefused { most: 1 }.tell(&metrics);
        assert_eq!(metrics.events_lost.get_or_create(&ByKind { kind: "exec" }).get(), 3);
        assert_eq!(metrics.records_undecodable.get(), 1);
        assert_eq!(metrics.subscriber_lines_lost.get(), 5);
        assert_eq!(metrics.subscribers_refused.get(), 1);
    }
}
