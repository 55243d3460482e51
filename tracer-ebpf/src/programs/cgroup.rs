//! match-proto: void cgroup_mkdir(struct cgroup *cgrp, const char *path), void cgroup_rmdir(struct cgroup *cgrp, const char *path),
//! match-proto: void cgroup_attach_task(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup): include/trace/events/cgroup.h.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    abi::{
        cgroup::{Cgroup, change},
        exec::PATH_MAX,
        header::{Kind, task_flag},
    },
    offsets as at,
};

use super::{
    container::wanted,
    kernel::{Ptr, cgroup_id, copy_str, current, pointer, read, tgid_of},
    maps::{TASK_SCRATCH, TRACKED},
    record::{Ring, begin, counted, scratch, send},
    track::{Place, adopt, home, in_hierarchy, place, process, track},
};

#[repr(C)]
struct Buffer {
    record: Cgroup,
    path: [u8; PATH_MAX],
}

#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    let path: Ptr = ctx.arg(1);
    if !in_hierarchy(cgroup) {
        return 0;
    }
    let mut found = Place { root: None, container: None, unknown: false };
    place(cgroup, &mut found);
    // What a container makes inside of itself is part of it.
    let (Some(root), None) = (found.root, found.container) else { return 0 };
    let id = cgroup_id(cgroup);
    track(cgroup, id, root);
    debug!(&ctx, "tracking cgroup {} under root {}", id, root);
    report(&Report {
        change: change::MADE,
        container: id,
        cgroup,
        path,
        task: current(),
        flags: 0,
    });
    0
}

#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    let path: Ptr = ctx.arg(1);
    let id = cgroup_id(cgroup);
    if in_hierarchy(cgroup) && TRACKED.remove(&id).is_ok() {
        report(&Report {
            change: change::REMOVED,
            container: id,
            cgroup,
            path,
            task: current(),
            flags: 0,
        });
    }
    0
}

#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    let path: Ptr = ctx.arg(1);
    let task: Ptr = ctx.arg(2);
    if !in_hierarchy(cgroup) {
        return 0;
    }
    let home = home(cgroup);
    let tgid = tgid_of(task);
    if let Some(process) = process(tgid) {
        if home != Some(process.cgroup) {
            let (container, flags) = (process.cgroup, process.flags);
            report(&Report { change: change::MOVED_OUT, container, cgroup, path, task, flags });
        }
        return 0;
    }
    let Some(id) = home.filter(|id| wanted(*id)) else { return 0 };
    let leader = pointer(task, at::TASK_LEADER);
    let flags = task_flag::ROOT | task_flag::RUNTIME_INIT;
    if adopt(tgid, read(leader, at::TASK_START), id, 0, flags) {
        debug!(&ctx, "process {} came into cgroup {}", tgid, id);
        let flags = flags | task_flag::TRACKED;
        report(&Report { change: change::MOVED_IN, container: id, cgroup, path, task, flags });
    }
    0
}

/// What is reported; a function of BPF takes five arguments at most.
struct Report {
    change: u32,
    container: u64,
    cgroup: Ptr,
    path: Ptr,
    task: Ptr,
    flags: u32,
}

#[inline(always)]
fn report(report: &Report) {
    let &Report { change, container, cgroup, path, task, flags } = report;
    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return };
    let length = copy_str(buffer.path.as_mut_ptr(), PATH_MAX as u32, path);
    let record = &mut buffer.record;
    record.change = change;
    record.level = read(cgroup, at::CGROUP_LEVEL);
    record.id = cgroup_id(cgroup);
    record.path_size = length;
    record._pad = 0;
    let size = (size_of::<Cgroup>() as u32 + length).min(size_of::<Buffer>() as u32);
    begin(&mut record.header, Kind::Cgroup, size, container, task, flags);
    counted(&mut record.header, size_of::<Cgroup>());
    // Without its beginning nothing of a container is understood, and without its removal it lasts for ever.
    let ring = if change == change::MADE || change == change::REMOVED {
        Ring::Vital
    } else {
        Ring::Events
    };
    send(ring, Kind::Cgroup, container, (&raw const *buffer).cast(), size);
}
