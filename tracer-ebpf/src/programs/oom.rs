//! mark_victim (struct task_struct *task, uid_t uid; before 6.8 int pid): include/trace/events/oom.h.
//! It runs in the task that asked for memory, just after that task's SIGKILL to the victim (mm/oom_kill.c,
//! __oom_kill_process); all is read at the SIGKILL, where the victim is at hand on every kernel.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::raw_tracepoint, programs::RawTracePointContext,
};
use tracer_ebpf::{
    abi::{
        header::Kind,
        oom::{LEVELS, Oom},
    },
    offsets as at,
};

use super::{
    exit::open_files_limit,
    kernel::{Ptr, cgroup_id, describe, has, load, member, pointer, read},
    maps::{SIGNAL_SCRATCH, VICTIMS, setting},
    record::{Ring, begin, now, scratch, send},
    track::process,
};

/// Order of `mm->rss_stat`: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES (include/linux/mm_types_task.h).
const FILE: usize = 0;
const ANON: usize = 1;
const SHMEM: usize = 3;

#[raw_tracepoint(tracepoint = "mark_victim")]
pub fn mark_victim(ctx: RawTracePointContext) -> i32 {
    let key = bpf_get_current_pid_tgid();
    let Some(victim) = VICTIMS.get_ptr_mut(&key) else { return 0 };
    // SAFETY: a map value, written by this task only.
    let victim = unsafe { &mut *victim };
    let argument: u64 = ctx.arg(0);
    let pid = if setting!(victim_is_task) != 0 {
        read::<u32>(argument as Ptr, at::TASK_PID)
    } else {
        argument as u32
    };
    if victim.header.task.tid == pid || victim.header.task.tgid == pid {
        victim.header.time_ns = now();
        let cgroup = victim.header.cgroup;
        send(
            Ring::Deaths,
            Kind::Oom,
            cgroup,
            (&raw const *victim).cast(),
            size_of::<Oom>() as u32,
            true,
        );
    }
    let _ = VICTIMS.remove(&key);
    0
}

/// Keeps all about a task that the kernel itself kills, in case mark_victim follows.
#[inline(never)]
pub fn note_victim(task: Ptr, killer: Ptr, cgroup: u64, flags: u32) -> u32 {
    let Some(record) = scratch::<Oom>(&SIGNAL_SCRATCH) else { return 0 };
    let killer_flags = process(super::kernel::tgid_of(killer)).map_or(0, |process| process.flags);
    describe(&raw mut record.trigger, killer, killer_flags);
    let mm = pointer(task, at::TASK_MM);
    record.total_vm_pages = read(mm, at::MM_TOTAL_VM);
    record.file_pages = rss(mm, FILE);
    record.anon_pages = rss(mm, ANON);
    record.shmem_pages = rss(mm, SHMEM);
    let signal = pointer(task, at::TASK_SIGNAL);
    record.rlimit_nofile = open_files_limit(signal);
    record.oom_score_adj = i32::from(read::<i16>(signal, at::SIGNAL_OOM_ADJ));
    record.written = process(super::kernel::tgid_of(task)).map_or(u64::MAX, |process| {
        if process.recorder != 0 { process.written[0] + process.written[1] } else { u64::MAX }
    });
    record.levels = memcgs(record, task);
    begin(&mut record.header, Kind::Oom, size_of::<Oom>() as u32, cgroup, task, flags);
    let key = bpf_get_current_pid_tgid();
    let _ = VICTIMS.insert(&key, &*record, 0);
    0
}

/// Pages that are resident now.
#[inline(always)]
pub fn resident(mm: Ptr) -> u64 {
    rss(mm, FILE) + rss(mm, ANON) + rss(mm, SHMEM)
}

/// One of the process's page counts: a `percpu_counter` whose per-CPU parts are left out (6.2 and later),
/// or an atomic_long_t.
#[inline(always)]
fn rss(mm: Ptr, index: usize) -> u64 {
    let counter = member(mm, at::MM_RSS).wrapping_add(index * setting!(rss_stride) as usize);
    let value: i64 = if setting!(rss_stride) > 8 && has(at::RSS_COUNT) {
        read(counter, at::RSS_COUNT)
    } else {
        load(counter)
    };
    if value > 0 { value as u64 } else { 0 }
}

/// Highest use and limit, in pages, of the memory cgroup of a task; `u64::MAX` where there is none below the root.
#[inline(always)]
pub fn own_limit(task: Ptr) -> (u64, u64) {
    let subsystem = setting!(memory_subsystem);
    if subsystem == u32::MAX || !has(at::MEMCG_MEMORY) || !has(at::COUNTER_PEAK) {
        return (u64::MAX, u64::MAX);
    }
    let set = pointer(task, at::TASK_CGROUPS);
    let css = load::<u64>(member(set, at::CSS_SET_SUBSYS).wrapping_add(subsystem as usize * 8));
    // What the root uses is the machine's.
    if pointer(css as Ptr, at::CSS_PARENT).is_null() {
        return (u64::MAX, u64::MAX);
    }
    let counter = member(css as Ptr, at::MEMCG_MEMORY);
    (read(counter, at::COUNTER_PEAK), read(counter, at::COUNTER_MAX))
}

/// Notes every memory cgroup from the task's up to the root.
#[inline(always)]
fn memcgs(record: &mut Oom, task: Ptr) -> u32 {
    let subsystem = setting!(memory_subsystem);
    if subsystem == u32::MAX || !has(at::MEMCG_MEMORY) || !has(at::COUNTER_MAX) {
        return 0;
    }
    let set = pointer(task, at::TASK_CGROUPS);
    let mut css =
        load::<u64>(member(set, at::CSS_SET_SUBSYS).wrapping_add(subsystem as usize * 8)) as Ptr;
    let mut levels = 0u32;
    for level in 0..LEVELS {
        if css.is_null() {
            break;
        }
        // `css` is the first member of struct mem_cgroup (include/linux/memcontrol.h).
        let counter = member(css, at::MEMCG_MEMORY);
        let out = &mut record.memcgs[level];
        out.id = cgroup_id(pointer(css, at::CSS_CGROUP));
        out.usage_pages = read(counter, at::COUNTER_USAGE);
        out.limit_pages = read(counter, at::COUNTER_MAX);
        out.oom_group = if has(at::MEMCG_OOM_GROUP) {
            u32::from(read::<u8>(css, at::MEMCG_OOM_GROUP))
        } else {
            0
        };
        out._pad = 0;
        levels += 1;
        css = pointer(css, at::CSS_PARENT);
    }
    levels
}
