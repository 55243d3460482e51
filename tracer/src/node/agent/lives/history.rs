//! The events of one life as they are held in memory: its beginning and its latest, what lies between given up. Pure.

use std::collections::VecDeque;

use crate::capture::event::{Event, Lost, LostKind, What};

/// Events of the beginning, which show how the life was set up.
const FIRST: usize = 64;
/// Events before the end, which show why it ended.
const LAST: usize = 256;

/// Bounded, whatever a container does.
#[derive(Debug, Default)]
pub struct History {
    first: Vec<Event>,
    last: VecDeque<Event>,
    forgotten: u64,
    lost: Vec<(LostKind, u64)>,
}

impl History {
    pub fn push(&mut self, event: Event) {
        if self.first.len() < FIRST {
            self.first.push(event);
            return;
        }
        if self.last.len() >= LAST {
            self.last.pop_front();
            self.forgotten += 1;
        }
        self.last.push_back(event);
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&Event) -> bool) {
        self.first.retain(&keep);
        self.last.retain(&keep);
    }

    /// Counts records that the kernel side lost of this life.
    pub fn add_lost(&mut self, of: LostKind, count: u64) {
        match self.lost.iter_mut().find(|(kind, _)| *kind == of) {
            Some((_, sum)) => *sum += count,
            None => self.lost.push((of, count)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Everything held, and what is missing as `lost` events: where the gap is, or at the end for what the kernel lost.
    pub fn events(&self) -> Vec<Event> {
        let mut events = self.first.clone();
        if let Some(before) = self.last.front().filter(|_| self.forgotten > 0) {
            let lost = Lost { of: LostKind::Forgotten, count: self.forgotten };
            events.push(Event { what: What::Lost(lost), ..before.clone() });
        }
        events.extend(self.last.iter().cloned());
        let Some(end) = events.last().cloned() else { return events };
        let lost = self.lost.iter().map(|(of, count)| Lost { of: *of, count: *count });
        events.extend(lost.map(|lost| Event { what: What::Lost(lost), ..end.clone() }));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{decode::golden, event::Fork};

    fn fork(time_ns: u64) -> Event {
        let what = What::Fork(Fork { forker_pid: 1 });
        Event { time_ns, cgroup: 7, process: golden::process(), what }
    }

    #[test]
    fn a_long_life_keeps_its_beginning_and_its_end_and_names_the_gap() {
        let mut history = History::default();
        for time_ns in 0..1000 {
            history.push(fork(time_ns));
        }
        let events = history.events();
        assert_eq!(events.len(), FIRST + LAST + 1);
        assert_eq!(events[FIRST - 1].time_ns, 63);
        let gap = Lost { of: LostKind::Forgotten, count: (1000 - FIRST - LAST) as u64 };
        assert_eq!(events[FIRST].what, What::Lost(gap));
        assert_eq!(events.last().unwrap().time_ns, 999);
    }

    #[test]
    fn what_the_kernel_lost_stands_at_the_end_once_for_each_kind() {
        let mut history = History::default();
        history.push(fork(1));
        history.add_lost(LostKind::Fork, 2);
        history.add_lost(LostKind::Fork, 3);
        let events = history.events();
        assert_eq!(events[1].what, What::Lost(Lost { of: LostKind::Fork, count: 5 }));
        assert_eq!(events.len(), 2);
    }
}
