//! Which cells there are, and what was measured of them. It is pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::peer::Peer;
use crate::sample::Sample;

/// Messages of one size from one publisher to some subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub subscribers: u16,
    /// Bytes of a payload.
    pub size: u32,
}

impl Cell {
    pub const ALL: [Self; 8] = {
        const fn cell(subscribers: u16, size: u32) -> Cell {
            Cell { subscribers, size }
        }
        [
            cell(1, 16),
            cell(1, 256),
            cell(1, 1024),
            cell(1, 16_384),
            cell(5, 16),
            cell(5, 256),
            cell(5, 1024),
            cell(5, 16_384),
        ]
    };

    /// About one to two seconds' worth, for each subscriber.
    pub fn messages(self) -> u64 {
        let of_one = match self.size {
            ..64 => 800_000,
            64..512 => 400_000,
            512..4096 => 200_000,
            4096.. => 20_000,
        };
        if self.subscribers > 1 { of_one / 3 } else { of_one }
    }

    /// Whether its messages go through this peer.
    pub fn passes(self, peer: Peer) -> bool {
        peer != Peer::Quinn || self.subscribers == 1
    }

    /// `1:5, 16 KiB`
    pub fn name(self) -> String {
        let size = match self.size {
            size if size >= 1024 => format!("{} KiB", size / 1024),
            size => format!("{size} B"),
        };
        format!("1:{}, {size}", self.subscribers)
    }
}

/// Messages received a second, of all subscribers together.
#[derive(Debug, Default)]
pub struct Rates(BTreeMap<(Peer, Cell), Sample>);

impl Rates {
    /// `None`: the cell did not count in this round.
    pub fn add(&mut self, peer: Peer, cell: Cell, rate: Option<f64>) {
        self.0.entry((peer, cell)).or_default().push(rate.unwrap_or(f64::NAN));
    }

    /// One value for each round; `None` of who did not run.
    pub fn of(&self, peer: Peer, cell: Cell) -> Option<&Sample> {
        self.0.get(&(peer, cell))
    }
}

/// What calls took.
#[derive(Debug, Default)]
pub struct Calls(BTreeMap<(Peer, u16), CallTimes>);

/// One value for each round.
#[derive(Debug, Default)]
pub struct CallTimes {
    /// Microseconds.
    pub p50: Sample,
    pub p99: Sample,
    pub per_second: Sample,
}

/// Microseconds of calls, and how many there were a second.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Times {
    pub p50_us: f64,
    pub p99_us: f64,
    pub per_second: f64,
}

impl Calls {
    /// Calls under way at a time.
    pub const IN_FLIGHT: [u16; 2] = [1, 64];
    /// Bytes that go there and back.
    pub const SIZE: u32 = 64;

    /// How many are made in a round: about one to two seconds' worth.
    pub fn count(in_flight: u16) -> u64 {
        if in_flight > 1 { 100_000 } else { 10_000 }
    }

    pub fn add(&mut self, peer: Peer, in_flight: u16, times: Option<Times>) {
        let nothing = Times { p50_us: f64::NAN, p99_us: f64::NAN, per_second: f64::NAN };
        let times = times.unwrap_or(nothing);
        let all = self.0.entry((peer, in_flight)).or_default();
        all.p50.push(times.p50_us);
        all.p99.push(times.p99_us);
        all.per_second.push(times.per_second);
    }

    pub fn of(&self, peer: Peer, in_flight: u16) -> Option<&CallTimes> {
        self.0.get(&(peer, in_flight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_has_a_name_of_its_own() {
        let names = Cell::ALL.map(Cell::name);
        assert_eq!(names[0], "1:1, 16 B");
        assert_eq!(names[7], "1:5, 16 KiB");
    }

    #[test]
    fn a_round_that_did_not_count_is_no_rate() {
        let mut rates = Rates::default();
        for rate in [Some(1.0), None, Some(3.0)] {
            rates.add(Peer::Nats, Cell::ALL[0], rate);
        }
        assert_eq!(rates.of(Peer::Nats, Cell::ALL[0]).unwrap().median(), 3.0);
        assert!(rates.of(Peer::Quinn, Cell::ALL[0]).is_none());
    }
}
