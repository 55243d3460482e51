//! Limits the work that one client may cause in the gateway itself. Pure: the time is an argument. Messages are not known
//! here.

use std::time::Duration;

/// A client may use the allowance of one second at once.
const SPAN: Duration = Duration::from_secs(1);

/// What one client may use in a second, in units. A unit is a frame that changes something or that the gateway itself
/// answers; some frames cost several units.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    per_second: u32,
    /// The time at which the whole allowance is free again.
    used_until: Duration,
}

impl Allowance {
    pub fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), used_until: Duration::ZERO }
    }

    /// Uses units, and returns how long the client has to wait before its next message. `now`: of a clock that only goes
    /// forward.
    pub fn spend(&mut self, units: u32, now: Duration) -> Duration {
        self.used_until = self.used_until.max(now) + SPAN * units / self.per_second;
        self.used_until.saturating_sub(now + SPAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_is_free_at_once_and_then_as_much_a_second() {
        let mut allowance = Allowance::new(100);
        let began = Duration::from_secs(7);
        assert_eq!(allowance.spend(100, began), Duration::ZERO);
        assert_eq!(allowance.spend(1, began), Duration::from_millis(10));
        let later = began + Duration::from_millis(510);
        assert_eq!(allowance.spend(50, later), Duration::ZERO);
        assert_eq!(allowance.spend(1, later), Duration::from_millis(10));
    }

    #[test]
    fn what_was_not_used_is_no_more_than_a_seconds_worth() {
        let mut allowance = Allowance::new(100);
        let later = Duration::from_secs(3600);
        assert_eq!(allowance.spend(150, later), Duration::from_millis(500));
    }
}
