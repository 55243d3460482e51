//! Iterator over tasks (struct bpf_iter__task: meta, task; kernel/bpf/task_iter.c): the inventory of processes that ran
//! in a container before it was tracked, and of those that were tracked before. It runs when user space reads it.

use tracer_ebpf::{
    abi::{
        found::Found,
        header::{Kind, task_flag},
    },
    offsets as at,
};

use super::{
    container::{unwanted, wanted},
    forget::let_go,
    kernel::{Ptr, cgroup_of, pointer, read, tgid_of},
    maps::TASK_SCRATCH,
    record::{Ring, begin, scratch, send},
    track::{adopt, home, process},
};

/// Each task once; then once more with a null pointer, which ends it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub fn inventory(ctx: *mut core::ffi::c_void) -> i32 {
    // SAFETY: the second member of struct bpf_iter__task; volatile, so that the verifier sees one load of 8 bytes.
    let task = unsafe { core::ptr::read_volatile(ctx.cast::<Ptr>().add(1)) };
    if task.is_null() {
        return 0;
    }
    found(task);
    0
}

#[inline(always)]
fn found(task: Ptr) {
    let tgid = tgid_of(task);
    if tgid != read::<u32>(task, at::TASK_PID) {
        return;
    }
    let (cgroup, flags) = match process(tgid) {
        Some(process) if unwanted(process.cgroup) => {
            let_go(tgid, process);
            return;
        }
        Some(process) => (process.cgroup, process.flags),
        None => {
            let Some(cgroup) = home(cgroup_of(task)).filter(|home| wanted(*home)) else { return };
            let parent = pointer(task, at::TASK_REAL_PARENT);
            // The first of a container, and what came in by `kubectl exec`, have their parents elsewhere.
            let root = home(cgroup_of(parent)) != Some(cgroup);
            let flags = if root { task_flag::ROOT } else { 0 };
            let start_ns = read(task, at::TASK_START);
            if !adopt(tgid, start_ns, cgroup, tgid_of(parent), flags) {
                return;
            }
            (cgroup, flags)
        }
    };
    if !wanted(cgroup) {
        return;
    }
    let Some(record) = scratch::<Found>(&TASK_SCRATCH) else { return };
    let flags = flags | task_flag::TRACKED;
    let size = size_of::<Found>() as u32;
    begin(&mut record.header, Kind::Found, size, cgroup, task, flags);
    send(Ring::Found, Kind::Found, cgroup, (&raw const *record).cast(), size);
}
