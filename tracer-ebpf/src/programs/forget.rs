//! What goes with a process: its place among the tracked, its calls and its words.

use tracer_ebpf::abi::state::Process;

use super::{
    maps::CALLS,
    said, share,
    track::{container, release},
};

/// Lets go of a process whose container nobody wants to know of.
#[inline(never)]
pub fn let_go(tgid: u32, process: &Process) -> u32 {
    let (cgroup, flags, dns_ns) = (process.cgroup, process.flags, process.dns_ns);
    let streams = process.streams;
    if release(tgid, cgroup, flags, dns_ns) {
        forget(tgid, cgroup, streams);
    }
    0
}

/// Drops what was kept of a process's calls and words.
#[inline(always)]
pub fn forget(tgid: u32, cgroup: u64, streams: u32) {
    if CALLS.remove(&tgid).is_ok() {
        share::count(share::CALLS, container(cgroup).map(|it| &mut it.recorders), -1);
    }
    if streams != 0 {
        said::forget(tgid, cgroup);
    }
}
