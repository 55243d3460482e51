//! Keeps failed calls in the flight recorder of their process, in place.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use tracer_ebpf::{
    abi::{
        exec::PATH_MAX,
        header::Kind,
        recorder::{
            Call, Calls, DATA, LANE_SIZE, LANE_START, LongCall, call_flag, data_kind, lane,
        },
        state::{LOST_RECORDER, Process, container_flag, shape as kind},
    },
    offsets as at,
};

use crate::programs::{
    kernel::{
        Ptr, copy_kernel, copy_user, copy_user_str, current, has, load, member, pointer, read,
    },
    maps::{CALLS, NO_CALLS, TASK_SCRATCH, TRACKED, setting, shape},
    path::{LIMIT, Names, file_of, walk},
    record::{self, Ring, lost, now, scratch, send},
};

use super::Ended;

/// A call is put together here.
#[repr(C)]
pub struct Draft {
    long: LongCall,
    path: [u8; PATH_MAX],
    names: Names,
}

impl Draft {
    #[inline(always)]
    pub fn call(&mut self) -> &mut Call {
        &mut self.long.call
    }
}

const ENOENT: i64 = 2;
const ENOTDIR: i64 = 20;
const EAGAIN: i64 = 11;
/// Errors that a rule may blame: EPERM EAGAIN(clone) ENOMEM EACCES EBUSY EEXIST EISDIR ENFILE EMFILE ETXTBSY EFBIG
/// ENOSPC EROFS, below 64; the rest by number.
const DENIED: u64 = 1 << 1
    | 1 << 5
    | 1 << 8
    | 1 << 11
    | 1 << 12
    | 1 << 13
    | 1 << 16
    | 1 << 17
    | 1 << 21
    | 1 << 23
    | 1 << 24
    | 1 << 26
    | 1 << 27
    | 1 << 28
    | 1 << 30
    | 1 << 36
    | 1 << 40;
const ELIBBAD: i64 = 80;
const ELIBACC: i64 = 79;
const EDQUOT: i64 = 122;

/// Keeps one failed call.
#[inline(never)]
pub fn keep(tgid: u32, process: &mut Process, ended: &Ended) -> u32 {
    let Some(draft) = scratch::<Draft>(&TASK_SCRATCH) else { return 0 };
    begin(draft, process, ended, (-ended.ret) as i32);
    let call = &mut draft.long.call;
    let data = call.data.as_mut_ptr();
    let mut path = 0;
    let shape = shape(ended.nr) & !kind::SUCCESS;
    let in_lane = lane_of(-ended.ret, shape);
    match shape {
        kind::PATH0 | kind::PATH1 | kind::PATH2 => {
            let address = match shape {
                kind::PATH0 => ended.args[0],
                kind::PATH1 => ended.args[1],
                _ => ended.args[2],
            };
            if let Some(size) = copy_user_str(data, DATA as u32, address) {
                call.data_kind = data_kind::PATH;
                call.data_size = size as u16;
                if size as usize == DATA - 1 {
                    call.flags |= call_flag::TRUNCATED;
                    path = address;
                }
            }
        }
        kind::FD0 | kind::FD2 | kind::FD4 => {
            let fd = match shape {
                kind::FD0 => ended.args[0],
                kind::FD2 => ended.args[2],
                _ => ended.args[4],
            };
            // Only errors that a rule may blame are worth the walk.
            if in_lane == lane::DENIED {
                let file = file_of(current(), fd);
                if !file.is_null() {
                    walk(&raw mut draft.names, member(file, at::FILE_PATH));
                    copy_kernel(data, DATA as u32, draft.names.bytes.as_ptr());
                    let size = draft.names.size();
                    call.data_kind = data_kind::COMPONENTS;
                    call.data_size = size.min(DATA as u32) as u16;
                    if draft.names.cut() || size > DATA as u32 {
                        call.flags |= call_flag::TRUNCATED;
                    }
                }
            }
        }
        kind::ADDRESS => {
            let size = (ended.args[2] & 0xff).min(128) as u32;
            if copy_user(data, size, ended.args[1]) {
                call.data_kind = data_kind::ADDRESS;
                call.data_size = size as u16;
            }
            call.socket = super::socket::kind_of(ended.args[0]);
        }
        _ => {}
    }
    if ended.ret == -EAGAIN {
        // Only a fork's is kept.
        if let Some((count, max)) = full_pids_cgroup() {
            call.data[..8].copy_from_slice(&count.to_ne_bytes());
            call.data[8..16].copy_from_slice(&max.to_ne_bytes());
            call.data_kind = data_kind::PIDS;
            call.data_size = 16;
        }
    }
    let truncated = call.flags & call_flag::TRUNCATED != 0;
    commit(tgid, process, draft, in_lane);
    if truncated {
        send_long(process, draft, path);
    }
    0
}

/// Sends a call with its whole path: from user memory, or the names that were walked where `address` is 0.
#[inline(never)]
fn send_long(process: &Process, draft: &mut Draft, address: u64) -> u32 {
    let size = if address != 0 {
        copy_user_str(draft.path.as_mut_ptr(), PATH_MAX as u32, address).unwrap_or(0)
    } else {
        copy_kernel(draft.path.as_mut_ptr(), LIMIT as u32, draft.names.bytes.as_ptr());
        draft.names.size()
    };
    let cut = if address != 0 { size == PATH_MAX as u32 - 1 } else { draft.names.cut() };
    if size >= PATH_MAX as u32 {
        return 0;
    }
    draft.long.path_size = size;
    draft.long.path_cut = u32::from(cut);
    let total = size_of::<LongCall>() as u32 + size;
    let (cgroup, flags) = (process.cgroup, process.flags);
    record::begin(&mut draft.long.header, Kind::LongCall, total, cgroup, current(), flags);
    send(Ring::Events, Kind::LongCall, cgroup, (&raw const *draft).cast(), total, false);
    0
}

/// Levels of the pids hierarchy that are looked at.
const PIDS_LEVELS: usize = 10;

/// What the nearest full pids cgroup above the current task holds and allows (kernel/cgroup/pids.c). The refused
/// fork is uncharged again by now, so that a full one is at its limit.
#[inline(always)]
fn full_pids_cgroup() -> Option<(u64, u64)> {
    let subsystem = setting!(pids_subsystem);
    if subsystem == u32::MAX || !has(at::PIDS_COUNTER) || !has(at::PIDS_LIMIT) {
        return None;
    }
    let set = pointer(current(), at::TASK_CGROUPS);
    let mut css =
        load::<u64>(member(set, at::CSS_SET_SUBSYS).wrapping_add(subsystem as usize * 8)) as Ptr;
    for _ in 0..PIDS_LEVELS {
        if css.is_null() {
            return None;
        }
        // `css` is the first member of struct pids_cgroup.
        let (count, max) = (read::<u64>(css, at::PIDS_COUNTER), read::<u64>(css, at::PIDS_LIMIT));
        if count >= max && max > 0 {
            return Some((count, max));
        }
        css = pointer(css, at::CSS_PARENT);
    }
    None
}

/// Starts a draft.
#[inline(always)]
pub fn begin(draft: &mut Draft, process: &mut Process, ended: &Ended, errno: i32) {
    process.failed = process.failed.wrapping_add(1);
    let call = draft.call();
    call.time_ns = now();
    call.seq = process.failed;
    call.tid = bpf_get_current_pid_tgid() as u32;
    call.number = ended.nr as u32;
    call.errno = errno;
    call.args = ended.args;
    call.data_kind = data_kind::NONE;
    call.flags = 0;
    call.data_size = 0;
    call.socket = 0;
}

#[inline(always)]
fn lane_of(errno: i64, shape: u8) -> usize {
    if shape == kind::ADDRESS {
        return lane::NET;
    }
    if errno == ENOENT || errno == ENOTDIR {
        return lane::LOOKUP;
    }
    let denied = (errno < 64 && DENIED & (1 << (errno & 63)) != 0)
        || errno == ELIBBAD
        || errno == ELIBACC
        || errno == EDQUOT;
    if denied { lane::DENIED } else { lane::OTHER }
}

/// Writes a draft into its slot, making the recorder at the first one.
#[inline(always)]
pub fn commit(tgid: u32, process: &mut Process, draft: &Draft, in_lane: usize) {
    let Some(calls) = recorder(tgid, process.cgroup) else { return };
    // SAFETY: a map value; two threads of a process may take one slot, then the later call stays.
    let calls = unsafe { &mut *calls };
    calls.seen = process.failed;
    if in_lane >= 4 {
        return;
    }
    let turn = calls.next[in_lane];
    calls.next[in_lane] = turn.wrapping_add(1);
    let slot = LANE_START[in_lane] + (turn as usize % LANE_SIZE[in_lane]);
    if slot >= calls.calls.len() {
        return;
    }
    copy_kernel(
        (&raw mut calls.calls[slot]).cast(),
        size_of::<Call>() as u32,
        (&raw const draft.long.call).cast(),
    );
}

#[inline(always)]
fn recorder(tgid: u32, cgroup: u64) -> Option<*mut Calls> {
    if let Some(calls) = CALLS.get_ptr_mut(&tgid) {
        return Some(calls);
    }
    let container = TRACKED.get_ptr_mut(&cgroup);
    if let Some(container) = container {
        // SAFETY: a map value; counted loosely.
        let container = unsafe { &mut *container };
        if container.flags & container_flag::UNWANTED != 0 {
            return None;
        }
        if container.recorders >= setting!(recorders_budget) {
            lost(cgroup, LOST_RECORDER);
            return None;
        }
        container.recorders += 1;
    }
    let empty = NO_CALLS.get(0)?;
    if CALLS.insert(&tgid, empty, 1 /* BPF_NOEXIST */).is_err() && CALLS.get_ptr(&tgid).is_none() {
        lost(cgroup, LOST_RECORDER);
        return None;
    }
    CALLS.get_ptr_mut(&tgid)
}
