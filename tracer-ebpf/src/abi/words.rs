//! Last words as the first layout had them: recordings hold them, the programs write `said`.

use super::header::Header;
use super::record;

/// Bytes of one stream's ring.
pub const RING: usize = 1024;
/// Most bytes taken from one write: its last ones.
pub const CHUNK: usize = 512;
/// Streams: descriptor 1, descriptor 2, and any other descriptor of a runtime's init.
pub const STREAMS: usize = 3;

record! {
    /// One descriptor's bytes. A chunk never wraps: where less than [`CHUNK`] bytes are left the next one
    /// starts at 0, and `end` says where the older bytes stop.
    Stream [1056] {
        /// Bytes ever written.
        total: u64,
        /// Time of the last write, CLOCK_BOOTTIME.
        time_ns: u64,
        /// Where the next chunk goes.
        next: u32,
        /// End of the older bytes behind `next`; 0 if it never started over.
        end: u32,
        /// 1 if a write was larger than what was kept of it.
        cut: u32,
        _pad: u32,
        ring: [u8; RING],
    }
}

record! {
    /// The words of one process, as kept in the map and as sent at its end.
    Words [3272] {
        header: Header,
        streams: [Stream; STREAMS],
    }
}
