//! Long frames, whose memory all their receivers share: each is counted once. Clients are not known here.

use std::sync::Arc;

use bytes::Bytes;

use crate::budget::{Budget, Share, What};

/// A frame that is shorter may be a small part of what was read with it, which it would keep in memory: it is copied.
const ALONE_FROM: usize = 64 << 10;

/// Counts long frames as they are queued for one receiver after the other.
#[derive(Debug, Default)]
pub struct Counting {
    /// The last frame as it came, and as it was counted.
    last: Option<(Bytes, Bytes)>,
}

#[derive(Debug)]
struct Counted {
    frame: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Counting {
    /// The frame as it is to be queued. `waits`: whether other frames of the receiver are written before it.
    pub fn of(&mut self, frame: Bytes, waits: bool, budget: &Arc<Budget>) -> Bytes {
        let is_long = frame.len() >= ALONE_FROM;
        if !is_long && !waits {
            return frame;
        }
        if let Some((last, counted)) = &self.last
            && (last.as_ptr(), last.len()) == (frame.as_ptr(), frame.len())
        {
            return counted.clone();
        }
        let (alone, bytes) = if is_long {
            // Up to one read may lie in memory beside it.
            (frame.clone(), frame.len() + ALONE_FROM)
        } else {
            (Bytes::copy_from_slice(&frame), frame.len())
        };
        let share = budget.share(What::Queue, bytes);
        let counted = Bytes::from_owner(Counted { frame: alone, _share: share });
        self.last = Some((frame, counted.clone()));
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_for_many_is_counted_once_and_keeps_nothing_else_in_memory() {
        let budget = Budget::new(1 << 30);
        let read = Bytes::from(vec![7; 64 << 10]);
        let (frame, other) = (read.slice(..20_000), read.slice(20_000..40_000));
        let mut counting = Counting::default();
        let queued: Vec<_> = (0..3).map(|_| counting.of(frame.clone(), true, &budget)).collect();
        assert_eq!(budget.used(), 20_000);
        assert!(queued.iter().all(|it| it == &frame && it.as_ptr() != frame.as_ptr()));
        let another = counting.of(other.clone(), true, &budget);
        assert_eq!((budget.used(), &another), (40_000, &other));
        drop((queued, another, counting));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_frame_that_is_written_next_is_not_copied() {
        let budget = Budget::new(1 << 30);
        let frame = Bytes::from(vec![7; 20_000]);
        let queued = Counting::default().of(frame.clone(), false, &budget);
        assert_eq!((queued.as_ptr(), budget.used()), (frame.as_ptr(), 0));
    }
}
