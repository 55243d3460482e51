//! A new process in a tracked container.

use super::header::Header;
use super::record;

record! {
    /// `sched_process_fork`; the header's task is the child.
    Fork [112] {
        header: Header,
        /// The process that called fork (its `real_parent` may differ with CLONE_PARENT).
        forker: u32,
        _pad: u32,
    }
}
