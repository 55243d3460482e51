//! sched_process_exit (struct task_struct *p; since 6.17 also bool group_dead): include/trace/events/sched.h.
//! Reported once a process: by its last thread.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    abi::{
        exit::Exit,
        header::{Kind, task_flag},
    },
    offsets as at,
};

use super::{
    kernel::{Ptr, copy_kernel, has, load, member, pointer, read, tgid_of},
    maps::{CALLS, TASK_SCRATCH, WORDS},
    oom, path,
    record::{Ring, begin, scratch, send},
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
const RLIMIT_CORE: usize = 4;
const RLIMIT_NPROC: usize = 6;
const RLIMIT_NOFILE: usize = 7;
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
    let dns_fd = process.dns_fd;
    if !release(tgid, flags, dns_fd) {
        return 0;
    }
    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return 0 };
    let record = &mut buffer.record;
    let leader = pointer(task, at::TASK_LEADER);
    let group_exit = read::<u32>(signal, at::SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0;
    record.status = if group_exit {
        read(signal, at::SIGNAL_GROUP_EXIT_CODE)
    } else {
        read(leader, at::TASK_EXIT_CODE)
    };
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
    record.user_time_ns = time(task, at::TASK_UTIME) + time(signal, at::SIGNAL_UTIME);
    record.system_time_ns = time(task, at::TASK_STIME) + time(signal, at::SIGNAL_STIME);
    let fs = pointer(task, at::TASK_FS);
    path::walk(&raw mut buffer.names, member(fs, at::FS_PWD));
    let cwd_size = buffer.names.size();
    copy_kernel(buffer.cwd.as_mut_ptr(), path::LIMIT as u32, buffer.names.bytes.as_ptr());
    buffer.record.cwd_size = cwd_size;
    buffer.record.cwd_cut = u32::from(buffer.names.cut());

    let ended_well = buffer.record.status == 0;
    let root = flags & task_flag::ROOT != 0;
    let ring = match (root, ended_well) {
        (true, _) => Ring::Deaths,
        (false, false) => Ring::Spare,
        (false, true) => Ring::Backlog,
    };
    if root || !ended_well {
        // Probes end well, too, and often.
        flush(tgid, task, cgroup, flags, if ended_well { Ring::Spare } else { ring });
    }
    forget(tgid, cgroup);
    let size = size_of::<Exit>() as u32 + cwd_size;
    begin(&mut buffer.record.header, Kind::Exit, size, cgroup, task, flags);
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

/// Sends the process's recorder and last words.
#[inline(always)]
fn flush(tgid: u32, task: Ptr, cgroup: u64, flags: u32, ring: Ring) {
    let vital = ring == Ring::Deaths;
    if let Some(calls) = CALLS.get_ptr_mut(&tgid) {
        let size = size_of::<tracer_ebpf::abi::recorder::Calls>() as u32;
        // SAFETY: a map value of this process, which is ending.
        begin(unsafe { &mut (*calls).header }, Kind::Calls, size, cgroup, task, flags);
        send(ring, Kind::Calls, cgroup, calls.cast(), size, vital);
    }
    if let Some(words) = WORDS.get_ptr_mut(&tgid) {
        let size = size_of::<tracer_ebpf::abi::words::Words>() as u32;
        // SAFETY: as above.
        begin(unsafe { &mut (*words).header }, Kind::Words, size, cgroup, task, flags);
        send(ring, Kind::Words, cgroup, words.cast(), size, vital);
    }
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
