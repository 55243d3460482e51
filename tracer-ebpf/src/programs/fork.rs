//! match-proto: void sched_process_fork(struct task_struct *parent, struct task_struct *child): include/trace/events/sched.h.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    abi::{
        fork::Fork,
        header::{Kind, task_flag},
    },
    offsets as at,
};

use super::{
    container::{unwanted, wanted},
    forget::let_go,
    kernel::{Ptr, cgroup_id, cgroup_of, pointer, read, tgid_of, upid},
    maps::TASK_SCRATCH,
    record::{Ring, begin, scratch, send},
    track::{adopt, home, process},
};

#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let parent: Ptr = ctx.arg(0);
    let child: Ptr = ctx.arg(1);
    let tgid = tgid_of(child);
    if tgid != read::<u32>(child, at::TASK_PID) {
        return 0;
    }
    let forker = tgid_of(parent);
    let own = cgroup_of(child);
    let (cgroup, flags) = match process(forker) {
        Some(process) if unwanted(process.cgroup) => {
            let_go(forker, process);
            return 0;
        }
        Some(process) => {
            process.forks += 1;
            // clone3 with CLONE_INTO_CGROUP makes the child in another container.
            let into = made_into(own, parent, process.cgroup);
            let inherited = process.flags & (task_flag::RUNTIME_INIT | task_flag::ROOT);
            // Only a runtime's init hands on that it is one; a root's children are no roots.
            let flags = if inherited & task_flag::RUNTIME_INIT != 0 { inherited } else { 0 };
            match into {
                Some(other) => (other, task_flag::ROOT | task_flag::RUNTIME_INIT),
                None => (process.cgroup, flags),
            }
        }
        None => match home(own).filter(|home| wanted(*home)) {
            Some(home) => (home, task_flag::ROOT | task_flag::RUNTIME_INIT),
            None => return 0,
        },
    };
    let flags = if begins_pid_namespace(child) { flags | task_flag::RUNTIME_INIT } else { flags };
    if !adopt(tgid, read(child, at::TASK_START), cgroup, forker, flags) {
        return 0;
    }
    let Some(record) = scratch::<Fork>(&TASK_SCRATCH) else { return 0 };
    record.forker = forker;
    record._pad = 0;
    let size = size_of::<Fork>() as u32;
    begin(&mut record.header, Kind::Fork, size, cgroup, child, flags | task_flag::TRACKED);
    // Of an init in the making the reader must know while it lives.
    let ring = if flags & task_flag::RUNTIME_INIT != 0 { Ring::Events } else { Ring::Backlog };
    send(ring, Kind::Fork, cgroup, (&raw const *record).cast(), size);
    0
}

/// The other container that a child of a tracked process was made in. A cgroup that the parent is in itself is none: it
/// moved there, tracked.
#[inline(always)]
fn made_into(own: Ptr, parent: Ptr, cgroup: u64) -> Option<u64> {
    let id = cgroup_id(own);
    if id == cgroup || id == cgroup_id(cgroup_of(parent)) {
        return None;
    }
    home(own).filter(|home| *home != cgroup && wanted(*home))
}

/// The first process of a pid namespace is a container's init in the making, whatever runtime makes it.
#[inline(always)]
fn begins_pid_namespace(child: Ptr) -> bool {
    let pid = pointer(child, at::TASK_THREAD_PID);
    let level: u32 = read(pid, at::PID_LEVEL);
    level > 0 && read::<u32>(upid(pid, level), at::UPID_NR) == 1
}
