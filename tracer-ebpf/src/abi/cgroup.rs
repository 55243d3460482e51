//! cgroup life under a watched root.

use super::header::Header;
use super::record;

record! {
    /// `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_attach_task`: header, then `path_size` bytes of path.
    Cgroup [128] {
        header: Header,
        /// 0 made, 1 removed, 2 a process moved in, 3 a tracked process moved out (it stays tracked).
        change: u32,
        level: u32,
        id: u64,
        path_size: u32,
        _pad: u32,
    }
}
