//! match-proto: void sched_process_exit(struct task_struct *p, bool group_dead), before 6.17 void sched_process_exit(struct task_struct *p):
//! include/trace/events/sched.h. Reported once a process: by its last thread.

use core::mem::offset_of;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    abi::{
        exit::Exit,
        header::{Kind, task_flag},
        recorder::Calls,
        state::Process,
    },
    offsets as at,
};

use super::{
    forget::forget,
    kernel::{Ptr, copy_kernel, has, member, pointer, read, tgid_of},
    maps::{CALLS, TASK_SCRATCH},
    memory, path,
    record::{Ring, begin, counted, scratch, send},
    rlimit, said,
    track::{process, release},
};

#[repr(C)]
struct Buffer {
    record: Exit,
    cwd: [u8; path::LIMIT],
    names: path::Names,
}

/// SIGNAL_GROUP_EXIT (include/linux/sched/signal.h): group_exit_code holds the status.
const SIGNAL_GROUP_EXIT: u32 = 4;

#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: Ptr = ctx.arg(0);
    let tgid = tgid_of(task);
    let Some(process) = process(tgid) else { return 0 };
    let signal = pointer(task, at::TASK_SIGNAL);
    // do_exit counts `live` down before the tracepoint; two last threads may both see 0, so the removal
    // from the map decides.
    if read::<u32>(signal, at::SIGNAL_LIVE) != 0 {
        return 0;
    }
    // A copy: the removal frees the entry.
    let process = *process;
    if !release(tgid, process.cgroup, process.flags, process.dns_ns) {
        return 0;
    }
    let status = status(task, signal);
    let root = process.flags & task_flag::ROOT != 0;
    let ring = match (root, status == 0) {
        (true, _) => Ring::Vital,
        (false, false) => Ring::Spare,
        (false, true) => Ring::Backlog,
    };
    if root || status != 0 {
        // Probes end well, too, and often.
        let ring = if status == 0 { Ring::Spare } else { ring };
        flush(tgid, task, &process, ring);
        said::flush(tgid, task, process.cgroup, process.flags, ring);
    }
    forget(tgid, process.cgroup, process.streams);

    // The scratch is free again: what is flushed is put together there, too.
    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return 0 };
    let record = &mut buffer.record;
    record.status = status;
    note_limits(record, signal);
    note_use(record, task, signal);
    note_process(record, &process);
    let cred = pointer(task, at::TASK_CRED);
    record.cap_effective = read(cred, at::CRED_CAP);
    record.cap_bounding = read(cred, at::CRED_BOUNDING);
    let size = size_of::<Exit>() as u32 + note_cwd(buffer, task);
    begin(&mut buffer.record.header, Kind::Exit, size, process.cgroup, task, process.flags);
    counted(&mut buffer.record.header, size_of::<Exit>());
    send(ring, Kind::Exit, process.cgroup, (&raw const *buffer).cast(), size);
    0
}

/// The status that wait(2) gives: the group's, where all threads ended by one call or signal.
#[inline(always)]
fn status(task: Ptr, signal: Ptr) -> u32 {
    if read::<u32>(signal, at::SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
        read(signal, at::SIGNAL_GROUP_EXIT_CODE)
    } else {
        read(pointer(task, at::TASK_LEADER), at::TASK_EXIT_CODE)
    }
}

#[inline(always)]
fn note_limits(record: &mut Exit, signal: Ptr) {
    record.rlimit_nofile = rlimit::soft(signal, rlimit::NOFILE);
    record.rlimit_nproc = rlimit::soft(signal, rlimit::NPROC);
    record.rlimit_as = rlimit::soft(signal, rlimit::AS);
    record.rlimit_core = rlimit::soft(signal, rlimit::CORE);
    record.rlimit_memlock = rlimit::soft(signal, rlimit::MEMLOCK);
    record.rlimit_fsize = rlimit::soft(signal, rlimit::FSIZE);
    record.rlimit_cpu = rlimit::soft(signal, rlimit::CPU);
    record.rlimit_stack = rlimit::soft(signal, rlimit::STACK);
    record.rlimit_data = rlimit::soft(signal, rlimit::DATA);
}

/// Memory and time that the process used. Threads that are gone have added their time to the signal struct's.
#[inline(always)]
fn note_use(record: &mut Exit, task: Ptr, signal: Ptr) {
    record.max_rss_pages = max_rss(task, signal);
    (record.memory_peak_pages, record.memory_limit_pages) = memory::own_limit(task);
    record.user_time_ns = time(task, at::TASK_UTIME) + time(signal, at::SIGNAL_UTIME);
    record.system_time_ns = time(task, at::TASK_STIME) + time(signal, at::SIGNAL_STIME);
}

/// What was counted while the process lived.
#[inline(always)]
fn note_process(record: &mut Exit, process: &Process) {
    record.written = process.written;
    record.failed_calls = process.failed;
    record.forks = process.forks;
    record.recorder = process.recorder;
}

/// Copies the working directory behind the record, as its names; returns their bytes.
#[inline(always)]
fn note_cwd(buffer: &mut Buffer, task: Ptr) -> u32 {
    let fs = pointer(task, at::TASK_FS);
    path::walk(&raw mut buffer.names, member(fs, at::FS_PWD));
    let size = buffer.names.size();
    copy_kernel(buffer.cwd.as_mut_ptr(), path::LIMIT as u32, buffer.names.bytes.as_ptr());
    buffer.record.cwd_size = size;
    buffer.record.cwd_cut = u32::from(buffer.names.cut());
    size
}

/// Highest resident size in pages: of the program that ends, where its memory is still there (6.17 and later),
/// else `signal->maxrss`, which counts what the process was before exec too.
#[inline(always)]
fn max_rss(task: Ptr, signal: Ptr) -> u64 {
    let mm = pointer(task, at::TASK_MM);
    if mm.is_null() {
        return read(signal, at::SIGNAL_MAXRSS);
    }
    let highest: u64 = read(mm, at::MM_HIWATER);
    highest.max(memory::resident(mm))
}

/// Sends the process's recorder, as far as it was used.
#[inline(always)]
fn flush(tgid: u32, task: Ptr, process: &Process, ring: Ring) {
    let Some(calls) = CALLS.get_ptr_mut(&tgid) else { return };
    // SAFETY: a map value of this process, which is ending.
    let calls = unsafe { &mut *calls };
    calls.opened = process.opened;
    calls.connected = process.connected;
    let size = if calls.lookups_used != 0 {
        size_of::<Calls>()
    } else if calls.looked_used != 0 {
        offset_of!(Calls, lookups)
    } else {
        offset_of!(Calls, looked)
    } as u32;
    begin(&mut calls.header, Kind::Calls, size, process.cgroup, task, process.flags);
    send(ring, Kind::Calls, process.cgroup, (&raw const *calls).cast(), size);
}

#[inline(always)]
fn time(base: Ptr, index: usize) -> u64 {
    if has(index) { read(base, index) } else { 0 }
}
