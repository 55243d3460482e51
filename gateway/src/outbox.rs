//! What waits to be written to one client: bounded, so that a client that does not read costs its own messages and nobody
//! else's time. It knows no realm and no socket.
//!
//! Above `mark_bytes` publishers may wait a moment until the client has caught up. If it does not, it counts as slow until
//! half of that is left: nobody waits for it, and once `most_bytes` are queued its oldest published messages are dropped, or
//! it is disconnected.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::timeout};

use crate::{frame::Kind, session::Close};

/// What is done with a client that does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    #[default]
    DropOldest,
    Disconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// From here on publishers wait.
    pub mark_bytes: usize,
    pub most_bytes: usize,
    /// How long a publisher waits for one client.
    pub patience: Duration,
    pub when_full: WhenFull,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            mark_bytes: 1 << 20,
            most_bytes: 8 << 20,
            patience: Duration::from_millis(100),
            when_full: WhenFull::DropOldest,
        }
    }
}

/// Frames on their way to one client.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Something is there to be written.
    filled: Notify,
    /// Less than half of the mark is there.
    drained: Notify,
    /// The connection is to end.
    closing: Notify,
    limits: OutboxLimits,
    /// Messages dropped, of all clients.
    dropped: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    slow: bool,
    dropped: u64,
    close: Option<Close>,
}

/// Whether a publisher should wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// More than the mark is there: wait for [`Outbox::drained`].
    Above,
}

impl Outbox {
    pub fn new(limits: OutboxLimits, dropped: Arc<AtomicU64>) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            closing: Notify::new(),
            limits,
            dropped,
        }
    }

    /// Queues a frame. Never waits.
    pub fn push(&self, frame: Bytes) -> Pushed {
        let mut queue = self.lock();
        if queue.close.is_some() {
            return Pushed::Queued;
        }
        let was_empty = queue.frames.is_empty();
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        if queue.bytes > self.limits.most_bytes {
            self.make_room(&mut queue);
        }
        let above = queue.bytes > self.limits.mark_bytes && !queue.slow;
        let closes = queue.close.is_some();
        drop(queue);
        if was_empty || closes {
            self.filled.notify_one();
        }
        if closes {
            self.closing.notify_waiters();
        }
        if above { Pushed::Above } else { Pushed::Queued }
    }

    /// The connection is to end once what is queued was written, or at once if the client does not read.
    pub fn close(&self, close: Close) {
        self.lock().close.get_or_insert(close);
        self.filled.notify_one();
        self.drained.notify_waiters();
        self.closing.notify_waiters();
    }

    /// Whether the connection is to end.
    pub fn closes(&self) -> Option<Close> {
        self.lock().close.clone()
    }

    /// Waits until the connection is to end; returns why.
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

    /// Waits for frames, and moves them to `frames`, as many as make about `most_bytes`. Returns why the connection ends
    /// when nothing is left.
    pub async fn take(&self, frames: &mut VecDeque<Bytes>, most_bytes: usize) -> Option<Close> {
        loop {
            {
                let mut queue = self.lock();
                let mut taken = 0;
                while taken < most_bytes
                    && let Some(frame) = queue.frames.pop_front()
                {
                    taken += frame.len();
                    frames.push_back(frame);
                }
                queue.bytes -= taken;
                let is_drained = queue.bytes <= self.limits.mark_bytes / 2;
                queue.slow &= !is_drained;
                if frames.is_empty() && queue.close.is_some() {
                    return queue.close.clone();
                }
                drop(queue);
                if is_drained {
                    self.drained.notify_waiters();
                }
                if !frames.is_empty() {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Waits until half of the mark is left, no longer than patience lasts; then the client is slow.
    pub async fn drained(&self) {
        let drained = self.drained.notified();
        tokio::pin!(drained);
        // From here on no notification is missed.
        drained.as_mut().enable();
        {
            let queue = self.lock();
            if queue.slow || queue.close.is_some() || queue.bytes <= self.limits.mark_bytes {
                return;
            }
        }
        if timeout(self.limits.patience, drained).await.is_err() {
            let mut queue = self.lock();
            queue.slow = queue.bytes > self.limits.mark_bytes / 2;
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn make_room(&self, queue: &mut Queue) {
        let mut dropped = 0;
        let mut kept = VecDeque::new();
        while queue.bytes > self.limits.most_bytes
            && let Some(frame) = queue.frames.pop_front()
        {
            if is_droppable(&frame) {
                queue.bytes -= frame.len();
                dropped += 1;
            } else {
                kept.push_back(frame);
            }
        }
        while let Some(frame) = kept.pop_back() {
            queue.frames.push_front(frame);
        }
        queue.dropped += dropped;
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        // Calls and replies are never dropped: where there is no room for them the client has to go.
        let is_over = queue.bytes > self.limits.most_bytes;
        if is_over || self.limits.when_full == WhenFull::Disconnect {
            queue.frames.clear();
            queue.bytes = 0;
            queue.close.get_or_insert(Close::Slow(queue.dropped));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Published messages are delivered at most once.
fn is_droppable(frame: &Bytes) -> bool {
    frame.get(1) == Some(&Kind::Publish.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        mark_bytes: 20,
        most_bytes: 40,
        patience: Duration::from_millis(100),
        when_full: WhenFull::DropOldest,
    };

    fn frame(kind: Kind, number: u8) -> Bytes {
        let mut bytes = vec![number; 10];
        bytes[1] = kind.code();
        bytes.into()
    }

    fn outbox(when_full: WhenFull) -> (Outbox, Arc<AtomicU64>) {
        let dropped = Arc::new(AtomicU64::new(0));
        (Outbox::new(OutboxLimits { when_full, ..LIMITS }, dropped.clone()), dropped)
    }

    async fn all(outbox: &Outbox) -> Vec<u8> {
        let mut frames = VecDeque::new();
        outbox.take(&mut frames, usize::MAX).await;
        frames.iter().map(|frame| frame[0]).collect()
    }

    #[tokio::test]
    async fn frames_leave_in_the_order_in_which_they_came() {
        let (outbox, _) = outbox(WhenFull::DropOldest);
        for number in 0..3 {
            outbox.push(frame(Kind::Publish, number));
        }
        assert_eq!(all(&outbox).await, [0, 1, 2]);
        assert_eq!(outbox.bytes(), 0);
    }

    #[tokio::test]
    async fn the_oldest_published_messages_make_room_and_are_counted() {
        let (outbox, dropped) = outbox(WhenFull::DropOldest);
        outbox.push(frame(Kind::Reply, 0));
        for number in 1..6 {
            outbox.push(frame(Kind::Publish, number));
        }
        assert_eq!(all(&outbox).await, [0, 3, 4, 5], "a reply is never dropped");
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        assert_eq!(outbox.closes(), None);
    }

    #[tokio::test]
    async fn a_client_without_room_for_replies_is_disconnected() {
        let (outbox, _) = outbox(WhenFull::DropOldest);
        for number in 0..5 {
            outbox.push(frame(Kind::Reply, number));
        }
        assert_eq!(outbox.take(&mut VecDeque::new(), 1).await, Some(Close::Slow(0)));
    }

    #[tokio::test]
    async fn a_slow_client_is_disconnected_where_that_is_wanted() {
        let (outbox, _) = outbox(WhenFull::Disconnect);
        for number in 0..5 {
            outbox.push(frame(Kind::Publish, number));
        }
        assert_eq!(outbox.closes(), Some(Close::Slow(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn publishers_wait_for_a_client_once_and_then_no_more_until_it_has_caught_up() {
        let (outbox, _) = outbox(WhenFull::DropOldest);
        assert_eq!(outbox.push(frame(Kind::Publish, 0)), Pushed::Queued);
        outbox.push(frame(Kind::Publish, 1));
        assert_eq!(outbox.push(frame(Kind::Publish, 2)), Pushed::Above);
        let began = tokio::time::Instant::now();
        outbox.drained().await;
        assert_eq!(began.elapsed(), LIMITS.patience);
        assert_eq!(outbox.push(frame(Kind::Publish, 3)), Pushed::Queued, "slow");
        all(&outbox).await;
        for number in 0..2 {
            assert_eq!(outbox.push(frame(Kind::Publish, number)), Pushed::Queued);
        }
        assert_eq!(outbox.push(frame(Kind::Publish, 2)), Pushed::Above, "caught up before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_publisher_goes_on_as_soon_as_the_client_has_read() {
        let (outbox, _) = outbox(WhenFull::DropOldest);
        for number in 0..3 {
            outbox.push(frame(Kind::Publish, number));
        }
        let began = tokio::time::Instant::now();
        tokio::join!(outbox.drained(), async {
            tokio::time::sleep(Duration::from_millis(7)).await;
            all(&outbox).await;
        });
        assert_eq!(began.elapsed(), Duration::from_millis(7));
    }

    #[tokio::test]
    async fn what_was_queued_before_a_close_is_still_written() {
        let (outbox, _) = outbox(WhenFull::DropOldest);
        outbox.push(frame(Kind::Publish, 0));
        outbox.close(Close::Draining);
        outbox.push(frame(Kind::Publish, 1));
        assert_eq!(all(&outbox).await, [0]);
        assert_eq!(outbox.take(&mut VecDeque::new(), 1).await, Some(Close::Draining));
    }
}
