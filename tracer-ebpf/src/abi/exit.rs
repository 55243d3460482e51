//! The end of a process, once per process.

use super::header::Header;
use super::record;

record! {
    /// `sched_process_exit` of the last thread: header, then `cwd_size` bytes of the reversed working
    /// directory (see `recorder::data_kind::COMPONENTS`).
    Exit [272] {
        header: Header,
        /// wait(2) status: `signal->group_exit_code`, else the leader's `exit_code`.
        status: u32,
        cwd_size: u32,
        /// Soft limits, `u64::MAX` for infinity.
        rlimit_nofile: u64,
        rlimit_nproc: u64,
        rlimit_as: u64,
        rlimit_core: u64,
        /// Highest resident size in pages.
        max_rss_pages: u64,
        /// Bytes ever written to descriptor 1 and 2, kept or not; `u64::MAX` if the recorder was off.
        written: [u64; 2],
        /// Failed calls ever seen of this process.
        failed_calls: u32,
        /// Processes it forked.
        forks: u32,
        cap_effective: u64,
        /// 1 if the recorder was on from its birth.
        recorder: u32,
        /// 1 if names are missing at the root's end of the working directory.
        cwd_cut: u32,
        user_time_ns: u64,
        system_time_ns: u64,
        /// Highest use ever and limit of its memory cgroup; `u64::MAX` where this kernel does not say.
        memory_peak_pages: u64,
        memory_limit_pages: u64,
        /// More soft limits, `u64::MAX` for infinity.
        rlimit_memlock: u64,
        rlimit_fsize: u64,
        rlimit_cpu: u64,
        rlimit_stack: u64,
        rlimit_data: u64,
        /// Bounding set of capabilities.
        cap_bounding: u64,
    }
}
