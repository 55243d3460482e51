//! Counters in maps, which all CPUs add to.

use core::intrinsics::AtomicOrdering;

use super::maps::{CURIOUS, USED};

/// Adds to a counter in a map.
#[inline(always)]
pub fn add(counter: *mut u64, n: u64) {
    // The BPF target has no compare-and-swap, so core offers no fetch_add; this becomes one XADD.
    // SAFETY: a u64 of a map value, aligned.
    unsafe { core::intrinsics::atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, n) };
}

/// The same of a smaller one.
#[inline(always)]
pub fn add_small(counter: *mut u32, n: u32) {
    // SAFETY: a u32 of a map value, aligned.
    unsafe { core::intrinsics::atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(counter, n) };
}

/// Changes one of the counters of USED, and returns it.
#[inline(always)]
pub fn used(map: u32, change: i64) -> u64 {
    let Some(count) = USED.get_ptr_mut(map) else { return 0 };
    add(count, change as u64);
    // SAFETY: a map value.
    unsafe { core::ptr::read_volatile(count) }
}

/// Counts processes whose every write matters.
#[inline(always)]
pub fn curious(change: i64) {
    if let Some(count) = CURIOUS.get_ptr_mut(0) {
        add(count, change as u64);
    }
}

/// True if a write to any descriptor, or a read, may matter.
#[inline(always)]
pub fn any_curious() -> bool {
    CURIOUS.get(0).is_some_and(|count| *count != 0)
}
