//! Keeps failed calls in the flight recorder of their process, in place.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use tracer_ebpf::{
    abi::{
        exec::PATH_MAX,
        header::{Kind, task_flag},
        recorder::{
            Call, Calls, DATA, LANE_SIZE, LANE_START, LOOKED_SLOTS, LongCall, More, SLOTS,
            call_flag, data_kind, lane,
        },
        state::{LOST_RECORDER, Process, container_flag, shape as kind},
    },
    errno::Errno,
    offsets as at,
};

use crate::programs::{
    kernel::{copy_kernel, copy_user, copy_user_str, css, current, has, member, pointer, read},
    maps::{CALLS, NO_CALLS, TASK_SCRATCH, setting, shape},
    path::{LIMIT, Names, file_of, walk},
    record::{self, Ring, counted, lost, now, scratch, send},
    share,
    track::container,
};

use super::{Ended, data, endpoint, likeness};

/// A call is put together here.
#[repr(C)]
pub struct Draft {
    long: LongCall,
    path: [u8; PATH_MAX],
    names: Names,
    key: u64,
    more: More,
}

impl Draft {
    #[inline(always)]
    pub fn call(&mut self) -> &mut Call {
        &mut self.long.call
    }

    #[inline(always)]
    pub fn set_key(&mut self, key: u64) {
        self.key = key;
    }
}

/// Errors that a rule may blame, one bit each, below 64 and from 64 on.
const DENIED: [u64; 2] = bits(&[
    Errno::EPERM,
    Errno::EIO,
    Errno::ENXIO,
    Errno::E2BIG,
    Errno::EAGAIN,
    Errno::ENOMEM,
    Errno::EACCES,
    Errno::EBUSY,
    Errno::EEXIST,
    Errno::EXDEV,
    Errno::EISDIR,
    Errno::ENFILE,
    Errno::EMFILE,
    Errno::ETXTBSY,
    Errno::EFBIG,
    Errno::ENOSPC,
    Errno::EROFS,
    Errno::ENAMETOOLONG,
    Errno::ENOSYS,
    Errno::ELOOP,
    Errno::ELIBACC,
    Errno::ELIBBAD,
    Errno::EAFNOSUPPORT,
    Errno::ESTALE,
    Errno::EDQUOT,
]);
/// Of a connection that was there and is gone.
const BROKEN: [u64; 2] = bits(&[
    Errno::EPIPE,
    Errno::ENETUNREACH,
    Errno::ECONNABORTED,
    Errno::ECONNRESET,
    Errno::ETIMEDOUT,
    Errno::EHOSTUNREACH,
]);
const EAGAIN: i64 = Errno::EAGAIN.0 as i64;

const fn bits(errnos: &[Errno]) -> [u64; 2] {
    let mut bits = [0; 2];
    let mut at = 0;
    while at < errnos.len() {
        let number = errnos[at].0 as usize;
        bits[number / 64] |= 1 << (number % 64);
        at += 1;
    }
    bits
}

#[inline(always)]
fn is_one_of(errno: i64, bits: [u64; 2]) -> bool {
    let half = if errno < 64 { bits[0] } else { bits[1] };
    errno < 128 && half & (1 << (errno & 63)) != 0
}

/// Keeps one failed call.
#[inline(never)]
pub fn keep(tgid: u32, process: &mut Process, ended: &Ended) -> u32 {
    let Some(draft) = scratch::<Draft>(&TASK_SCRATCH) else { return 0 };
    begin(draft, process, ended, (-ended.ret) as i32);
    let bits = shape(ended.nr);
    let shape = bits & kind::KIND;
    let mut in_lane = lane_of(-ended.ret, bits);
    let mut path = 0;
    match shape {
        kind::PATH0 | kind::PATH1 | kind::PATH2 => path = note_path(draft, ended, shape),
        // Only errors that a rule may blame are worth the walk.
        kind::FD0 | kind::FD2 | kind::FD4 if in_lane == lane::DENIED => {
            note_file(draft, ended, shape);
        }
        kind::ADDRESS => note_address(draft, ended),
        _ => {}
    }
    let by_fd = shape == kind::FD0 || shape == kind::NONE;
    let nothing = draft.call().data_kind == data_kind::NONE;
    if by_fd && nothing && is_one_of(-ended.ret, BROKEN) && note_peer(draft, ended) {
        in_lane = lane::NET;
    }
    if ended.ret == -EAGAIN && shape == kind::NONE {
        note_pids(draft.call());
    }
    let truncated = draft.call().flags & call_flag::TRUNCATED != 0;
    commit(tgid, process, draft, in_lane);
    if truncated {
        send_long(process, draft, path);
    }
    0
}

/// Puts the path that a call named into its data. Returns its address where not all of it has room there, else 0.
#[inline(always)]
fn note_path(draft: &mut Draft, ended: &Ended, shape: u8) -> u64 {
    let address = match shape {
        kind::PATH0 => ended.args[0],
        kind::PATH1 => ended.args[1],
        _ => ended.args[2],
    };
    let call = &mut draft.long.call;
    let data = call.data.as_mut_ptr();
    let Some(size) = copy_user_str(data, DATA as u32, address) else { return 0 };
    call.data_kind = data_kind::PATH;
    call.data_size = size as u16;
    draft.key = likeness::name_key(data, size);
    if size as usize != DATA - 1 {
        return 0;
    }
    call.flags |= call_flag::TRUNCATED;
    address
}

/// Puts the path of the file behind a descriptor into a call's data, as its names.
#[inline(always)]
fn note_file(draft: &mut Draft, ended: &Ended, shape: u8) {
    let fd = match shape {
        kind::FD0 => ended.args[0],
        kind::FD2 => ended.args[2],
        _ => ended.args[4],
    };
    let file = file_of(current(), fd);
    if file.is_null() {
        return;
    }
    walk(&raw mut draft.names, member(file, at::FILE_PATH));
    let size = draft.names.size();
    let call = &mut draft.long.call;
    copy_kernel(call.data.as_mut_ptr(), DATA as u32, draft.names.bytes.as_ptr());
    call.data_kind = data_kind::COMPONENTS;
    call.data_size = size.min(DATA as u32) as u16;
    if draft.names.cut() || size > DATA as u32 {
        call.flags |= call_flag::TRUNCATED;
    }
}

/// Puts the socket address that a call named into its data.
#[inline(always)]
fn note_address(draft: &mut Draft, ended: &Ended) {
    let call = &mut draft.long.call;
    let size = (ended.args[2] & 0xff).min(128) as u32;
    if copy_user(call.data.as_mut_ptr(), size, ended.args[1]) {
        call.data_kind = data_kind::ADDRESS;
        call.data_size = size as u16;
    }
    call.socket = endpoint::kind_of(ended.args[0]);
    draft.key = likeness::address_key(call);
}

/// Puts whom a socket is connected to into a call's data. False if the descriptor is no connected socket.
#[inline(always)]
fn note_peer(draft: &mut Draft, ended: &Ended) -> bool {
    let call = &mut draft.long.call;
    if !endpoint::peer(call, ended.args[0]) {
        return false;
    }
    draft.key = likeness::address_key(call);
    true
}

/// Puts what a full pids cgroup holds and allows into a call's data, if there is one.
#[inline(always)]
fn note_pids(call: &mut Call) {
    let Some((count, max)) = full_pids_cgroup() else { return };
    call.data[..8].copy_from_slice(&count.to_ne_bytes());
    call.data[8..16].copy_from_slice(&max.to_ne_bytes());
    call.data_kind = data_kind::PIDS;
    call.data_size = 16;
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
    counted(&mut draft.long.header, size_of::<LongCall>());
    send(Ring::Events, Kind::LongCall, cgroup, (&raw const *draft).cast(), total);
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
    let mut css = css(current(), subsystem);
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
    draft.key = 0;
    let call = draft.call();
    call.time_ns = now();
    call.seq = process.failed;
    call.tid = bpf_get_current_pid_tgid() as u32;
    call.number = ended.nr as u32;
    call.errno = errno;
    call.args = ended.args;
    // What is alike is found by all of it.
    data::clear(&mut call.data);
    call.data_kind = data_kind::NONE;
    call.flags = 0;
    call.data_size = 0;
    call.socket = 0;
}

#[inline(always)]
fn lane_of(errno: i64, shape: u8) -> usize {
    if shape & kind::KIND == kind::ADDRESS {
        return lane::NET;
    }
    if errno == Errno::ENOENT.0 as i64 || errno == Errno::ENOTDIR.0 as i64 {
        return if shape & kind::LOOKS != 0 { lane::LOOKED } else { lane::LOOKUP };
    }
    // FUSE answers so for a file whose server is gone; of a socket it says nothing.
    let gone = errno == Errno::ENOTCONN.0 as i64 && is_path(shape & kind::KIND);
    if gone || is_one_of(errno, DENIED) { lane::DENIED } else { lane::OTHER }
}

#[inline(always)]
fn is_path(shape: u8) -> bool {
    shape == kind::PATH0 || shape == kind::PATH1 || shape == kind::PATH2
}

/// Writes a draft into its slot, making the recorder at the first one: the slot of a call like it, else the one whose
/// call is the oldest.
#[inline(always)]
pub fn commit(tgid: u32, process: &mut Process, draft: &mut Draft, in_lane: usize) {
    let Some(calls) = recorder(tgid, process) else { return };
    // SAFETY: a map value; two threads of a process may take one slot, then the later call stays.
    let calls = unsafe { &mut *calls };
    calls.seen = process.failed;
    draft.more.key = draft.key;
    draft.more.like = likeness::of(&draft.long.call);
    draft.more.opened = process.opened;
    draft.more.connected = process.connected;
    // A lane is a constant in each arm, so that the verifier knows where it lies.
    let fresh = match in_lane {
        lane::LOOKUP => keep_in::<0, { LANE_SIZE[lane::LOOKUP] }>(calls, draft),
        lane::DENIED => {
            keep_in::<{ LANE_START[lane::DENIED] }, { LANE_SIZE[lane::DENIED] }>(calls, draft)
        }
        lane::NET => keep_in::<{ LANE_START[lane::NET] }, { LANE_SIZE[lane::NET] }>(calls, draft),
        lane::OTHER => {
            keep_in::<{ LANE_START[lane::OTHER] }, { LANE_SIZE[lane::OTHER] }>(calls, draft)
        }
        _ => keep_in::<SLOTS, LOOKED_SLOTS>(calls, draft),
    };
    if fresh == 0 {
        return;
    }
    if in_lane < calls.next.len() {
        calls.next[in_lane] = calls.next[in_lane].wrapping_add(1);
    } else if (calls.looked_used as usize) < LOOKED_SLOTS {
        calls.looked_used += 1;
    }
}

/// Writes a draft into the lane of `SIZE` slots from `START` on. 0 if a call like it was there.
#[inline(never)]
fn keep_in<const START: usize, const SIZE: usize>(calls: &mut Calls, draft: &mut Draft) -> u32 {
    let slots: *mut [Call; SIZE] = if START < SLOTS {
        (&raw mut calls.calls).cast::<Call>().wrapping_add(START).cast()
    } else {
        (&raw mut calls.looked).cast()
    };
    let more: *mut [More; SIZE] = (&raw mut calls.more).cast::<More>().wrapping_add(START).cast();
    // SAFETY: SIZE slots lie there, and as many of `more`.
    let (slots, more) = unsafe { (&mut *slots, &mut *more) };
    let like = draft.more.like;
    let mut oldest = u32::MAX;
    let mut place = SIZE;
    let mut fresh = 1;
    for index in 0..SIZE {
        let seq = slots[index].seq;
        if seq != 0 && more[index].like == like && slots[index].number == draft.long.call.number {
            place = index;
            fresh = 0;
            break;
        }
        if seq < oldest {
            oldest = seq;
            place = index;
        }
    }
    if place >= SIZE {
        return 0;
    }
    let (slot, held) = (&mut slots[place], &mut more[place]);
    if fresh == 0 {
        draft.more.repeats = held.repeats.wrapping_add(1);
        draft.more.first_ns = held.first_ns;
    } else {
        draft.more.repeats = 0;
        draft.more.first_ns = draft.long.call.time_ns;
    }
    *held = draft.more;
    data::copy(slot, &draft.long.call);
    fresh
}

/// Marks failures of the same name as made good: it was opened.
#[inline(never)]
pub fn made_good(tgid: u32, process: &mut Process, address: u64) -> u32 {
    process.opened = process.opened.wrapping_add(1);
    let Some(calls) = CALLS.get_ptr_mut(&tgid) else { return 0 };
    // SAFETY: as above.
    let calls = unsafe { &mut *calls };
    let Some(draft) = scratch::<Draft>(&TASK_SCRATCH) else { return 0 };
    let Some(size) = copy_user_str(draft.path.as_mut_ptr(), PATH_MAX as u32, address) else {
        return 0;
    };
    let key = likeness::name_key(draft.path.as_ptr(), size);
    if key == 0 {
        return 0;
    }
    // LOOKUP and DENIED lie one behind the other.
    for index in 0..LANE_START[lane::NET] {
        if calls.more[index].key == key {
            calls.calls[index].flags |= call_flag::MADE_GOOD;
        }
    }
    for index in 0..LOOKED_SLOTS {
        if calls.more[SLOTS + index].key == key {
            calls.looked[index].flags |= call_flag::MADE_GOOD;
        }
    }
    0
}

/// Marks failed connects to an address as made good: it was reached. Those to another address at its port are marked
/// as such.
#[inline(never)]
pub fn reached(tgid: u32, process: &mut Process, key: u64) -> u32 {
    process.connected = process.connected.wrapping_add(1);
    let Some(calls) = CALLS.get_ptr_mut(&tgid) else { return 0 };
    // SAFETY: as above.
    let calls = unsafe { &mut *calls };
    if key == 0 {
        return 0;
    }
    for offset in 0..LANE_SIZE[lane::NET] {
        let index = LANE_START[lane::NET] + offset;
        let held = calls.more[index].key;
        if held == key {
            calls.calls[index].flags |= call_flag::MADE_GOOD;
        } else if held != 0 && likeness::port_of(held) == likeness::port_of(key) {
            calls.calls[index].flags |= call_flag::SAME_PORT_LATER;
        }
    }
    0
}

/// The recorder of a process, made at its first use.
#[inline(always)]
pub fn recorder(tgid: u32, process: &Process) -> Option<*mut Calls> {
    if let Some(calls) = CALLS.get_ptr_mut(&tgid) {
        return Some(calls);
    }
    let cgroup = process.cgroup;
    let held = container(cgroup);
    if let Some(container) = &held {
        if container.flags & container_flag::UNWANTED != 0 {
            return None;
        }
        let is_main = process.flags & task_flag::ROOT != 0;
        if !share::has_room(share::CALLS, container.recorders, is_main) {
            lost(cgroup, LOST_RECORDER);
            return None;
        }
    }
    let empty = NO_CALLS.get(0)?;
    if CALLS.insert(&tgid, empty, 1 /* BPF_NOEXIST */).is_ok() {
        share::count(share::CALLS, held.map(|it| &mut it.recorders), 1);
    }
    let made = CALLS.get_ptr_mut(&tgid);
    if made.is_none() {
        lost(cgroup, LOST_RECORDER);
    }
    made
}
