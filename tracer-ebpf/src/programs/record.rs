//! Puts records together and sends them, counting what could not be sent.

use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, generated::bpf_ringbuf_output},
    maps::{PerCpuArray, RingBuf},
};
use tracer_ebpf::abi::{
    ABI,
    header::{Header, Kind},
    state::{Container, LostKey, UNCOUNTED},
};

use super::{
    container::unwanted,
    counter::{add, used},
    kernel::{Ptr, describe},
    maps::{DEATHS, EVENTS, LOST, SCRATCH, TRACKED, setting},
};

/// Where a record goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// DEATHS, whatever the container sent before: without it the end of a container is not known.
    Vital,
    /// DEATHS, within the container's budget, while a quarter of it is free: where nobody reads, that is left to what is
    /// vital.
    Deaths,
    /// DEATHS, while at most half of it is unread: where nobody reads, children that fail leave room for the ends of
    /// containers.
    Spare,
    /// EVENTS, whatever the container sent before: an inventory is asked for, and must be whole.
    Found,
    Events,
    /// EVENTS, without waking the reader: it is read with whatever comes next. A wake-up costs the process that
    /// is being watched three times as much as the record.
    Backlog,
}

/// Unread bytes of EVENTS from which a backlog wakes the reader all the same.
const BACKLOG: u64 = 512 << 10;
/// Unread bytes of DEATHS from which nothing is spare: half of it. And from which only what is vital finds room.
const SPARE: u64 = 1 << 20;
const VITAL: u64 = 3 << 19;
/// Records of a window that a container has room for where EVENTS is half full: who writes much has to wait, not who
/// writes little.
const FEW: u32 = 256;
/// Flags of bpf_ringbuf_output. Without one of them a reader that is behind is not woken.
const NO_WAKEUP: u64 = 1;
const FORCE_WAKEUP: u64 = 2;

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// This CPU's scratch as a `T`.
#[inline(always)]
pub fn scratch<T>(map: &'static PerCpuArray<[u64; SCRATCH / 8]>) -> Option<&'static mut T> {
    const { assert!(size_of::<T>() <= SCRATCH && align_of::<T>() <= 8) };
    let raw = map.get_ptr_mut(0)?;
    // SAFETY: large and aligned enough, and every bit pattern is a valid record.
    Some(unsafe { &mut *raw.cast::<T>() })
}

/// Fills in a header about `task`. `size` is that of the whole record; one that has counted bytes behind its fixed part
/// calls [`counted`] next.
#[inline(always)]
pub fn begin(header: &mut Header, kind: Kind, size: u32, cgroup: u64, task: Ptr, flags: u32) {
    header.kind = kind as u16;
    header.abi = ABI;
    header.size = size;
    header.time_ns = now();
    header.cgroup = cgroup;
    // SAFETY: no arguments.
    header.cpu = unsafe { bpf_get_smp_processor_id() };
    header.body = size;
    describe(&raw mut header.task, task, flags);
}

/// Says how much of a record are counted bytes.
#[inline(always)]
pub fn counted(header: &mut Header, fixed: usize) {
    header.body = fixed as u32;
}

/// Sends `size` bytes at `record`.
#[inline(always)]
pub fn send(ring: Ring, kind: Kind, cgroup: u64, record: *const u8, size: u32) {
    if unwanted(cgroup) {
        return;
    }
    if !within_budget(ring, cgroup) {
        return lost(cgroup, kind as u32);
    }
    let sent = match ring {
        Ring::Spare if DEATHS.query(0) > SPARE => false,
        Ring::Deaths if DEATHS.query(0) > VITAL => false,
        Ring::Vital | Ring::Deaths | Ring::Spare => output(&DEATHS, record, size, FORCE_WAKEUP),
        Ring::Found | Ring::Events => output(&EVENTS, record, size, FORCE_WAKEUP),
        Ring::Backlog if EVENTS.query(0) > BACKLOG => output(&EVENTS, record, size, FORCE_WAKEUP),
        Ring::Backlog => output(&EVENTS, record, size, NO_WAKEUP),
    };
    if !sent {
        lost(cgroup, kind as u32);
    }
}

#[inline(always)]
fn output(ring: &'static RingBuf, record: *const u8, size: u32, flags: u64) -> bool {
    let ring = core::ptr::from_ref(ring).cast_mut().cast();
    // SAFETY: the record is `size` bytes of a map value.
    unsafe { bpf_ringbuf_output(ring, record.cast_mut().cast(), u64::from(size), flags) == 0 }
}

/// Counts one more of `kind` lost for a container.
#[inline(never)]
pub fn lost(cgroup: u64, kind: u32) {
    let key = LostKey { cgroup, kind, _pad: 0 };
    if LOST.get_ptr(&key).is_none() {
        // Another CPU may be first; then the insert fails and the count is there.
        let _ = LOST.insert(&key, 0u64, 1 /* BPF_NOEXIST */);
    }
    match LOST.get_ptr_mut(&key) {
        Some(count) => add(count, 1),
        None => drop(used(UNCOUNTED, 1)),
    }
}

#[inline(always)]
fn within_budget(ring: Ring, cgroup: u64) -> bool {
    if matches!(ring, Ring::Vital | Ring::Found) {
        return true;
    }
    let Some(container) = TRACKED.get_ptr_mut(&cgroup) else { return true };
    // SAFETY: a map value; a lost update among CPUs costs a record's worth of budget.
    let container: &mut Container = unsafe { &mut *container };
    let time = now();
    if time.wrapping_sub(container.window_ns) > setting!(window_ns) {
        container.window_ns = time;
        container.deaths = 0;
        container.events = 0;
    }
    let (used, budget) = match ring {
        Ring::Vital | Ring::Deaths | Ring::Spare => {
            (&mut container.deaths, setting!(deaths_budget))
        }
        Ring::Found | Ring::Events | Ring::Backlog => {
            (&mut container.events, setting!(events_budget))
        }
    };
    let has_much = *used >= FEW && matches!(ring, Ring::Events | Ring::Backlog);
    if *used >= budget || (has_much && EVENTS.query(0) > BACKLOG) {
        return false;
    }
    *used += 1;
    true
}
