//! The machine's clock and which boot it counts from.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::capture::event::BootNs;

/// Now, CLOCK_BOOTTIME.
pub fn now() -> BootNs {
    let time = clock_gettime(ClockId::Boottime);
    let ns = |part: i64| u64::try_from(part).unwrap_or(0);
    ns(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(ns(time.tv_nsec))
}

/// Empty where /proc does not say: then only container ids tell lives apart, and those are random.
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}
