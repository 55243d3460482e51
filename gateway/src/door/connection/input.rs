//! Reads a client's stream into frames, with little memory for a client that is idle, and none that its account has no room
//! for. Messages are not known here.

use std::{io, sync::Arc};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::ended::Ended;
use crate::{
    budget::{Account, Held, What},
    session::Close,
    wire::frame::Frames,
};

/// The room for one read while much comes.
pub(super) const CHUNK: usize = 64 << 10;
/// The room for one read while little comes.
const LITTLE: usize = 1 << 10;
/// A buffer of this size or less is a part of what each connection takes.
const FREE: usize = 4 << 10;
/// A long frame gets room for so many times what has come of it.
const AHEAD: usize = 32;

/// The stream from the client, with the bytes that are no whole frame yet.
pub(super) struct Input<R> {
    pub(super) reader: R,
    pub(super) frames: Frames,
    /// The room for one read: it grows while much comes, so that an idle client holds little memory.
    room: usize,
    is_admitted: bool,
    held: Held,
    most_payload_bytes: u32,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// `most_payload_bytes`: the longest payload of a frame, once the client is admitted.
    pub(super) fn new(reader: R, most_payload_bytes: u32, account: Arc<Account>) -> Self {
        let frames = Frames::of_stranger(most_payload_bytes);
        let held = Held::new(account, What::Frames);
        Self { reader, frames, room: LITTLE, is_admitted: false, held, most_payload_bytes }
    }

    /// The client has said who it is: from now on long frames are read, and much at once.
    pub(super) fn admit(&mut self) {
        self.frames.admit();
        self.is_admitted = true;
    }

    /// Lets go of what was read: nothing more is going to be.
    pub(super) fn abandon(&mut self) {
        self.frames = Frames::new(self.most_payload_bytes);
        self.held.set(0, 0);
    }

    /// Waits for bytes, and reads what has arrived.
    pub(super) async fn fill(&mut self) -> Result<usize, Ended> {
        self.make_room()?;
        match self.reader.read_buf(self.frames.buffer()).await {
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

    fn make_room(&mut self) -> Result<(), Ended> {
        let wanted = self.wanted();
        let buffer = self.frames.buffer();
        if buffer.is_empty() && buffer.capacity() > 2 * wanted {
            // Much was read here: its memory goes back before the client is silent.
            *buffer = BytesMut::new();
        }
        let most = buffer.capacity().max(buffer.len() + wanted);
        let most = if most > FREE { most } else { 0 };
        if most > self.held.bytes() || most < self.held.bytes() / 2 {
            self.held.resize(most).map_err(|_| Ended::Closed(Close::Memory))?;
        }
        buffer.reserve(wanted);
        if buffer.is_empty() && buffer.capacity() > 2 * CHUNK.max(wanted) {
            // All of what a long frame took came back.
            *buffer = BytesMut::with_capacity(wanted);
        }
        let capacity = buffer.capacity();
        if capacity > FREE && capacity > self.held.bytes() {
            self.held.set(capacity, 0);
        }
        Ok(())
    }

    /// For how many bytes more there should be room: for what is missing of a long frame and no more, so that it is not moved
    /// again, but only once a part of it has come.
    fn wanted(&mut self) -> usize {
        let (whole, has) = (self.frames.begun().unwrap_or(0), self.frames.buffer().len());
        if whole > 4 * CHUNK && has >= CHUNK / 2 {
            whole.saturating_sub(has).min(has * AHEAD).max(1)
        } else {
            self.room
        }
    }
}
