//! sched_process_exit (struct task_struct *p; since 6.17 also bool group_dead): include/trace/events/sched.h.
//! Reported once a process: by its last thread.

use core::mem::offset_of;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    abi::{
        exit::Exit,
        header::{Kind, task_flag},
        recorder::Calls,
    },
    offsets as at,
};

use super::{
    kernel::{Ptr, copy_kernel, has, load, member, pointer, read, tgid_of},
    maps::{CALLS, TASK_SCRATCH},
    oom, path,
    record::{Ring, begin, counted, scratch, send},
    said,
    track::{forget, process, release},
};

#[repr(C)]
struct Buffer {
    record: Exit,
    cwd: [u8; path::LIMIT],
    names: path::Names,
}

/// SIGNAL_GROUP_EXIT (include/linux/sched/signal.h): group_exit_code holds the status.
const SIGNAL_GROUP_EXIT: u32 = 4;
/// Indexes of `signal_struct.rlim` (asm-generic/resource.h) and the size of one `struct rlimit`.
const RLIMIT_CPU: usize = 0;
const RLIMIT_FSIZE: usize = 1;
const RLIMIT_DATA: usize = 2;
const RLIMIT_STACK: usize = 3;
const RLIMIT_CORE: usize = 4;
const RLIMIT_NPROC: usize = 6;
const RLIMIT_NOFILE: usize = 7;
const RLIMIT_MEMLOCK: usize = 8;
const RLIMIT_AS: usize = 9;
const RLIMIT: usize = 16;

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
    let (cgroup, flags) = (process.cgroup, process.flags);
    let (written, failed, forks, recorded) =
        (process.written, process.failed, process.forks, process.recorder);
    let (dns_ns, streams) = (process.dns_ns, process.streams);
    let (opened, connected) = (process.opened, process.connected);
    if !release(tgid, flags, dns_ns) {
        return 0;
    }
    let leader = pointer(task, at::TASK_LEADER);
    let group_exit = read::<u32>(signal, at::SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0;
    let status: u32 = if group_exit {
        read(signal, at::SIGNAL_GROUP_EXIT_CODE)
    } else {
        read(leader, at::TASK_EXIT_CODE)
    };
    let root = flags & task_flag::ROOT != 0;
    let ring = match (root, status == 0) {
        (true, _) => Ring::Deaths,
        (false, false) => Ring::Spare,
        (false, true) => Ring::Backlog,
    };
    if root || status != 0 {
        // Probes end well, too, and often.
        let ring = if status == 0 { Ring::Spare } else { ring };
        flush(tgid, task, cgroup, flags, &Flushed { ring, opened, connected });
        said::flush(tgid, task, cgroup, flags, ring);
    }
    forget(tgid, cgroup, streams);

    // The scratch is free again: what is flushed is put together there, too.
    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return 0 };
    let record = &mut buffer.record;
    record.status = status;
    record.rlimit_nofile = rlimit(signal, RLIMIT_NOFILE);
    record.rlimit_nproc = rlimit(signal, RLIMIT_NPROC);
    record.rlimit_as = rlimit(signal, RLIMIT_AS);
    record.rlimit_core = rlimit(signal, RLIMIT_CORE);
    record.max_rss_pages = max_rss(task, signal);
    record.written = written;
    record.failed_calls = failed;
    record.forks = forks;
    record.cap_effective = read(pointer(task, at::TASK_CRED), at::CRED_CAP);
    record.recorder = recorded;
    // Threads that are gone have added their time to the signal struct's.
    (record.memory_peak_pages, record.memory_limit_pages) = oom::own_limit(task);
    record.rlimit_memlock = rlimit(signal, RLIMIT_MEMLOCK);
    record.rlimit_fsize = rlimit(signal, RLIMIT_FSIZE);
    record.rlimit_cpu = rlimit(signal, RLIMIT_CPU);
    record.rlimit_stack = rlimit(signal, RLIMIT_STACK);
    record.rlimit_data = rlimit(signal, RLIMIT_DATA);
    record.cap_bounding = read(pointer(task, at::TASK_CRED), at::CRED_BOUNDING);
    record.user_time_ns = time(task, at::TASK_UTIME) + time(signal, at::SIGNAL_UTIME);
    record.system_time_ns = time(task, at::TASK_STIME) + time(signal, at::SIGNAL_STIME);
    let fs = pointer(task, at::TASK_FS);
    path::walk(&raw mut buffer.names, member(fs, at::FS_PWD));
    let cwd_size = buffer.names.size();
    copy_kernel(buffer.cwd.as_mut_ptr(), path::LIMIT as u32, buffer.names.bytes.as_ptr());
    buffer.record.cwd_size = cwd_size;
    buffer.record.cwd_cut = u32::from(buffer.names.cut());

    let size = size_of::<Exit>() as u32 + cwd_size;
    begin(&mut buffer.record.header, Kind::Exit, size, cgroup, task, flags);
    counted(&mut buffer.record.header, size_of::<Exit>());
    send(ring, Kind::Exit, cgroup, (&raw const *buffer).cast(), size, root);
    0
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
    highest.max(oom::resident(mm))
}

/// Where the recorder goes, and what is added to it.
struct Flushed {
    ring: Ring,
    opened: u32,
    connected: u32,
}

/// Sends the process's recorder, as far as it was used.
#[inline(always)]
fn flush(tgid: u32, task: Ptr, cgroup: u64, flags: u32, flushed: &Flushed) {
    let &Flushed { ring, opened, connected } = flushed;
    let Some(calls) = CALLS.get_ptr_mut(&tgid) else { return };
    // SAFETY: a map value of this process, which is ending.
    let calls = unsafe { &mut *calls };
    calls.opened = opened;
    calls.connected = connected;
    let size = if calls.lookups_used != 0 {
        size_of::<Calls>()
    } else if calls.looked_used != 0 {
        offset_of!(Calls, lookups)
    } else {
        offset_of!(Calls, looked)
    } as u32;
    begin(&mut calls.header, Kind::Calls, size, cgroup, task, flags);
    send(ring, Kind::Calls, cgroup, (&raw const *calls).cast(), size, ring == Ring::Deaths);
}

/// A soft limit of the process.
#[inline(always)]
pub fn rlimit(signal: Ptr, index: usize) -> u64 {
    load(member(signal, at::SIGNAL_RLIM).wrapping_add(index * RLIMIT))
}

/// `RLIMIT_NOFILE` of the process.
#[inline(always)]
pub fn open_files_limit(signal: Ptr) -> u64 {
    rlimit(signal, RLIMIT_NOFILE)
}

#[inline(always)]
fn time(base: Ptr, index: usize) -> u64 {
    if has(index) { read(base, index) } else { 0 }
}
