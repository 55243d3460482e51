//! The messages that wait to be written to one client, up to a limit, so that a client that does not read costs nobody else
//! time or messages. Realms and sockets are not known here.
//!
//! Above `mark_bytes` publishers wait a moment until the client has caught up. If it does not, it counts as slow until half
//! of that is left: nobody waits for it, and once `most_bytes` are queued its oldest published messages are dropped, or
//! it is disconnected.

mod backlog;
mod shared;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::timeout};

pub use self::shared::Counting;

use self::backlog::Backlog;
use crate::{
    budget::{Account, Held, What},
    session::Close,
};

/// What happens to a client that does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    #[default]
    DropOldest,
    Disconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Above this many bytes publishers wait.
    pub mark_bytes: usize,
    pub most_bytes: usize,
    /// How long a publisher waits for a client that reads nothing; for one that reads little it waits four times as long.
    pub patience: Duration,
    pub when_full: WhenFull,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            mark_bytes: 1 << 20,
            most_bytes: 8 << 20,
            patience: Duration::from_millis(250),
            when_full: WhenFull::DropOldest,
        }
    }
}

/// The frames that wait for one client.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Notified when there is something to write.
    filled: Notify,
    /// Notified when less than half of the mark is left.
    drained: Notify,
    /// Notified when the connection has to end.
    closing: Notify,
    limits: OutboxLimits,
    /// How many messages were dropped, of all clients.
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Queue {
    frames: Backlog,
    held: Held,
    /// How often the writer has taken frames.
    taken: u64,
    slow: bool,
    dropped: u64,
    close: Option<Close>,
}

/// What the code that queued a frame has to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The writer does not know of the frame yet: call [`Outbox::wake`], once all frames that come together are queued.
    pub wake: bool,
    /// The outbox is above its mark: the publisher should wait for [`Outbox::drained`].
    pub above: bool,
}

/// How many times the patience a client gets to catch up: 1 s for half a MiB.
const MOST_PATIENCES: u32 = 4;
/// The most bytes that one write takes.
const PIECE: usize = 64 << 10;
/// Beyond this many bytes a queue is counted at each write.
const MUCH: usize = 256 << 10;
/// A queue of this size or less is a part of what each connection takes.
const FREE: usize = 4 << 10;

impl Outbox {
    pub fn new(limits: OutboxLimits, dropped: Arc<AtomicU64>, account: Arc<Account>) -> Self {
        Self {
            queue: Mutex::new(Queue {
                frames: Backlog::new(PIECE.min(limits.most_bytes / 16)),
                held: Held::new(account, What::Queue),
                taken: 0,
                slow: false,
                dropped: 0,
                close: None,
            }),
            filled: Notify::new(),
            drained: Notify::new(),
            closing: Notify::new(),
            limits,
            dropped,
        }
    }

    /// Queues a frame. Never waits, and does not wake the writer. It may use up the gateway's memory: the caller then has
    /// others go, once it holds no lock.
    pub fn push(&self, frame: Bytes) -> Pushed {
        self.push_shared(frame, &mut Counting::default())
    }

    /// The same for a frame that others get as well, one after the other.
    pub fn push_shared(&self, frame: Bytes, counting: &mut Counting) -> Pushed {
        let mut queue = self.lock();
        if queue.close.is_some() {
            return Pushed::default();
        }
        if queue.held.account().is_evicted() {
            // Not only once its own task is woken: whoever floods it would be faster.
            drop(queue);
            self.abandon();
            return Pushed::default();
        }
        let wake = queue.frames.is_empty();
        let frame = if queue.frames.shares(frame.len()) {
            counting.of(frame, !wake, queue.held.account().budget())
        } else {
            frame
        };
        queue.frames.push(frame);
        if queue.frames.held_bytes() > self.limits.most_bytes {
            self.make_room(&mut queue);
        }
        queue.count();
        let above = queue.frames.bytes() > self.limits.mark_bytes && !queue.slow;
        if queue.close.is_some() {
            drop(queue);
            self.filled.notify_one();
            self.closing.notify_waiters();
        }
        Pushed { wake, above }
    }

    /// Wakes the writer.
    pub fn wake(&self) {
        self.filled.notify_one();
    }

    /// Queues a frame, and wakes the writer.
    pub fn send(&self, frame: Bytes) {
        if self.push(frame).wake {
            self.wake();
        }
    }

    /// Ends the connection once what is queued is written, or soon if the client does not read.
    pub fn close(&self, close: Close) {
        self.lock().close.get_or_insert(close);
        self.filled.notify_one();
        self.drained.notify_waiters();
        self.closing.notify_waiters();
    }

    /// Drops what is queued, and ends the connection: the gateway has no memory left for it.
    pub fn abandon(&self) {
        let mut queue = self.lock();
        let dropped = queue.frames.clear();
        queue.count();
        queue.dropped += dropped;
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        drop(queue);
        self.close(Close::Memory);
    }

    /// Why the connection has to end, if it has to.
    pub fn closes(&self) -> Option<Close> {
        self.lock().close.clone()
    }

    /// Waits until the connection has to end; returns why.
    pub async fn closed(&self) -> Close {
        loop {
            let closing = self.closing.notified();
            tokio::pin!(closing);
            // From here on no notification is missed.
            closing.as_mut().enable();
            if let Some(close) = self.lock().close.clone() {
                return close;
            }
            closing.await;
        }
    }

    /// Waits for frames to write. `Err`: nothing is left, and the connection has to end for this reason.
    pub async fn next_frames(&self) -> Result<Bytes, Close> {
        loop {
            {
                let mut queue = self.lock();
                let taken = queue.frames.pop();
                queue.taken += u64::from(taken.is_some());
                if taken.is_none() || queue.held.bytes() + queue.held.shared() > MUCH {
                    queue.count();
                }
                let is_drained = queue.frames.bytes() <= self.limits.mark_bytes / 2;
                queue.slow &= !is_drained;
                if taken.is_none()
                    && let Some(close) = &queue.close
                {
                    return Err(close.clone());
                }
                drop(queue);
                if is_drained {
                    self.drained.notify_waiters();
                }
                if let Some(taken) = taken {
                    return Ok(taken);
                }
            }
            self.filled.notified().await;
        }
    }

    /// Waits until only half of the mark is left, for no longer than the patience; then the client counts as slow.
    pub async fn drained(&self) {
        for _ in 0..MOST_PATIENCES {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // From here on no notification is missed.
            drained.as_mut().enable();
            let taken = {
                let queue = self.lock();
                let below = queue.frames.bytes() <= self.limits.mark_bytes / 2;
                if queue.slow || queue.close.is_some() || below {
                    return;
                }
                queue.taken
            };
            if timeout(self.limits.patience, drained).await.is_ok() {
                return;
            }
            if self.lock().taken == taken {
                break;
            }
        }
        let mut queue = self.lock();
        queue.slow = queue.frames.bytes() > self.limits.mark_bytes / 2;
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.lock().frames.bytes()
    }

    fn make_room(&self, queue: &mut Queue) {
        let most = self.limits.most_bytes;
        let mut dropped = queue.frames.make_room(most);
        // Calls and replies are never dropped: a client without room for them is disconnected.
        if queue.frames.held_bytes() > most || self.limits.when_full == WhenFull::Disconnect {
            dropped += queue.frames.clear();
            queue.close.get_or_insert(Close::Slow(queue.dropped + dropped));
        }
        queue.dropped += dropped;
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Counts the memory of the frames, if it has changed by much. A client that reads what comes costs nothing here.
    fn count(&mut self) {
        let (own, shared) = self.frames.memory();
        let own = if own > FREE { own } else { 0 };
        if (own, shared) != (self.held.bytes(), self.held.shared()) {
            self.held.set(own, shared);
        }
    }
}

#[cfg(test)]
mod tests;
