//! The flow control windows of a QUIC connection, up to which the transport keeps bytes in memory: those that came before the
//! ones that are missing, and those that the client has not acknowledged. They are small until much has passed, and grow as
//! far as the gateway's memory lets them. Frames are not known here.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use quinn::{Connection, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::budget::{Budget, Share, What};

/// The windows of a connection of which nothing is known yet, and the largest.
pub const FIRST: u32 = 16 << 10;
const MOST_RECEIVED: u32 = 1 << 20;
const MOST_SENT: u32 = 2 << 20;

/// One direction's window.
#[derive(Debug)]
struct Window {
    bytes: u32,
    most: u32,
    /// The bytes that have passed since it grew.
    passed: usize,
    budget: Arc<Budget>,
    memory: Option<Share>,
}

impl Window {
    fn new(most: u32, budget: Arc<Budget>) -> Self {
        Self { bytes: FIRST, most, passed: 0, budget, memory: None }
    }

    /// Bytes have passed. Returns the new window, if it grows: once twice as much as it has passed, so that at least as much
    /// was acknowledged, or came in order.
    fn pass(&mut self, bytes: usize) -> Option<u32> {
        if self.bytes >= self.most {
            return None;
        }
        self.passed += bytes;
        if self.passed / 2 < usize::try_from(self.bytes).unwrap_or(usize::MAX) {
            return None;
        }
        self.passed = 0;
        let larger = self.bytes.saturating_mul(2).min(self.most);
        let more = usize::try_from(larger - FIRST).unwrap_or(usize::MAX);
        self.memory = Some(self.budget.lend(What::Transport, more)?);
        self.bytes = larger;
        Some(larger)
    }
}

/// The stream from a client.
#[derive(Debug)]
pub struct Receiving<'a> {
    stream: &'a mut RecvStream,
    connection: &'a Connection,
    window: Window,
}

impl<'a> Receiving<'a> {
    pub fn new(
        stream: &'a mut RecvStream,
        connection: &'a Connection,
        budget: Arc<Budget>,
    ) -> Self {
        Self { stream, connection, window: Window::new(MOST_RECEIVED, budget) }
    }
}

impl AsyncRead for Receiving<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(AsyncRead::poll_read(Pin::new(&mut *self.stream), context, buffer))?;
        if let Some(larger) = self.window.pass(buffer.filled().len() - before) {
            self.connection.set_receive_window(larger.into());
        }
        Poll::Ready(Ok(()))
    }
}

/// The stream to a client.
#[derive(Debug)]
pub struct Sending<'a> {
    stream: &'a mut SendStream,
    connection: &'a Connection,
    window: Window,
}

impl<'a> Sending<'a> {
    pub fn new(
        stream: &'a mut SendStream,
        connection: &'a Connection,
        budget: Arc<Budget>,
    ) -> Self {
        Self { stream, connection, window: Window::new(MOST_SENT, budget) }
    }
}

impl AsyncWrite for Sending<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(AsyncWrite::poll_write(Pin::new(&mut *self.stream), context, bytes))?;
        if let Some(larger) = self.window.pass(written) {
            self.connection.set_send_window(larger.into());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut *self.stream), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut *self.stream), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The window after so many bytes have passed.
    fn grown(window: &mut Window, bytes: usize) -> u32 {
        for _ in 0..bytes / 1000 {
            window.pass(1000);
        }
        window.bytes
    }

    #[test]
    fn a_window_grows_with_what_passes_up_to_its_most() {
        let budget = Budget::new(1 << 30);
        let mut window = Window::new(MOST_SENT, budget.clone());
        assert_eq!(grown(&mut window, 30_000), FIRST, "all of it may lie unacknowledged");
        assert_eq!(grown(&mut window, 10_000), 2 * FIRST);
        assert_eq!(grown(&mut window, 10 << 20), MOST_SENT);
        assert_eq!(budget.held(What::Transport), (2 << 20) - (16 << 10));
        drop(window);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn many_windows_grow_no_further_than_memory_lets_them() {
        let budget = Budget::new(64 << 20);
        let mut windows: Vec<_> =
            (0..1000).map(|_| Window::new(MOST_SENT, budget.clone())).collect();
        for window in &mut windows {
            grown(window, 10 << 20);
        }
        assert!(windows[0].bytes > 16 * FIRST);
        assert!(budget.used() <= 8 << 20, "{}", budget.used());
    }
}
