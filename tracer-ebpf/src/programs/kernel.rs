//! Reads kernel structures by the offsets that user space resolved.

use aya_ebpf::helpers::{bpf_get_current_task, generated};
use tracer_ebpf::{
    abi::header::{Task, task_flag},
    offsets::{self as at, MISSING},
};

use super::maps::{OFFSETS, setting};

/// An address in the kernel.
pub type Ptr = *const u8;

/// Size of `struct upid` (include/linux/pid.h): an int, padding, a pointer.
const UPID: usize = 16;
/// Levels of pid namespaces at which the agent is looked for: a node that is itself a container (kind) is at 1 or 2. An
/// agent cannot know its own level.
const AGENT_LEVELS: u32 = 4;
/// PF_KTHREAD (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// The offset of a member, a known constant to the verifier.
#[inline(always)]
pub fn offset(index: usize) -> usize {
    // SAFETY: indexes are constants below COUNT.
    unsafe { core::ptr::read_volatile((&raw const OFFSETS).cast::<u32>().add(index)) as usize }
}

/// True if this kernel has the member.
#[inline(always)]
pub fn has(index: usize) -> bool {
    offset(index) != MISSING as usize
}

/// The address of a member.
#[inline(always)]
pub fn member(base: Ptr, index: usize) -> Ptr {
    base.wrapping_add(offset(index))
}

/// Reads at an address; zero where it cannot be read. Without a branch: the helper zeroes what it cannot read
/// (kernel/trace/bpf_trace.c, bpf_probe_read_kernel_common), and each branch would double the verifier's work.
#[inline(always)]
pub fn load<T: Copy + Default>(address: Ptr) -> T {
    let mut value = T::default();
    // SAFETY: `value` is as large as what is read; the helper checks the address.
    unsafe {
        generated::bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            address.cast(),
        );
    }
    value
}

/// Reads a member.
#[inline(always)]
pub fn read<T: Copy + Default>(base: Ptr, index: usize) -> T {
    load(member(base, index))
}

/// Reads a member that is a pointer.
#[inline(always)]
pub fn pointer(base: Ptr, index: usize) -> Ptr {
    read::<u64>(base, index) as Ptr
}

#[inline(always)]
pub fn current() -> Ptr {
    // SAFETY: no arguments.
    unsafe { bpf_get_current_task() as Ptr }
}

#[inline(always)]
pub fn tgid_of(task: Ptr) -> u32 {
    read(task, at::TASK_TGID)
}

/// The cgroup of a task in the chosen hierarchy.
#[inline(always)]
pub fn cgroup_of(task: Ptr) -> Ptr {
    let subsystem = setting!(cgroup_subsystem);
    if subsystem == u32::MAX {
        return pointer(pointer(task, at::TASK_CGROUPS), at::CSS_SET_DFL);
    }
    pointer(css(task, subsystem), at::CSS_CGROUP)
}

/// The state that a cgroup subsystem keeps of a task's cgroup: `css_set.subsys[subsystem]` (include/linux/cgroup-defs.h).
#[inline(always)]
pub fn css(task: Ptr, subsystem: u32) -> Ptr {
    let states = member(pointer(task, at::TASK_CGROUPS), at::CSS_SET_SUBSYS);
    load::<u64>(states.wrapping_add(subsystem as usize * size_of::<u64>())) as Ptr
}

/// What a pid is in the pid namespace at a level, which is at most 32 (MAX_PID_NS_LEVEL).
#[inline(always)]
pub fn upid(pid: Ptr, level: u32) -> Ptr {
    member(pid, at::PID_NUMBERS).wrapping_add((level & 31) as usize * UPID)
}

/// The id of a cgroup: the inode of its folder (`kernfs_node.id`; its low half before 5.5).
#[inline(always)]
pub fn cgroup_id(cgroup: Ptr) -> u64 {
    read(pointer(cgroup, at::CGROUP_KN), at::KN_ID)
}

/// The inum of a task's mount namespace.
#[inline(always)]
pub fn mount_ns(task: Ptr) -> u32 {
    read(pointer(pointer(task, at::TASK_NSPROXY), at::NSPROXY_MNT), at::MNTNS_INUM)
}

/// The inum of a task's network namespace.
#[inline(always)]
pub fn net_ns(task: Ptr) -> u32 {
    read(pointer(pointer(task, at::TASK_NSPROXY), at::NSPROXY_NET), at::NET_INUM)
}

/// Describes the process of `task`. Written field by field into a map value: it is too large for the stack.
#[inline(never)]
pub fn describe(out: *mut Task, task: Ptr, flags: u32) -> u32 {
    // SAFETY: callers pass a valid record in a map value.
    let out = unsafe { &mut *out };
    let leader = pointer(task, at::TASK_LEADER);
    out.tgid = tgid_of(task);
    out.tid = read(task, at::TASK_PID);
    out.parent = tgid_of(pointer(task, at::TASK_REAL_PARENT));
    out.start_ns = read(leader, at::TASK_START);
    let cred = pointer(task, at::TASK_CRED);
    out.uid = read(cred, at::CRED_EUID);
    out.gid = read(cred, at::CRED_EGID);
    out.flags = flags;
    if read::<u32>(task, at::TASK_FLAGS) & PF_KTHREAD != 0 {
        out.flags |= task_flag::KERNEL;
    }
    out.cgroup = cgroup_id(cgroup_of(task));
    out.seccomp = if has(at::TASK_SECCOMP) { read(task, at::TASK_SECCOMP) } else { 0 };
    out.comm = load(member(task, at::TASK_COMM));

    let pid = pointer(leader, at::TASK_THREAD_PID);
    let level: u32 = read(pid, at::PID_LEVEL);
    let own = upid(pid, level);
    out.ns_tgid = read(own, at::UPID_NR);
    out.pid_ns = read(pointer(own, at::UPID_NS), at::PIDNS_INUM);
    out.agent_tgid = 0;
    for wanted in 0..AGENT_LEVELS {
        let there = upid(pid, lower(wanted, level));
        let inum: u32 = read(pointer(there, at::UPID_NS), at::PIDNS_INUM);
        out.agent_tgid |=
            read::<u32>(there, at::UPID_NR) & mask_if_equal(inum, setting!(agent_pid_ns));
    }
    0
}

/// The lower of two small numbers; without a branch, since each would double the verifier's work.
#[inline(always)]
fn lower(a: u32, b: u32) -> u32 {
    let difference = b.wrapping_sub(a);
    a.wrapping_add(difference & 0u32.wrapping_sub(difference >> 31))
}

/// All bits where two numbers are equal, none where they differ; without a branch.
#[inline(always)]
fn mask_if_equal(a: u32, b: u32) -> u32 {
    let x = a ^ b;
    ((x | 0u32.wrapping_sub(x)) >> 31).wrapping_sub(1)
}

/// Copies a NUL-terminated kernel string; returns its bytes without the NUL.
#[inline(always)]
pub fn copy_str(to: *mut u8, size: u32, from: Ptr) -> u32 {
    // SAFETY: `to` is `size` bytes of a map value; the helper checks `from`.
    let n = unsafe { generated::bpf_probe_read_kernel_str(to.cast(), size, from.cast()) };
    if n > 0 { (n as u32 - 1).min(size) } else { 0 }
}

/// Copies `size` bytes of kernel memory.
#[inline(always)]
pub fn copy_kernel(to: *mut u8, size: u32, from: Ptr) -> bool {
    // SAFETY: as above.
    unsafe { generated::bpf_probe_read_kernel(to.cast(), size, from.cast()) == 0 }
}

/// Copies a NUL-terminated user string; returns its bytes without the NUL, or `None` if it cannot be read.
#[inline(always)]
pub fn copy_user_str(to: *mut u8, size: u32, from: u64) -> Option<u32> {
    // SAFETY: as above.
    let n = unsafe { generated::bpf_probe_read_user_str(to.cast(), size, from as *const _) };
    if n > 0 { Some((n as u32 - 1).min(size)) } else { None }
}

/// Copies `size` bytes from user memory.
#[inline(always)]
pub fn copy_user(to: *mut u8, size: u32, from: u64) -> bool {
    // SAFETY: as above.
    unsafe { generated::bpf_probe_read_user(to.cast(), size, from as *const _) == 0 }
}

/// Reads a value from user memory; zero where it cannot be read.
#[inline(always)]
pub fn load_user<T: Copy + Default>(from: u64) -> T {
    let mut value = T::default();
    // SAFETY: as in `load`.
    unsafe {
        generated::bpf_probe_read_user(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            from as *const _,
        );
    }
    value
}
