//! How often one life may have something looked up: a process that fails in a loop must not keep the
//! agent busy. It must not know what is looked up.

use crate::capture::event::BootNs;

/// So many look-ups at once, then one in each interval.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    free: u32,
    interval_ns: u64,
    last_ns: BootNs,
}

impl Pace {
    pub fn new(free: u32, interval_ns: u64) -> Self {
        Self { free, interval_ns, last_ns: 0 }
    }

    /// True if something may be looked up for an event of this time.
    pub fn allows(&mut self, time_ns: BootNs) -> bool {
        let rested = time_ns.saturating_sub(self.last_ns) >= self.interval_ns;
        if self.free == 0 && !rested {
            return false;
        }
        self.free = self.free.saturating_sub(1);
        self.last_ns = time_ns;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_failures_is_looked_at_once_in_each_interval() {
        let mut pace = Pace::new(2, 100);
        let allowed: Vec<bool> =
            [1000, 1001, 1002, 1050, 1101, 1102, 1300].map(|time| pace.allows(time)).to_vec();
        assert_eq!(allowed, [true, true, false, false, true, false, true]);
    }
}
