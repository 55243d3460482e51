//! Writes frames to a client's stream, and counts them. What the frames say is not known here.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::ended::Ended;
use crate::{observe::metrics::RealmMetrics, outbox::Outbox, wire::frame};

/// The stream to the client, with the frames that were taken from the outbox and are not written yet. A write that was
/// interrupted continues at the same byte, since half a frame would make all later frames unreadable.
pub(super) struct Output<'a, W> {
    pub(super) writer: W,
    /// Where written frames are counted; `None` for a client of no realm.
    metrics: Option<&'a RealmMetrics>,
    /// Frames that are not written yet, whole ones.
    taken: Bytes,
    /// The numbers of frames and bytes in `taken`, counted once all of them are written.
    unwritten: (usize, usize),
}

impl<'a, W: AsyncWrite + Unpin> Output<'a, W> {
    pub(super) fn new(writer: W, metrics: Option<&'a RealmMetrics>) -> Self {
        Self { writer, metrics, taken: Bytes::new(), unwritten: (0, 0) }
    }

    /// Writes what is queued until the connection has to end.
    pub(super) async fn write(&mut self, outbox: &Outbox) -> Ended {
        loop {
            if let Err(error) = self.flush().await {
                return Ended::Lost(error);
            }
            match outbox.next_frames().await {
                Ok(frames) => {
                    self.unwritten = (frame::each(&frames).count(), frames.len());
                    self.taken = frames;
                }
                Err(close) => return Ended::Closed(close),
            }
        }
    }

    /// Writes what is left, the last frame, and the end of the stream.
    pub(super) async fn end(&mut self, last: &[u8]) -> io::Result<()> {
        self.say(last).await?;
        self.writer.shutdown().await
    }

    /// Writes what is left, and one more frame.
    pub(super) async fn say(&mut self, frame: &[u8]) -> io::Result<()> {
        self.flush().await?;
        self.writer.write_all(frame).await?;
        self.count(1, frame.len());
        self.writer.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.taken.is_empty() {
            written(self.writer.write_buf(&mut self.taken).await?)?;
        }
        let (messages, bytes) = std::mem::take(&mut self.unwritten);
        self.count(messages, bytes);
        self.writer.flush().await
    }

    fn count(&self, messages: usize, bytes: usize) {
        if let Some(metrics) = self.metrics {
            metrics.sent(messages, bytes);
        }
    }
}

fn written(bytes: usize) -> io::Result<()> {
    if bytes == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}
