//! Which processes are tracked: those born in, or moved into, a tracked cgroup, and their children.

use tracer_ebpf::{
    abi::{
        header::task_flag,
        state::{Container, LOST_CONTAINER, LOST_PROCESS, Process},
    },
    offsets as at,
};

use super::{
    counter::{curious, used},
    kernel::{Ptr, cgroup_id, pointer, read},
    maps::{ARMED, CALLS, PROCESSES, ROOTS, TRACKED, USED_CALLS, setting},
    record::{lost, now},
    said,
};

/// Levels between a watched root and a cgroup made under it that are looked at.
const LEVELS: usize = 8;

/// The tracked process of a tgid.
#[inline(always)]
pub fn process(tgid: u32) -> Option<&'static mut Process> {
    // SAFETY: a map value; fields are written by one hook at a time or counted loosely.
    PROCESSES.get_ptr_mut(&tgid).map(|process| unsafe { &mut *process })
}

/// Starts tracking a process.
#[inline(always)]
pub fn adopt(tgid: u32, start_ns: u64, cgroup: u64, parent: u32, flags: u32) -> bool {
    let flags = flags | task_flag::TRACKED;
    let process = Process {
        cgroup,
        start_ns,
        flags,
        forks: 0,
        parent,
        threads_noted: 0,
        recorder: u32::from(ARMED.get(0).is_some_and(|armed| *armed != 0)),
        execs: 0,
        failed: 0,
        streams: 0,
        written: [0; 2],
        dns_ns: 0,
        opened: 0,
        connected: 0,
    };
    if PROCESSES.insert(&tgid, &process, 0).is_err() {
        lost(cgroup, LOST_PROCESS);
        return false;
    }
    if flags & task_flag::RUNTIME_INIT != 0 {
        curious(1);
    }
    true
}

/// Stops tracking a process. False if another CPU was first.
#[inline(always)]
pub fn release(tgid: u32, flags: u32, dns_ns: u64) -> bool {
    if PROCESSES.remove(&tgid).is_err() {
        return false;
    }
    if flags & task_flag::RUNTIME_INIT != 0 {
        curious(-1);
    }
    if dns_ns != 0 {
        curious(-1);
    }
    true
}

/// Lets go of a process whose container nobody wants to know of.
#[inline(never)]
pub fn let_go(tgid: u32, process: &Process) -> u32 {
    let (cgroup, flags, dns_ns) = (process.cgroup, process.flags, process.dns_ns);
    let streams = process.streams;
    if release(tgid, flags, dns_ns) {
        forget(tgid, cgroup, streams);
    }
    0
}

/// Drops what was kept of a process's calls and words.
#[inline(always)]
pub fn forget(tgid: u32, cgroup: u64, streams: u32) {
    if CALLS.remove(&tgid).is_ok() {
        used(USED_CALLS, -1);
        if let Some(container) = TRACKED.get_ptr_mut(&cgroup) {
            // SAFETY: a map value.
            let container = unsafe { &mut *container };
            container.recorders = container.recorders.saturating_sub(1);
        }
    }
    if streams != 0 {
        said::forget(tgid, cgroup);
    }
}

/// The watched root above a cgroup, if there is one.
#[inline(always)]
pub fn root_above(cgroup: Ptr) -> Option<u64> {
    let mut at_level = cgroup;
    for _ in 0..LEVELS {
        let parent_css = pointer(at_level, at::CGROUP_PARENT_CSS);
        if parent_css.is_null() {
            return None;
        }
        at_level = pointer(parent_css, at::CSS_CGROUP);
        let id = cgroup_id(at_level);
        if ROOTS.get_ptr(&id).is_some() {
            return Some(id);
        }
    }
    None
}

/// Starts tracking a cgroup.
#[inline(always)]
pub fn track(id: u64, root: u64) {
    let container = Container {
        window_ns: 0,
        deaths: 0,
        events: 0,
        recorders: 0,
        processes: 0,
        root,
        since_ns: now(),
        flags: 0,
        streams: 0,
        stdio: [0; 2],
    };
    if TRACKED.insert(&id, &container, 0).is_err() {
        lost(id, LOST_CONTAINER);
    }
}

/// True if a cgroup is in the chosen hierarchy.
#[inline(always)]
pub fn in_hierarchy(cgroup: Ptr) -> bool {
    let id: u32 = read(pointer(cgroup, at::CGROUP_ROOT), at::ROOT_HIERARCHY);
    id == setting!(hierarchy_id)
}
