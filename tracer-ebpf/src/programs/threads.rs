//! What the threads of a process are doing when it is told to end.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use tracer_ebpf::{
    abi::{
        header::{Kind, task_flag},
        signal::{THREADS_MAX, Thread, Threads},
    },
    offsets as at,
};

use super::{
    kernel::{Ptr, current, load, member, offset, pointer, read},
    maps::SIGNAL_SCRATCH,
    record::{Ring, begin, counted, scratch, send},
};

#[repr(C)]
struct Buffer {
    record: Threads,
    threads: [Thread; THREADS_MAX],
    regs: u64,
}

/// Notes state and system call of up to 64 threads.
#[inline(never)]
pub fn note(task: Ptr, cgroup: u64, flags: u32) -> u32 {
    let Some(buffer) = scratch::<Buffer>(&SIGNAL_SCRATCH) else { return 0 };
    let signal = pointer(task, at::TASK_SIGNAL);
    let head = member(signal, at::SIGNAL_THREAD_HEAD);
    let node_offset = offset(at::TASK_THREAD_NODE);
    let regs_offset = regs_offset(&mut buffer.regs);
    let mut node = load::<u64>(head) as Ptr;
    let mut count = 0u32;
    for index in 0..THREADS_MAX {
        if node.is_null() || node == head {
            break;
        }
        let thread = node.wrapping_sub(node_offset);
        let out = &mut buffer.threads[index];
        out.tid = read(thread, at::TASK_PID);
        out.state = read(thread, at::TASK_STATE);
        let regs = pointer(thread, at::TASK_STACK).wrapping_add(regs_offset);
        out.syscall = read::<u64>(regs, at::REGS_NR) as i32;
        out._pad = 0;
        count += 1;
        // list_head.next is its first member.
        node = load::<u64>(node) as Ptr;
    }
    let record = &mut buffer.record;
    record.count = count;
    record.total = read(signal, at::SIGNAL_NR_THREADS);
    let most = (size_of::<Threads>() + THREADS_MAX * size_of::<Thread>()) as u32;
    let size = (size_of::<Threads>() as u32 + count * size_of::<Thread>() as u32).min(most);
    begin(&mut record.header, Kind::Threads, size, cgroup, task, flags);
    counted(&mut record.header, size_of::<Threads>());
    let ring = if flags & task_flag::ROOT != 0 { Ring::Deaths } else { Ring::Spare };
    send(ring, Kind::Threads, cgroup, (&raw const *buffer).cast(), size);
    0
}

/// Where the saved user registers lie on a kernel stack: found from the current task, since the stack's size
/// (THREAD_SIZE) depends on the kernel's configuration.
///
/// The verifier forbids to subtract from the pointer that bpf_task_pt_regs gives; through `number`, in a map
/// value, it becomes a number.
#[inline(always)]
fn regs_offset(number: &mut u64) -> usize {
    // SAFETY: the current task is always valid, and so is the reference.
    let regs = unsafe {
        core::ptr::write_volatile(number, bpf_task_pt_regs(bpf_get_current_task_btf()) as u64);
        core::ptr::read_volatile(number)
    };
    (regs as usize).wrapping_sub(pointer(current(), at::TASK_STACK) as usize)
}
