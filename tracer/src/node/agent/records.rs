//! Records of both rings as events in the order of their time. It must not know what they mean.

use crate::{
    capture::{
        decode::{Arch, decode},
        event::{BootNs, Event},
    },
    node::metrics::{Metrics, Undecodable},
};

/// Events that were read. The rings are read one after the other: what is written meanwhile waits for the next turn, so
/// that nothing is reported before its cause.
#[derive(Debug)]
pub struct Records {
    arch: Arch,
    waiting: Vec<Event>,
}

impl Records {
    pub fn new(arch: Arch) -> Self {
        Self { arch, waiting: Vec::new() }
    }

    /// Takes one record.
    pub fn push(&mut self, record: &[u8], metrics: &Metrics) {
        match decode(record, self.arch) {
            Ok(events) => self.waiting.extend(events),
            Err(error) => Undecodable { error: &error }.tell(metrics),
        }
    }

    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Takes events that were decoded already.
    pub fn append(&mut self, events: Vec<Event>) {
        self.waiting.extend(events);
    }

    /// Events until a time, in order.
    pub fn until(&mut self, time_ns: BootNs) -> Vec<Event> {
        // Stable: events of equal time keep the order of their ring.
        self.waiting.sort_by_key(|event| event.time_ns);
        let end = self.waiting.partition_point(|event| event.time_ns <= time_ns);
        let later = self.waiting.split_off(end);
        std::mem::replace(&mut self.waiting, later)
    }

    /// Whether events wait for the next turn.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }
}
