//! One subscription: the messages that match its patterns, as a stream.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio_stream::Stream;

use super::{Shared, inbox::Inbox};
use crate::{router::ClientId, wire::message::Publish};

/// Messages whose topic matches a pattern, in the order of each publisher. Goes on after a reconnect; what was published
/// meanwhile is missed. Dropped, it unsubscribes.
#[derive(Debug)]
#[must_use = "a subscription that is dropped unsubscribes"]
pub struct Subscription {
    pub(super) id: ClientId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) shared: Arc<Shared>,
}

impl Subscription {
    /// The next message; `None` once the client is closed, or its last handle dropped, and all was read. May be cancelled without a loss.
    pub async fn next(&mut self) -> Option<Publish> {
        poll_fn(|context| self.inbox.poll(context)).await
    }

    /// Messages that this subscription dropped because they were not read in time.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }
}

impl Stream for Subscription {
    type Item = Publish;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Publish>> {
        self.inbox.poll(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.table.unsubscribe(self.id, &self.shared.link);
    }
}
