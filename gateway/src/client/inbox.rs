//! The messages that wait for one subscription, up to a limit. Patterns and connections are not known here.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;

use crate::wire::message::Publish;

/// How many messages a subscription holds, and what happens when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The most messages that wait to be read.
    pub most_messages: usize,
    /// The most bytes of their payloads.
    pub most_bytes: usize,
    /// What happens when one more message comes.
    pub when_full: WhenFull,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { most_messages: 4096, most_bytes: 8 << 20, when_full: WhenFull::DropOldest }
    }
}

/// What happens when a subscription is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest message is dropped and counted; everything else of the client goes on.
    DropOldest,
    /// Nothing is read from the connection until there is room, answers to calls included; then the gateway drops what it
    /// cannot deliver. It may hold more than `most_messages` by what one read delivers, which is at most 64 KiB or one
    /// message.
    Wait,
}

#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    options: SubscribeOptions,
    /// Notified when there is room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Publish>,
    bytes: usize,
    dropped: u64,
    /// No more messages will come.
    ended: bool,
    reader: Option<Waker>,
}

impl Inbox {
    pub fn new(options: SubscribeOptions) -> Self {
        Self { queue: Mutex::default(), options, room: Notify::new() }
    }

    /// Adds a message. Returns how many messages were dropped, and whether the connection must wait for [`Inbox::room`].
    pub fn push(&self, message: Publish) -> (u64, bool) {
        let mut queue = self.lock();
        if queue.ended {
            return (0, false);
        }
        queue.bytes += message.payload.len();
        queue.messages.push_back(message);
        let mut dropped = 0;
        let waits = match self.options.when_full {
            WhenFull::Wait => self.is_full(&queue),
            WhenFull::DropOldest => {
                // The newest message stays, however large.
                while self.is_full(&queue) && queue.messages.len() > 1 {
                    let oldest = queue.messages.pop_front();
                    queue.bytes -= oldest.map_or(0, |oldest| oldest.payload.len());
                    dropped += 1;
                }
                queue.dropped += dropped;
                false
            }
        };
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        (dropped, waits)
    }

    /// Waits until there is room, or the reader has gone.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            if !self.is_full(&self.lock()) {
                return;
            }
            room.await;
        }
    }

    /// Waits for the next message; `None` if no more will come.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Publish>> {
        let mut queue = self.lock();
        let was_full = self.is_full(&queue);
        match queue.messages.pop_front() {
            Some(message) => {
                queue.bytes -= message.payload.len();
                if was_full && !self.is_full(&queue) {
                    self.room.notify_waiters();
                }
                Poll::Ready(Some(message))
            }
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ends the inbox: no more messages will come; those that wait may still be read.
    pub fn end(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The reader has gone.
    pub fn abandon(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        queue.messages.clear();
        queue.bytes = 0;
        drop(queue);
        self.room.notify_waiters();
    }

    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn is_full(&self, queue: &Queue) -> bool {
        queue.messages.len() > self.options.most_messages || queue.bytes > self.options.most_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;

    use super::*;
    use crate::wire::{id::MessageId, message::Qos};

    fn message(number: u8) -> Publish {
        Publish {
            topic: "a".parse().unwrap(),
            payload: Bytes::from(vec![number; 10]),
            qos: Qos::AtMostOnce,
            retain: false,
            message_id: MessageId::from([number; 16]),
        }
    }

    fn inbox(when_full: WhenFull) -> Inbox {
        Inbox::new(SubscribeOptions { most_messages: 2, most_bytes: 1000, when_full })
    }

    async fn read(inbox: &Inbox) -> Option<u8> {
        let next = poll_fn(|context| inbox.poll(context)).await;
        next.map(|message| message.payload[0])
    }

    #[tokio::test]
    async fn the_oldest_goes_and_is_counted() {
        let inbox = inbox(WhenFull::DropOldest);
        let dropped: u64 = (1..=5).map(|number| inbox.push(message(number)).0).sum();
        inbox.end();
        assert_eq!((dropped, inbox.dropped()), (3, 3));
        assert_eq!((read(&inbox).await, read(&inbox).await), (Some(4), Some(5)));
        assert_eq!(read(&inbox).await, None);
    }

    #[tokio::test]
    async fn the_connection_waits_until_a_message_was_read() {
        let inbox = inbox(WhenFull::Wait);
        let waits: Vec<bool> = (1..=3).map(|number| inbox.push(message(number)).1).collect();
        assert_eq!(waits, [false, false, true]);
        let (first, ()) = tokio::join!(read(&inbox), inbox.room());
        assert_eq!((first, inbox.dropped()), (Some(1), 0));
        inbox.push(message(4));
        inbox.abandon();
        inbox.room().await;
    }
}
