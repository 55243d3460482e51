//! An OOM kill.

use super::header::{Header, Task};
use super::record;

/// Most memory cgroups noted from the victim's up to the root.
pub const LEVELS: usize = 12;

record! {
    /// One memory cgroup.
    Memcg [32] {
        /// cgroup id in the memory controller's hierarchy (inode of its folder).
        id: u64,
        usage_pages: u64,
        /// `u64::MAX` >> 12 and above: no limit.
        limit_pages: u64,
        /// `memory.oom.group`.
        oom_group: u32,
        _pad: u32,
    }
}

record! {
    /// `mark_victim` after the SIGKILL from the same task; the header's task is the victim.
    Oom [616] {
        header: Header,
        /// The task that asked for memory.
        trigger: Task,
        total_vm_pages: u64,
        /// File, anonymous and shared memory pages; the kernel's per-CPU counts are not summed (a few dozen pages off).
        file_pages: u64,
        anon_pages: u64,
        shmem_pages: u64,
        rlimit_nofile: u64,
        /// Bytes ever written to descriptor 1 and 2; `u64::MAX` if the recorder was off.
        written: u64,
        oom_score_adj: i32,
        /// Entries used of `memcgs`, the victim's own first.
        levels: u32,
        memcgs: [Memcg; LEVELS],
    }
}
