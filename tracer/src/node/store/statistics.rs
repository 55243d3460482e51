//! How the store fares, for metrics. It must not know SQL.

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// Since the writer was opened, but where something else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub events: u64,
    /// Told for the first time.
    pub crashes: u64,
    /// Rows deleted to keep the bounds.
    pub deleted_events: u64,
    pub deleted_crashes: u64,
    /// Events for which the queue had no room, or that are no timeline entry.
    pub dropped_events: u64,
    /// Lives, ends and crashes for which the queue had no room: only while the store cannot be written.
    pub dropped_others: u64,
    /// Rows that SQLite refused for what is in them.
    pub refused: u64,
    /// Transactions that failed, and tries to open the file.
    pub failed_writes: u64,
    /// The last of them failed.
    pub failing: bool,
    /// Database, wal and shm together, now.
    pub bytes: u64,
    /// Waiting to be written, now.
    pub queued_bytes: u64,
    /// From the first arrival of the last batch to its commit.
    pub lag_ns: u64,
}

#[derive(Default)]
pub struct Counters {
    pub events: AtomicU64,
    pub crashes: AtomicU64,
    pub deleted_events: AtomicU64,
    pub deleted_crashes: AtomicU64,
    pub dropped_events: AtomicU64,
    pub dropped_others: AtomicU64,
    pub refused: AtomicU64,
    pub failed_writes: AtomicU64,
    pub failing: AtomicBool,
    /// Why the last transaction or try that failed did.
    why: Mutex<String>,
    /// Where a damaged store was put.
    aside: Mutex<Option<PathBuf>>,
    pub bytes: AtomicU64,
    pub queued_bytes: AtomicU64,
    pub lag_ns: AtomicU64,
}

impl Counters {
    /// A transaction or a try to open failed. Returns whether it is the first after one that did not.
    pub fn failed(&self, why: String) -> bool {
        self.failed_writes.fetch_add(1, Relaxed);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        !self.failing.swap(true, Relaxed)
    }

    /// Why the last transaction or try failed, if it did.
    pub fn failure(&self) -> Option<String> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.failing.load(Relaxed).then(why)
    }

    /// A damaged store was put aside.
    pub fn put_aside(&self, to: PathBuf) {
        *self.aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }

    /// Where a damaged store was put last, if one was.
    pub fn aside(&self) -> Option<PathBuf> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn read(&self) -> Statistics {
        Statistics {
            events: self.events.load(Relaxed),
            crashes: self.crashes.load(Relaxed),
            deleted_events: self.deleted_events.load(Relaxed),
            deleted_crashes: self.deleted_crashes.load(Relaxed),
            dropped_events: self.dropped_events.load(Relaxed),
            dropped_others: self.dropped_others.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed_writes: self.failed_writes.load(Relaxed),
            failing: self.failing.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            lag_ns: self.lag_ns.load(Relaxed),
        }
    }
}
