//! What user space wants to know of a container. It must not know processes.

use tracer_ebpf::abi::state::container_flag;

use super::maps::TRACKED;

/// True if user space does not want to know of a container.
#[inline(always)]
pub fn unwanted(cgroup: u64) -> bool {
    // SAFETY: a map value.
    TRACKED
        .get_ptr(&cgroup)
        .is_some_and(|container| unsafe { (*container).flags } & container_flag::UNWANTED != 0)
}

/// True if a process that is, or comes to be, in this cgroup is to be tracked.
#[inline(always)]
pub fn wanted(cgroup: u64) -> bool {
    TRACKED.get_ptr(&cgroup).is_some() && !unwanted(cgroup)
}
