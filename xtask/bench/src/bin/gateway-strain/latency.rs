//! Percentiles of how late messages were. Pure.

use std::time::Duration;

#[derive(Debug, Default)]
pub struct Latency(Vec<Duration>);

impl Latency {
    pub fn add(&mut self, more: Vec<Duration>) {
        self.0.extend(more);
        self.0.sort_unstable();
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The least that at least `percent` of all do not exceed; `None` of nothing.
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_that_were_added() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile_ms(50.0), None);
        latency.add((51..=100).map(Duration::from_millis).collect());
        latency.add((1..=50).map(Duration::from_millis).collect());
        let of = |percent| latency.percentile_ms(percent);
        assert_eq!([of(50.0), of(99.0), of(100.0)], [Some(50.0), Some(99.0), Some(100.0)]);
        assert_eq!(latency.count(), 100);
    }
}
