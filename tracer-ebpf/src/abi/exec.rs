//! A successful exec, and an execve or execveat that failed.

use super::header::Header;
use super::record;

/// Longest path that is kept.
pub const PATH_MAX: usize = 4096;
/// Most bytes of the argument vector that are kept.
pub const ARGS_MAX: usize = 4096;

record! {
    /// `sched_process_exec`: header, then `path_size` bytes of path, then `args_size` bytes of argv, NUL separated.
    Exec [160] {
        header: Header,
        /// Length of the whole argv in bytes, kept or not.
        args_length: u64,
        /// Effective capabilities after the exec.
        cap_effective: u64,
        path_size: u32,
        args_size: u32,
        /// inum of the mount and network namespace.
        mount_ns: u32,
        net_ns: u32,
        /// Device and inode of the executable.
        device: u32,
        _pad: u32,
        inode: u64,
        /// Thread id before the exec (`old_pid`), where a non-leader exec'd.
        old_tid: u32,
        _pad2: u32,
    }
}

record! {
    /// execve or execveat that returned an error: header, path, argv as in [`Exec`].
    ExecFailed [136] {
        header: Header,
        /// The error, positive.
        errno: i32,
        /// Directory descriptor of execveat; AT_FDCWD (-100) for execve.
        dirfd: i32,
        path_size: u32,
        args_size: u32,
        /// `AT_*` flags of execveat.
        at_flags: u32,
        /// 1 when argv had more than what is kept.
        args_truncated: u32,
        /// Cut off at [`PATH_MAX`].
        path_truncated: u32,
        _pad: u32,
    }
}
