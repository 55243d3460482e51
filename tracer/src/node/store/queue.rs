//! What waits to be written, within bounds. It must not know SQL.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{LifeKey, statistics::Counters, write::Write};

/// Between the agent, which never waits, and the writing thread.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    pub counters: Counters,
}

#[derive(Default)]
struct State {
    writes: Vec<Write>,
    bytes: usize,
    /// When the first of `writes` came.
    since: Option<Instant>,
    /// Somebody waits for the commit.
    urgent: bool,
    closing: bool,
    /// Events that found no room, by life.
    gaps: HashMap<Arc<LifeKey>, u64>,
}

/// What the thread is to do.
pub struct Taken {
    pub writes: Vec<Write>,
    pub since: Option<Instant>,
    /// Nothing more will come.
    pub closing: bool,
}

/// Events waiting; more are dropped.
const EVENT_BYTES_MAX: usize = 8 << 20;
/// Everything waiting. Lives, ends and crashes come near it only while the store cannot be written.
const BYTES_MAX: usize = 32 << 20;
/// Worth a transaction of its own before the time has come. A quarter of what has room, so that a burst finds some.
const BATCH_BYTES: usize = EVENT_BYTES_MAX / 4;
/// How long a write may wait for others.
const GATHERING: Duration = Duration::from_millis(50);
/// Lives whose gaps are told apart.
const GAPS_MAX: usize = 1024;

impl Queue {
    pub fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), counters: Counters::default() }
    }

    /// An event, or drops and counts it.
    pub fn push_event(&self, life: &Arc<LifeKey>, write: Write) {
        let mut state = self.lock();
        if state.bytes + write.bytes() > EVENT_BYTES_MAX {
            state.gap(life);
            self.counters.dropped_events.fetch_add(1, Relaxed);
            return;
        }
        self.push(&mut state, write);
    }

    /// Anything else; drops and counts it only where the bound of all is reached.
    pub fn push_other(&self, write: Write, urgent: bool) {
        let mut state = self.lock();
        let is_first = urgent && !state.urgent;
        state.urgent |= urgent;
        // The flag is no loss: who waits for the answer of a dropped flush learns that there is none.
        if state.bytes + write.bytes() > BYTES_MAX {
            self.counters.dropped_others.fetch_add(1, Relaxed);
        } else {
            self.push(&mut state, write);
        }
        if is_first {
            self.changed.notify_one();
        }
    }

    fn push(&self, state: &mut State, write: Write) {
        let is_first = state.writes.is_empty();
        let was_small = state.bytes < BATCH_BYTES;
        state.bytes += write.bytes();
        state.since.get_or_insert_with(Instant::now);
        state.writes.push(write);
        self.counters.queued_bytes.store(state.bytes as u64, Relaxed);
        if is_first || was_small && state.bytes >= BATCH_BYTES {
            self.changed.notify_one();
        }
    }

    /// Waits until there is a batch worth writing, or for `idle` if there is nothing.
    pub fn take(&self, idle: Duration) -> Taken {
        let mut state = self.lock();
        let began = Instant::now();
        while !state.closing && !state.urgent && state.bytes < BATCH_BYTES {
            let (from, most) = state.since.map_or((began, idle), |since| (since, GATHERING));
            let Some(left) = most.checked_sub(from.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.take(&self.counters)
    }

    /// Waits for the time, or until nothing more will come.
    pub fn pause(&self, time: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.lock();
        while !state.closing {
            let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero())
            else {
                break;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.closing
    }

    /// Puts back what could not be written, before what came since.
    pub fn put_back(&self, mut writes: Vec<Write>) {
        let mut state = self.lock();
        // Nobody is to wait for a store that cannot be written.
        writes.iter_mut().chain(&mut state.writes).for_each(Write::forget_answer);
        writes.retain(|write| !matches!(write, Write::Flush(_)));
        state.since.get_or_insert_with(Instant::now);
        state.bytes += writes.iter().map(Write::bytes).sum::<usize>();
        writes.append(&mut state.writes);
        state.writes = writes;
        state.urgent = false;
        self.counters.queued_bytes.store(state.bytes as u64, Relaxed);
    }

    pub fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn gap(&mut self, life: &Arc<LifeKey>) {
        if let Some(count) = self.gaps.get_mut(life) {
            *count += 1;
        } else if self.gaps.len() < GAPS_MAX {
            self.gaps.insert(life.clone(), 1);
        }
    }

    fn take(&mut self, counters: &Counters) -> Taken {
        let mut writes = std::mem::take(&mut self.writes);
        writes.extend(self.gaps.drain().map(|(life, count)| Write::Gap(life, count)));
        self.bytes = 0;
        self.urgent = false;
        counters.queued_bytes.store(0, Relaxed);
        Taken { writes, since: self.since.take(), closing: self.closing }
    }
}
