//! cgroup life under a watched root.

use super::header::Header;
use super::record;

/// What became of a cgroup: [`Cgroup::change`].
pub mod change {
    pub const MADE: u32 = 0;
    pub const REMOVED: u32 = 1;
    /// A process moved in.
    pub const MOVED_IN: u32 = 2;
    /// A tracked process moved out; it stays tracked.
    pub const MOVED_OUT: u32 = 3;
}

record! {
    /// `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_attach_task`: header, then `path_size` bytes of path.
    Cgroup [128] {
        header: Header,
        /// One of `change`.
        change: u32,
        level: u32,
        id: u64,
        path_size: u32,
        _pad: u32,
    }
}
