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

/// The messages whose topics match the patterns, in the order of each publisher. It goes on after a reconnect; messages that
/// were published meanwhile are missed. Dropping it unsubscribes.
#[derive(Debug)]
#[must_use = "a subscription that is dropped unsubscribes"]
pub struct Subscription {
    pub(super) id: ClientId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) shared: Arc<Shared>,
}

impl Subscription {
    /// Waits for the next message; `None` once the client is closed or its last handle dropped, and all messages were read.
    /// The wait may be cancelled without a loss.
    pub async fn next(&mut self) -> Option<Publish> {
        poll_fn(|context| self.inbox.poll(context)).await
    }

    /// How many messages this subscription dropped because they were not read in time.
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
