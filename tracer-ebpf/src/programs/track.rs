//! Which processes are tracked: those born in, or moved into, a tracked cgroup, and their children.

use tracer_ebpf::{
    abi::{
        header::task_flag,
        state::{Container, LOST_CONTAINER, LOST_MAIN, LOST_PROCESS, Process, container_flag},
    },
    offsets as at,
};

use super::{
    counter::curious,
    kernel::{Ptr, cgroup_id, load, pointer, read},
    maps::{ARMED, PROCESSES, ROOTS, TRACKED, setting},
    record::{lost, now},
    share,
};

/// Levels between a watched root and a cgroup made under it that are looked at.
const LEVELS: usize = 9;

/// Where a cgroup stands.
pub struct Place {
    /// The watched root above it.
    pub root: Option<u64>,
    /// The container that it is part of, or is.
    pub container: Option<u64>,
    /// It lies too deep for what is above it to be known.
    pub unknown: bool,
}

/// The tracked process of a tgid.
#[inline(always)]
pub fn process(tgid: u32) -> Option<&'static mut Process> {
    // SAFETY: a map value; fields are written by one hook at a time or counted loosely.
    PROCESSES.get_ptr_mut(&tgid).map(|process| unsafe { &mut *process })
}

/// The tracked container of a cgroup id.
#[inline(always)]
pub fn container(cgroup: u64) -> Option<&'static mut Container> {
    // SAFETY: a map value; fields are counted loosely.
    TRACKED.get_ptr_mut(&cgroup).map(|container| unsafe { &mut *container })
}

/// What becomes of the flags of a container that a process came into.
#[inline(always)]
fn inhabited(flags: u32) -> u32 {
    if flags & container_flag::FOLDER != 0 { 0 } else { container_flag::INHABITED }
}

/// Starts tracking a process. False where there is no room for it, or nobody wants to know of it.
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
    let container = container(cgroup);
    if let Some(container) = &container {
        if container.flags & container_flag::UNWANTED != 0 {
            return false;
        }
        let is_main = flags & task_flag::ROOT != 0;
        if !share::has_room(share::PROCESSES, container.processes, is_main) {
            lost(cgroup, if is_main { LOST_MAIN } else { LOST_PROCESS });
            return false;
        }
    }
    if PROCESSES.insert(&tgid, &process, 1 /* BPF_NOEXIST */).is_ok() {
        let held = container.map(|container| {
            container.flags |= inhabited(container.flags);
            &mut container.processes
        });
        share::count(share::PROCESSES, held, 1);
    } else if PROCESSES.insert(&tgid, &process, 2 /* BPF_EXIST */).is_err() {
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
pub fn release(tgid: u32, cgroup: u64, flags: u32, dns_ns: u64) -> bool {
    if PROCESSES.remove(&tgid).is_err() {
        return false;
    }
    share::count(share::PROCESSES, container(cgroup).map(|it| &mut it.processes), -1);
    if flags & task_flag::RUNTIME_INIT != 0 {
        curious(-1);
    }
    if dns_ns != 0 {
        curious(-1);
    }
    true
}

/// Where a cgroup stands, by those above it.
#[inline(never)]
pub fn place(cgroup: Ptr, place: &mut Place) -> u32 {
    place.root = None;
    place.container = None;
    place.unknown = false;
    let mut at_level = cgroup;
    for _ in 0..LEVELS {
        let id = cgroup_id(at_level);
        if at_level != cgroup && ROOTS.get_ptr(&id).is_some() {
            place.root = Some(id);
            return 0;
        }
        // The highest counts: what is made inside of a container is made by the container.
        if container(id).is_some_and(|it| it.flags & container_flag::INHABITED != 0) {
            place.container = Some(id);
        }
        let parent_css = pointer(at_level, at::CGROUP_PARENT_CSS);
        if parent_css.is_null() {
            return 0;
        }
        at_level = pointer(parent_css, at::CSS_CGROUP);
    }
    place.unknown = true;
    0
}

/// The container that a task in this cgroup belongs to, if it is a tracked one.
#[inline(always)]
pub fn home(cgroup: Ptr) -> Option<u64> {
    let id = cgroup_id(cgroup);
    if TRACKED.get_ptr(&id).is_some() {
        return Some(id);
    }
    let mut found = Place { root: None, container: None, unknown: false };
    place(cgroup, &mut found);
    found.container
}

/// Starts tracking a cgroup.
#[inline(always)]
pub fn track(cgroup: Ptr, id: u64, root: u64) {
    let container = Container {
        window_ns: 0,
        deaths: 0,
        events: 0,
        recorders: 0,
        processes: 0,
        root,
        since_ns: now(),
        flags: if is_folder(cgroup) { container_flag::FOLDER } else { 0 },
        streams: 0,
        stdio: [0; 2],
        heads: 0,
        _pad: 0,
    };
    if TRACKED.insert(&id, &container, 0).is_err() {
        lost(id, LOST_CONTAINER);
    }
}

/// True for `podUID` of the kubelet's cgroupfs driver. Slices of its systemd driver hold no processes.
#[inline(always)]
fn is_folder(cgroup: Ptr) -> bool {
    let begin: u32 = load(pointer(pointer(cgroup, at::CGROUP_KN), at::KN_NAME));
    begin.to_le() & 0x00ff_ffff == u32::from_le_bytes(*b"pod\0")
}

/// True if a cgroup is in the chosen hierarchy.
#[inline(always)]
pub fn in_hierarchy(cgroup: Ptr) -> bool {
    let id: u32 = read(pointer(cgroup, at::CGROUP_ROOT), at::ROOT_HIERARCHY);
    id == setting!(hierarchy_id)
}
