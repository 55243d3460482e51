//! How often something may be done: so often at once, then once per some time. It must not know what, or the clock.

use std::time::{Duration, Instant};

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub burst: u32,
    /// How long it takes until one more is allowed.
    pub every: Duration,
}

/// A token bucket under such a bound, kept as the time when all of its tokens are back (GCRA).
#[derive(Clone, Debug)]
pub struct Pace {
    limit: Limit,
    full_at: Instant,
}

impl Pace {
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self { limit, full_at: now }
    }

    /// How long must be waited until one is allowed.
    pub fn wait(&self, now: Instant) -> Duration {
        let room = self.limit.every * self.limit.burst.saturating_sub(1);
        self.full_at.saturating_duration_since(now + room)
    }

    pub fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.limit.every;
    }

    /// What was taken was of no use.
    pub fn give_back(&mut self) {
        self.full_at = self.full_at.checked_sub(self.limit.every).unwrap_or(self.full_at);
    }

    /// Whether it is as a new one.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_burst_one_is_allowed_per_period() {
        let every = Duration::from_secs(300);
        let start = Instant::now();
        let mut pace = Pace::new(Limit { burst: 3, every }, start);
        for _ in 0..3 {
            assert_eq!(pace.wait(start), Duration::ZERO);
            pace.take(start);
        }
        assert_eq!(pace.wait(start), every);
        assert_eq!(pace.wait(start + every / 2), every / 2);
        assert_eq!(pace.wait(start + every), Duration::ZERO);
        pace.take(start + every);
        assert_eq!(pace.wait(start + every), every);
        assert!(!pace.is_full(start + 3 * every) && pace.is_full(start + 4 * every));
    }

    #[test]
    fn what_was_of_no_use_does_not_count() {
        let start = Instant::now();
        let mut pace = Pace::new(Limit { burst: 1, every: Duration::from_secs(1) }, start);
        pace.take(start);
        pace.give_back();
        assert_eq!(pace.wait(start), Duration::ZERO);
    }
}
