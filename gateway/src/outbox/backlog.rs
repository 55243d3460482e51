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
            piece_bytes,
            usual: 0,
        }
    }

    pub fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        let published = u64::from(is_published(&frame));
        if frame.len() >= self.piece_bytes / 4 {
            self.close();
            self.pieces.push_back(Piece { bytes: frame, published });
            return;
        }
        if self.open.len() + frame.len() > self.piece_bytes {
            self.close();
        }
        if self.open.is_empty() {
            self.open.reserve(self.usual);
        }
        self.open.extend_from_slice(&frame);
        self.published += published;
    }

    /// Removes the oldest piece, and returns its frames.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.close();
        }
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.bytes.len();
        Some(piece.bytes)
    }

    /// Drops the oldest published messages, those of a piece at a time, until no more than `most_bytes` are left or there is
    /// nothing more to drop. Returns how many messages were dropped.
    pub fn make_room(&mut self, most_bytes: usize) -> u64 {
        self.close();
        let mut dropped = 0;
        for piece in &mut self.pieces {
            if self.bytes <= most_bytes {
                break;
            }
            if piece.published == 0 {
                continue;
            }
            let kept = frame::each(&piece.bytes).filter(|frame| !is_published(frame));
            let kept = Bytes::from(kept.collect::<Vec<_>>().concat());
            self.bytes -= piece.bytes.len() - kept.len();
            dropped += piece.published;
            *piece = Piece { bytes: kept, published: 0 };
        }
        self.pieces.retain(|piece| !piece.bytes.is_empty());
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

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.usual = self.open.len();
        let bytes = mem::take(&mut self.open).freeze();
        self.pieces.push_back(Piece { bytes, published: mem::take(&mut self.published) });
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
