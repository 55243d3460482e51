//! When the system call recorder is on: while a container is young, or is expected to start again. Pure; time is passed in.

use std::collections::HashMap;

use crate::{capture::event::BootNs, config::Recorder};

/// The kubelet waits at most five minutes before it starts a crashing container again; then comes the start itself.
const AFTER_DEATH_NS: u64 = 330_000_000_000;
/// Reasons held at once: more than a node has pods. Beyond them the recorder is on all the same, by the others.
const REASONS: usize = 2048;

/// The reasons for which the recorder is on, each until its time.
#[derive(Debug)]
pub struct Arming {
    mode: Recorder,
    window_ns: u64,
    /// By cgroup id of a pod or container; a death's by that of the dead container.
    reasons: HashMap<u64, BootNs>,
}

impl Arming {
    /// `window_ns`: how long a container counts as young.
    pub fn new(mode: Recorder, window_ns: u64) -> Self {
        Self { mode, window_ns, reasons: HashMap::new() }
    }

    /// A pod's or a container's cgroup was made.
    pub fn began(&mut self, cgroup: u64, now: BootNs) {
        self.add(cgroup, now.saturating_add(self.window_ns));
    }

    /// A container ended, and may be started again.
    pub fn died(&mut self, cgroup: u64, now: BootNs) {
        self.add(cgroup, now.saturating_add(AFTER_DEATH_NS.max(self.window_ns)));
    }

    /// It is none of ours, or is gone for good.
    pub fn forget(&mut self, cgroup: u64) {
        self.reasons.remove(&cgroup);
    }

    /// Whether the recorder should be on, dropping reasons whose time is over.
    pub fn wanted(&mut self, now: BootNs) -> bool {
        self.reasons.retain(|_, until| *until > now);
        match self.mode {
            Recorder::Auto => !self.reasons.is_empty(),
            Recorder::Always => true,
            Recorder::Never => false,
        }
    }

    /// False where it is never to be on.
    pub fn may_record(&self) -> bool {
        self.mode != Recorder::Never
    }

    fn add(&mut self, cgroup: u64, until: BootNs) {
        if self.reasons.len() < REASONS || self.reasons.contains_key(&cgroup) {
            let known = self.reasons.entry(cgroup).or_default();
            *known = until.max(*known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_is_on_while_a_container_is_young() {
        let mut arming = Arming::new(Recorder::Auto, 100);
        assert!(!arming.wanted(0));
        arming.began(7, 50);
        assert!(arming.wanted(149));
        assert!(!arming.wanted(150));
    }

    #[test]
    fn after_a_death_it_stays_on_for_as_long_as_the_kubelet_may_wait() {
        let mut arming = Arming::new(Recorder::Auto, 100);
        arming.began(7, 0);
        arming.died(7, 50);
        assert!(arming.wanted(300_000_000_000));
        assert!(!arming.wanted(331_000_000_000));
    }

    #[test]
    fn a_container_that_nobody_asked_for_is_no_reason() {
        let mut arming = Arming::new(Recorder::Auto, 100);
        arming.began(7, 0);
        arming.forget(7);
        assert!(!arming.wanted(1));
    }

    #[test]
    fn always_and_never_have_no_reasons() {
        let mut always = Arming::new(Recorder::Always, 100);
        assert!(always.wanted(0));
        let mut never = Arming::new(Recorder::Never, 100);
        never.began(7, 0);
        assert!(!never.wanted(1));
    }
}
