//! How much of a map one container may hold, so that none starves another. It must not know what is held.

use super::{
    counter::{add_small, used},
    maps::{
        CALLS_MAX, HEADS_MAX, PROCESSES_MAX, TAILS_MAX, USED_CALLS, USED_HEADS, USED_PROCESSES,
        USED_TAILS,
    },
};

/// A map whose entries are counted.
#[derive(Clone, Copy)]
pub struct Pool {
    /// Index in USED.
    used: u32,
    entries: u32,
    /// Entries for main processes alone.
    reserve: u32,
    /// A container may hold one for so many that are free beside.
    beside: u64,
}

/// The first container may hold 2048, and main processes always find 2048.
pub const PROCESSES: Pool =
    Pool { used: USED_PROCESSES, entries: PROCESSES_MAX, reserve: 2048, beside: 4 };
/// A third of what is no reserve, as of the two below.
pub const CALLS: Pool =
    Pool { used: USED_CALLS, entries: CALLS_MAX, reserve: CALLS_MAX / 4, beside: 2 };
pub const TAILS: Pool =
    Pool { used: USED_TAILS, entries: TAILS_MAX, reserve: TAILS_MAX / 4, beside: 2 };
pub const HEADS: Pool =
    Pool { used: USED_HEADS, entries: HEADS_MAX, reserve: HEADS_MAX / 4, beside: 2 };

/// True if a container that holds so many of a map may hold one more. The more is taken the less each may have: whoever
/// comes later finds some. A main process finds room as long as there is any.
#[inline(always)]
pub fn has_room(pool: Pool, held: u32, is_main: bool) -> bool {
    let taken = used(pool.used, 0) as i64;
    if is_main {
        return taken < i64::from(pool.entries);
    }
    let free = i64::from(pool.entries - pool.reserve) - taken;
    // Counted loosely: below 0 is none.
    let held = if (held as i32) < 0 { 0 } else { i64::from(held) };
    held * (pool.beside as i64) < free
}

/// Counts an entry that a container holds from now on, or no longer.
#[inline(always)]
pub fn count(pool: Pool, held: Option<&mut u32>, change: i32) {
    used(pool.used, i64::from(change));
    if let Some(held) = held {
        add_small(held, change as u32);
    }
}
