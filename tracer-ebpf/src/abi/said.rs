//! What a process wrote to one stream: the last bytes and, of a burst that is longer, its first.

use super::header::Header;
use super::record;

/// Bytes that are kept of a stream's end, and as many of a burst's beginning.
pub const KEPT: usize = 2048;
/// Most bytes that are copied at once.
pub const PIECE: usize = 512;

/// Streams of a process.
pub mod stream {
    pub const STDOUT: u32 = 0;
    pub const STDERR: u32 = 1;
    /// Any descriptor of a runtime's init but 1 and 2.
    pub const INIT: u32 = 2;
}

record! {
    /// Value of TAILS, key: [`key`]. The last bytes of one stream, in a ring.
    Tail [2608] {
        /// Bytes ever written.
        total: u64,
        /// Time of the last write, CLOCK_BOOTTIME.
        time_ns: u64,
        /// Bytes of the burst: what was written without a pause.
        burst: u64,
        /// Bytes that were written by what the process was before its last exec, or to /dev/null before it wrote elsewhere.
        earlier: u64,
        /// Where the next byte goes.
        next: u32,
        /// 1 once HEADS has the beginning of the burst.
        head: u32,
        /// 1 if some bytes could not be read.
        unread: u32,
        /// 1 if its descriptor led to /dev/null at every write.
        discarded: u32,
        /// The ring, and room for a piece that begins at its last byte.
        ring: [u8; KEPT + PIECE],
    }
}

record! {
    /// Value of HEADS, key: [`key`]. The first bytes of the last burst that was longer than a ring.
    Head [2056] {
        /// Where they begin: the rest stands before.
        start: u32,
        _pad: u32,
        bytes: [u8; KEPT],
    }
}

record! {
    /// One stream at the end of its process: header, then `tail_size` bytes of the ring, then `head_size` bytes of
    /// the burst's beginning.
    Said [168] {
        header: Header,
        /// One of `stream`.
        stream: u32,
        /// Where in the ring the next byte would go.
        tail_next: u32,
        tail_size: u32,
        head_start: u32,
        head_size: u32,
        unread: u32,
        total: u64,
        time_ns: u64,
        burst: u64,
        /// As in [`Tail`].
        earlier: u64,
        /// As in [`Tail`].
        discarded: u32,
        _pad: u32,
    }
}

/// The key of a stream of a process.
pub fn key(tgid: u32, stream: u32) -> u64 {
    ((tgid as u64) << 8) | stream as u64
}
