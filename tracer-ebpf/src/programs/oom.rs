//! match-proto: void mark_victim(struct task_struct *task, uid_t uid), before 6.8 void mark_victim(int pid): include/trace/events/oom.h.
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
    kernel::{Ptr, cgroup_id, css, describe, has, member, pointer, read, tgid_of},
    maps::{SIGNAL_SCRATCH, VICTIMS, setting},
    memory::{self, rss},
    record::{Ring, begin, now, scratch, send},
    rlimit,
    track::process,
};

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
        let size = size_of::<Oom>() as u32;
        send(Ring::Vital, Kind::Oom, cgroup, (&raw const *victim).cast(), size);
    }
    let _ = VICTIMS.remove(&key);
    0
}

/// Keeps all about a task that the kernel itself kills, in case mark_victim follows.
#[inline(never)]
pub fn note_victim(task: Ptr, killer: Ptr, cgroup: u64, flags: u32) -> u32 {
    let Some(record) = scratch::<Oom>(&SIGNAL_SCRATCH) else { return 0 };
    let killer_flags = process(tgid_of(killer)).map_or(0, |process| process.flags);
    describe(&raw mut record.trigger, killer, killer_flags);
    let mm = pointer(task, at::TASK_MM);
    record.total_vm_pages = read(mm, at::MM_TOTAL_VM);
    record.file_pages = rss(mm, memory::FILE);
    record.anon_pages = rss(mm, memory::ANON);
    record.shmem_pages = rss(mm, memory::SHMEM);
    let signal = pointer(task, at::TASK_SIGNAL);
    record.rlimit_nofile = rlimit::soft(signal, rlimit::NOFILE);
    record.oom_score_adj = i32::from(read::<i16>(signal, at::SIGNAL_OOM_ADJ));
    record.written = process(tgid_of(task)).map_or(u64::MAX, |process| {
        if process.recorder != 0 { process.written[0] + process.written[1] } else { u64::MAX }
    });
    record.levels = memcgs(record, task);
    begin(&mut record.header, Kind::Oom, size_of::<Oom>() as u32, cgroup, task, flags);
    let key = bpf_get_current_pid_tgid();
    let _ = VICTIMS.insert(&key, &*record, 0);
    0
}

/// Notes every memory cgroup from the task's up to the root.
#[inline(always)]
fn memcgs(record: &mut Oom, task: Ptr) -> u32 {
    let subsystem = setting!(memory_subsystem);
    if subsystem == u32::MAX || !has(at::MEMCG_MEMORY) || !has(at::COUNTER_MAX) {
        return 0;
    }
    let mut css = css(task, subsystem);
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
