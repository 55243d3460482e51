//! The queue of frames inside an outbox. It joins small frames to pieces that are written as they are, so a frame keeps no
//! memory but its own. Clients and waiting are not known here.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};

use crate::wire::frame::{self, Kind};

/// Frames that lie one after the other, up to a size.
#[derive(Debug, Default)]
struct Piece {
    /// Whole frames.
    bytes: Bytes,
    /// How much memory it holds that is its own; 0 for one frame that others may hold as well.
    own_bytes: usize,
    /// How many of the frames are published messages, which may be dropped.
    published: u64,
}

#[derive(Debug)]
pub struct Backlog {
    /// The full pieces, the oldest first.
    pieces: VecDeque<Piece>,
    /// The newest frames, in the piece that is being filled.
    open: BytesMut,
    published: u64,
    bytes: usize,
    /// The memory of all pieces, unused room in them too, and of frames that others may hold as well.
    own_bytes: usize,
    shared_bytes: usize,
    piece_bytes: usize,
    /// The length of the last piece, as a guess for the next.
    usual: usize,
}

impl Backlog {
    /// `piece_bytes`: the length of a piece. A frame of a quarter of it or more is a piece of its own, and is not copied.
    pub fn new(piece_bytes: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            open: BytesMut::new(),
            published: 0,
            bytes: 0,
            own_bytes: 0,
            shared_bytes: 0,
            piece_bytes,
            usual: 0,
        }
    }

    /// Whether a frame of this length is a piece of its own, whose memory its other receivers share.
    pub fn shares(&self, frame_bytes: usize) -> bool {
        frame_bytes >= self.piece_bytes / 4
    }

    pub fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        let published = u64::from(is_published(&frame));
        if self.shares(frame.len()) {
            self.close();
            self.shared_bytes += frame.len();
            self.pieces.push_back(Piece { bytes: frame, own_bytes: 0, published });
            return;
        }
        if self.open.len() + frame.len() > self.piece_bytes {
            self.close();
        }
        self.reserve(frame.len());
        self.open.extend_from_slice(&frame);
        self.published += published;
    }

    /// Makes room in the open piece. It doubles, up to the length of a piece and no further.
    fn reserve(&mut self, more: usize) {
        let (needed, capacity) = (self.open.len() + more, self.open.capacity());
        if needed <= capacity {
            return;
        }
        let wanted = needed.max(self.usual).next_power_of_two().min(self.piece_bytes);
        let mut larger = BytesMut::with_capacity(wanted);
        larger.extend_from_slice(&self.open);
        self.own_bytes = self.own_bytes - capacity + larger.capacity();
        self.open = larger;
    }

    /// Removes the oldest piece, and returns its frames.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.close();
        }
        let piece = self.pieces.pop_front()?;
        self.forget(&piece);
        Some(piece.bytes)
    }

    /// Drops the oldest published messages, those of a piece at a time, until no more than `most_bytes` are held or there is
    /// nothing more to drop. Returns how many messages were dropped.
    pub fn make_room(&mut self, most_bytes: usize) -> u64 {
        self.close();
        let (mut dropped, mut pieces) = (0, mem::take(&mut self.pieces));
        for piece in &mut pieces {
            if self.held_bytes() <= most_bytes {
                break;
            }
            if piece.published == 0 {
                continue;
            }
            self.forget(piece);
            dropped += piece.published;
            let kept = frame::each(&piece.bytes).filter(|frame| !is_published(frame));
            let kept = Bytes::from(kept.collect::<Vec<_>>().concat());
            self.bytes += kept.len();
            self.own_bytes += kept.len();
            *piece = Piece { own_bytes: kept.len(), bytes: kept, published: 0 };
        }
        pieces.retain(|piece| !piece.bytes.is_empty());
        self.pieces = pieces;
        dropped
    }

    /// Drops everything. Returns how many published messages were dropped.
    pub fn clear(&mut self) -> u64 {
        self.close();
        let dropped = self.pieces.iter().map(|piece| piece.published).sum();
        *self = Self::new(self.piece_bytes);
        dropped
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The bytes of all frames.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that is this queue's own, and that of frames which others may hold as well.
    pub fn memory(&self) -> (usize, usize) {
        (self.own_bytes, self.shared_bytes)
    }

    pub fn held_bytes(&self) -> usize {
        self.own_bytes + self.shared_bytes
    }

    fn forget(&mut self, piece: &Piece) {
        self.bytes -= piece.bytes.len();
        self.own_bytes -= piece.own_bytes;
        if piece.own_bytes == 0 {
            self.shared_bytes -= piece.bytes.len();
        }
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.usual = self.open.len();
        let own_bytes = self.open.capacity();
        let bytes = mem::take(&mut self.open).freeze();
        self.pieces.push_back(Piece {
            bytes,
            own_bytes,
            published: mem::take(&mut self.published),
        });
    }
}

/// Only a published message may be dropped: it is delivered at most once.
fn is_published(frame: &[u8]) -> bool {
    frame.get(1) == Some(&Kind::Publish.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::header;

    fn frame(kind: Kind, payload: &[u8]) -> Bytes {
        [&header(kind, u32::try_from(payload.len()).unwrap())[..], payload].concat().into()
    }

    fn numbers(backlog: &mut Backlog) -> Vec<u8> {
        let mut numbers = Vec::new();
        while let Some(piece) = backlog.pop() {
            numbers.extend(frame::each(&piece).map(|frame| frame[8]));
        }
        numbers
    }

    #[test]
    fn small_frames_leave_together_and_a_large_one_by_itself_in_their_order() {
        let mut backlog = Backlog::new(64);
        for number in 0..3 {
            backlog.push(frame(Kind::Publish, &[number]));
        }
        let large = frame(Kind::Publish, &[3; 64]);
        backlog.push(large.clone());
        backlog.push(frame(Kind::Publish, &[4]));
        assert_eq!(backlog.bytes(), 4 * 9 + large.len());
        let first = backlog.pop().unwrap();
        assert_eq!(frame::each(&first).map(|frame| frame[8]).collect::<Vec<_>>(), [0, 1, 2]);
        let second = backlog.pop().unwrap();
        assert_eq!(second.as_ptr(), large.as_ptr(), "it was not copied");
        assert_eq!(numbers(&mut backlog), [4]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn room_is_made_by_pieces_and_only_of_published_messages() {
        let mut backlog = Backlog::new(40);
        for number in 0..12 {
            let kind = if number % 3 == 0 { Kind::Reply } else { Kind::Publish };
            backlog.push(frame(kind, &[number]));
        }
        // Pieces of four frames.
        assert_eq!(backlog.make_room(100), 2);
        assert_eq!(backlog.bytes(), 90);
        assert_eq!(backlog.make_room(60), 3 + 3);
        assert_eq!(numbers(&mut backlog), [0, 3, 6, 9]);
    }

    #[test]
    fn replies_alone_leave_no_room_and_go_with_everything() {
        let mut backlog = Backlog::new(40);
        for number in 0..8 {
            backlog.push(frame(Kind::Reply, &[number]));
        }
        assert_eq!(backlog.make_room(10), 0);
        backlog.push(frame(Kind::Publish, b"x"));
        assert_eq!(backlog.clear(), 1);
        assert!(backlog.is_empty() && backlog.pop().is_none());
    }
}
