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
    is_admitted: bool,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// `most_payload_bytes`: the longest payload of a frame, once the client is admitted.
    pub(super) fn new(reader: R, most_payload_bytes: u32) -> Self {
        let frames = Frames::of_stranger(most_payload_bytes);
        Self { reader, frames, room: LITTLE, is_admitted: false }
    }

    /// The client has said who it is: from now on long frames are read, and much at once.
    pub(super) fn admit(&mut self) {
        self.frames.admit();
        self.is_admitted = true;
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
                let much = self.is_admitted && bytes >= self.room;
                self.room = if much { CHUNK } else { LITTLE.max(self.room / 2) };
                Ok(bytes)
            }
            Err(error) => Err(Ended::Lost(error)),
        }
    }
}
