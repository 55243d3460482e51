//! How much memory a process and its memory cgroup use.

use tracer_ebpf::offsets as at;

use super::{
    kernel::{Ptr, css, has, load, member, pointer, read},
    maps::setting,
};

/// Order of `mm->rss_stat`: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES (include/linux/mm_types_task.h).
pub const FILE: usize = 0;
pub const ANON: usize = 1;
pub const SHMEM: usize = 3;

/// Pages that are resident now.
#[inline(always)]
pub fn resident(mm: Ptr) -> u64 {
    rss(mm, FILE) + rss(mm, ANON) + rss(mm, SHMEM)
}

/// One of the process's page counts: a `percpu_counter` whose per-CPU parts are left out (6.2 and later),
/// or an atomic_long_t.
#[inline(always)]
pub fn rss(mm: Ptr, index: usize) -> u64 {
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
    let css = css(task, subsystem);
    // What the root uses is the machine's.
    if pointer(css, at::CSS_PARENT).is_null() {
        return (u64::MAX, u64::MAX);
    }
    let counter = member(css, at::MEMCG_MEMORY);
    (read(counter, at::COUNTER_PEAK), read(counter, at::COUNTER_MAX))
}
