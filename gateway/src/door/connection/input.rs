//! Reads a client's stream into frames, with little memory for a client that is idle. Messages are not known here.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::ended::Ended;
use crate::{session::Close, wire::frame::Frames};

/// The room for one read while much comes.
pub(super) const CHUNK: usize = 64 << 10;
/// The room for one read while little comes.
const LITTLE: usize = 1 << 10;
/// The stream from the client, with the bytes that are no whole frame yet.
pub(super) struct Input<R> {
    pub(super) reader: R,
    pub(super) frames: Frames,
    /// The room for one read: it grows while much comes, so that an idle client holds little memory.
    room: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// `most_payload_bytes`: the longest payload of a frame.
    pub(super) fn new(reader: R, most_payload_bytes: u32) -> Self {
        Self { reader, frames: Frames::new(most_payload_bytes), room: LITTLE }
    }

    /// Waits for bytes, and reads what has arrived.
    pub(super) async fn fill(&mut self) -> Result<usize, Ended> {
        let buffer = self.frames.buffer();
        buffer.reserve(self.room);
        if buffer.is_empty() && buffer.capacity() > 2 * CHUNK {
            // A long frame was read here: its memory goes back before the client is silent.
            *buffer = BytesMut::with_capacity(self.room);
        }
        match self.reader.read_buf(buffer).await {
            Ok(0) if self.frames.is_amid_frame() => {
                Err(Ended::Lost(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(0) => Err(Ended::Closed(Close::Ended)),
            Ok(bytes) => {
                self.room = if bytes >= self.room { CHUNK } else { LITTLE.max(self.room / 2) };
                Ok(bytes)
            }
            Err(error) => Err(Ended::Lost(error)),
        }
    }
}
