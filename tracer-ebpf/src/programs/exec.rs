//! match-proto: void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm): include/trace/events/sched.h.
//! Failed calls are seen by the syscall hook.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    abi::{
        exec::{ARGS_MAX, Exec, ExecFailed, PATH_MAX},
        header::{Kind, task_flag},
        state::Process,
    },
    offsets as at,
};

use super::{
    container::unwanted,
    counter::curious,
    forget::{forget, let_go},
    kernel::{
        Ptr, copy_str, copy_user, copy_user_str, current, load_user, mount_ns, net_ns, pointer,
        read, tgid_of,
    },
    maps::TASK_SCRATCH,
    record::{Ring, begin, counted, scratch, send},
    said,
    track::process,
};

#[repr(C)]
struct Buffer {
    record: Exec,
    tail: [u8; PATH_MAX + ARGS_MAX],
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: Ptr = ctx.arg(0);
    let old_tid: u32 = ctx.arg(1);
    let bprm: Ptr = ctx.arg(2);
    let tgid = tgid_of(task);
    let Some(process) = process(tgid) else { return 0 };
    if unwanted(process.cgroup) {
        let_go(tgid, process);
        return 0;
    }
    let flags = process.flags;
    process.execs += 1;

    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return 0 };
    let path_size =
        copy_str(buffer.tail.as_mut_ptr(), PATH_MAX as u32, pointer(bprm, at::BPRM_FILENAME));
    let args = Args::of(task);
    if flags & task_flag::RUNTIME_INIT != 0 && !runs_itself_again(buffer.tail.as_ptr(), args.end) {
        becomes_the_program(tgid, task, process, flags);
    }
    if process.streams != 0 {
        said::note_exec(tgid);
    }
    if path_size > PATH_MAX as u32 {
        return 0;
    }
    let args_size = args.copy(buffer, path_size);
    let record = &mut buffer.record;
    record.old_tid = old_tid;
    record.path_size = path_size;
    record.args_size = args_size;
    record.args_length = args.length();
    note_program(record, task, bprm);
    report(buffer, task, process.cgroup, flags);
    0
}

/// Where a process's arguments lie in its memory.
struct Args {
    start: u64,
    end: u64,
}

impl Args {
    #[inline(always)]
    fn of(task: Ptr) -> Self {
        let mm = pointer(task, at::TASK_MM);
        Self { start: read(mm, at::MM_ARG_START), end: read(mm, at::MM_ARG_END) }
    }

    #[inline(always)]
    fn length(&self) -> u64 {
        self.end.wrapping_sub(self.start)
    }

    /// Copies them behind the path, as many as there is room for; returns their bytes, 0 if they cannot be read.
    #[inline(always)]
    fn copy(&self, buffer: &mut Buffer, path_size: u32) -> u32 {
        let length = self.length();
        let size = if length > ARGS_MAX as u64 { ARGS_MAX as u32 } else { length as u32 };
        // SAFETY: path_size is at most PATH_MAX, and the tail has ARGS_MAX bytes more.
        let to = unsafe { buffer.tail.as_mut_ptr().add(path_size as usize) };
        if copy_user(to, size, self.start) { size } else { 0 }
    }
}

/// A runtime's init becomes the container's program: what the init did and wrote on its way here is not the program's.
#[inline(always)]
fn becomes_the_program(tgid: u32, task: Ptr, process: &mut Process, flags: u32) {
    process.flags &= !task_flag::RUNTIME_INIT;
    curious(-1);
    forget(tgid, process.cgroup, process.streams);
    process.failed = 0;
    process.streams = 0;
    process.written = [0; 2];
    process.opened = 0;
    process.connected = 0;
    if flags & task_flag::ROOT != 0 {
        said::note_stdio(task, process.cgroup);
    }
}

/// The file that is run, and what it may do where.
#[inline(always)]
fn note_program(record: &mut Exec, task: Ptr, bprm: Ptr) {
    record.cap_effective = read(pointer(task, at::TASK_CRED), at::CRED_CAP);
    record.mount_ns = mount_ns(task);
    record.net_ns = net_ns(task);
    let inode = pointer(pointer(bprm, at::BPRM_FILE), at::FILE_INODE);
    record.device = read(pointer(inode, at::INODE_SB), at::SB_DEV);
    record.inode = read(inode, at::INODE_INO);
    record._pad = 0;
    record._pad2 = 0;
}

#[inline(always)]
fn report(buffer: &mut Buffer, task: Ptr, cgroup: u64, flags: u32) {
    let record = &mut buffer.record;
    let tail = record.path_size + record.args_size;
    let size = (size_of::<Exec>() as u32 + tail).min(size_of::<Buffer>() as u32);
    begin(&mut record.header, Kind::Exec, size, cgroup, task, flags);
    counted(&mut record.header, size_of::<Exec>());
    let ring = if flags & task_flag::ROOT != 0 {
        Ring::Deaths
    } else if flags & task_flag::RUNTIME_INIT != 0 {
        Ring::Events
    } else {
        Ring::Backlog
    };
    send(ring, Kind::Exec, cgroup, (&raw const *buffer).cast(), size);
}

/// True if a runtime's init only runs itself again: runc does, as `runc init`, from a copy of its file that no container can
/// write to (libcontainer/nsenter/cloned_binary.c); where it is slow, that is after it came into the cgroup.
#[inline(always)]
fn runs_itself_again(path: *const u8, args_end: u64) -> bool {
    // SAFETY: PATH_MAX bytes are there, whatever is in them.
    let begin = unsafe { path.cast::<u64>().read_unaligned() };
    let from_copy =
        begin == u64::from_ne_bytes(*b"/dev/fd/") || begin == u64::from_ne_bytes(*b"/proc/se");
    let end: u64 = load_user(args_end.wrapping_sub(8));
    from_copy && end.to_le() >> 16 == u64::from_le_bytes(*b"\0init\0\0\0")
}

#[repr(C)]
struct FailedBuffer {
    record: ExecFailed,
    // Each argument may be ARGS_MAX long in the eyes of the verifier.
    tail: [u8; PATH_MAX + 2 * 2048],
}

/// Arguments of a failed exec that are read, and the bytes kept of them.
const FAILED_ARGS: usize = 16;
const FAILED_ARG_MAX: u32 = 1024;
const FAILED_ARGS_MAX: u32 = 2048;

/// Reports an execve or execveat that failed.
///
/// `call`: path, argv, directory descriptor, `AT_*` flags.
#[inline(never)]
pub fn exec_failed(process: &Process, errno: i32, call: &[u64; 4]) -> u32 {
    let (cgroup, flags) = (process.cgroup, process.flags);
    let [path, argv, dirfd, at_flags] = *call;
    let Some(buffer) = scratch::<FailedBuffer>(&TASK_SCRATCH) else { return 0 };
    let tail = buffer.tail.as_mut_ptr();
    let path_size = copy_user_str(tail, PATH_MAX as u32, path).unwrap_or(0);
    if path_size > PATH_MAX as u32 - 1 {
        return 0;
    }
    // SAFETY: as above; at most FAILED_ARGS_MAX + FAILED_ARG_MAX bytes follow.
    let args = unsafe { tail.add(path_size as usize) };
    let mut used = 0u32;
    let mut truncated = 1;
    for index in 0..FAILED_ARGS {
        let argument: u64 = load_user(argv.wrapping_add(index as u64 * 8));
        if argument == 0 {
            truncated = 0;
            break;
        }
        if used >= FAILED_ARGS_MAX - FAILED_ARG_MAX {
            break;
        }
        // SAFETY: `used` is below FAILED_ARGS_MAX - FAILED_ARG_MAX.
        let Some(n) = copy_user_str(unsafe { args.add(used as usize) }, FAILED_ARG_MAX, argument)
        else {
            break;
        };
        used += n + 1;
    }
    let record = &mut buffer.record;
    record.errno = errno;
    record.dirfd = dirfd as i32;
    record.at_flags = at_flags as u32;
    record.path_size = path_size;
    record.args_size = used;
    record.args_truncated = truncated;
    record.path_truncated = u32::from(path_size == PATH_MAX as u32 - 1);
    record._pad = 0;
    let size =
        (size_of::<ExecFailed>() as u32 + path_size + used).min(size_of::<FailedBuffer>() as u32);
    begin(&mut record.header, Kind::ExecFailed, size, cgroup, current(), flags);
    counted(&mut record.header, size_of::<ExecFailed>());
    let ring = if flags & task_flag::ROOT != 0 { Ring::Deaths } else { Ring::Events };
    send(ring, Kind::ExecFailed, cgroup, (&raw const *buffer).cast(), size);
    0
}
