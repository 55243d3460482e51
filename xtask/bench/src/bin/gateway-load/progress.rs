//! How far the slowest subscriber is, for a publisher that must not be further ahead than a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Shared by a publisher and its subscribers.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    received: Vec<AtomicU64>,
    moved: Notify,
}

impl Progress {
    pub fn new(subscribers: u16) -> Self {
        let received = (0..subscribers).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Shared { received, moved: Notify::new() }))
    }

    /// A subscriber has received so many.
    pub fn tell(&self, subscriber: u16, received: u64) {
        self.0.received[usize::from(subscriber)].store(received, Ordering::Release);
        self.0.moved.notify_one();
    }

    /// How many more may be sent after `sent`; waits until it is a write's worth.
    pub async fn room(&self, sent: u64, window: u64, write: u64) -> u64 {
        let wanted = write.min(window);
        loop {
            let received = self.0.received.iter().map(|count| count.load(Ordering::Acquire)).min();
            let room = (received.unwrap_or_default() + window).saturating_sub(sent);
            if room >= wanted {
                return room;
            }
            // A notification of the meantime is kept.
            self.0.moved.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_publisher_waits_for_the_slowest_subscriber() {
        let progress = Progress::new(2);
        assert_eq!(progress.room(0, 10, 4).await, 10);
        progress.tell(0, 10);
        let (room, ()) = tokio::join!(progress.room(10, 10, 4), async {
            for received in 1..=5 {
                progress.tell(1, received);
                tokio::task::yield_now().await;
            }
        });
        assert!((4..=5).contains(&room), "{room}");
    }
}
