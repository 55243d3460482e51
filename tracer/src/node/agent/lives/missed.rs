//! What the kernel side had no room for, so that something may have begun unseen: when what runs is to be looked for
//! again, and what is said of it. Pure.

use std::collections::VecDeque;

use tracer_ebpf::abi::{
    header::Kind,
    state::{LOST_CONTAINER, LOST_MAIN, LOST_PROCESS},
};

use crate::capture::event::{BootNs, Event};

/// Events whose container is not known, and may come to be: by an inventory, or by what its cgroup's removal tells.
const ORPHANS: usize = 4096;
const SECOND_NS: u64 = 1_000_000_000;
/// So long they are held.
const ORPHANS_LAST_NS: u64 = 60 * SECOND_NS;
/// An inventory is taken so often at most: who is short of room may be so for long.
const INVENTORY_EVERY_NS: u64 = 10 * SECOND_NS;
/// So long the agent says that it may have missed something.
const SAID_NS: u64 = 60 * SECOND_NS;

/// What may have been missed. All counts are from the agent's start.
#[derive(Debug, Default)]
pub struct Missed {
    /// Containers, and their main processes, that found no room.
    pub births: u64,
    /// Other processes, of a container that used up its share.
    pub processes: u64,
    /// Events of containers that are not known.
    pub strays: u64,
    orphans: VecDeque<Event>,
    /// Of the last birth, or end of a main process, that was missed.
    at_ns: Option<BootNs>,
    is_due: bool,
    looked_ns: Option<BootNs>,
}

impl Missed {
    /// The kernel side lost so many of a kind, as LOST has it.
    pub fn lost(&mut self, kind: u32, count: u64, now: BootNs) {
        if [LOST_CONTAINER, LOST_MAIN, Kind::Cgroup as u32].contains(&kind) {
            self.births += count;
            self.at_ns = Some(now);
            self.is_due = true;
        } else if kind == LOST_PROCESS {
            self.processes += count;
            self.is_due = true;
        }
    }

    /// An event of a container that is not known. Returns how many are given up for it.
    pub fn stray(&mut self, event: Event) -> u64 {
        self.is_due = true;
        self.orphans.push_back(event);
        if self.orphans.len() <= ORPHANS {
            return 0;
        }
        self.give_up(1)
    }

    /// Time goes by. Returns how many events are given up: nobody told whose they are.
    pub fn tick(&mut self, now: BootNs) -> u64 {
        let is_old = |event: &Event| event.time_ns.saturating_add(ORPHANS_LAST_NS) < now;
        let old = self.orphans.iter().take_while(|event| is_old(event)).count();
        self.give_up(old)
    }

    /// What is held of a container, which is known now.
    pub fn take(&mut self, cgroup: u64) -> Vec<Event> {
        let (its, others): (VecDeque<Event>, _) =
            self.orphans.drain(..).partition(|event| event.cgroup == cgroup);
        self.orphans = others;
        its.into()
    }

    pub fn has(&self, cgroup: u64) -> bool {
        self.orphans.iter().any(|event| event.cgroup == cgroup)
    }

    /// Whether what runs is to be looked for now.
    pub fn wants_inventory(&mut self, now: BootNs) -> bool {
        let rested = |at: BootNs| now.saturating_sub(at) >= INVENTORY_EVERY_NS;
        if !self.is_due || !self.looked_ns.is_none_or(rested) {
            return false;
        }
        self.is_due = false;
        self.looked_ns = Some(now);
        true
    }

    /// Whether a container may have begun or ended unseen a moment ago.
    pub fn is_recent(&self, now: BootNs) -> bool {
        self.at_ns.is_some_and(|at| now.saturating_sub(at) < SAID_NS)
    }

    fn give_up(&mut self, oldest: usize) -> u64 {
        for event in self.orphans.drain(..oldest) {
            self.strays += 1;
            if event.process.root && event.exit().is_some() {
                self.at_ns = Some(event.time_ns).max(self.at_ns);
            }
        }
        oldest as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{
        decode::golden,
        event::{Fork, What},
    };

    fn stray(cgroup: u64, time_ns: u64) -> Event {
        let what = What::Fork(Fork { forker_pid: 1 });
        Event { time_ns, cgroup, process: golden::process(), what }
    }

    #[test]
    fn what_may_have_begun_unseen_is_looked_for_soon_and_seldom() {
        let mut missed = Missed::default();
        assert!(!missed.wants_inventory(0));
        missed.lost(LOST_CONTAINER, 1, SECOND_NS);
        assert!(missed.wants_inventory(SECOND_NS));
        missed.lost(LOST_PROCESS, 5, 2 * SECOND_NS);
        assert!(!missed.wants_inventory(2 * SECOND_NS));
        assert!(missed.wants_inventory(11 * SECOND_NS));
        assert_eq!((missed.births, missed.processes), (1, 5));
    }

    #[test]
    fn a_process_over_the_share_of_its_container_is_no_blindness() {
        let mut missed = Missed::default();
        missed.lost(LOST_PROCESS, 1, 1);
        assert!(!missed.is_recent(2));
        missed.lost(LOST_MAIN, 1, 3);
        assert!(missed.is_recent(4) && !missed.is_recent(3 + SAID_NS));
    }

    #[test]
    fn strays_are_held_for_their_container_and_counted_when_they_are_given_up() {
        let mut missed = Missed::default();
        for cgroup in [7, 8] {
            assert_eq!(missed.stray(stray(cgroup, SECOND_NS)), 0);
        }
        assert!(missed.has(7));
        assert_eq!(missed.take(7).len(), 1);
        assert_eq!(missed.tick(2 * SECOND_NS), 0);
        assert_eq!(missed.tick(SECOND_NS + ORPHANS_LAST_NS + 1), 1);
        assert_eq!(missed.strays, 1);
        let dropped: u64 = (0..=ORPHANS as u64).map(|time| missed.stray(stray(9, time))).sum();
        assert_eq!(dropped, 1);
    }
}
