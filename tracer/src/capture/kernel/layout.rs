//! What the programs must be told about the running kernel: member offsets, hierarchies, system call numbers.

use std::fs;

use thiserror::Error;
use tracer_ebpf::{
    abi::state::{SHAPES, Settings, number, shape},
    offsets::{COUNT, MEMBERS, MISSING},
};

use crate::linux::{
    btf::{Btf, BtfError},
    cgroup::Hierarchy,
    syscall::{SyscallTable, UNKNOWN},
};

/// Where kernels built with CONFIG_DEBUG_INFO_BTF show their types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why the running kernel cannot be described.
#[derive(Debug, Error)]
pub enum LayoutError {
    #[error(
        "cannot read {VMLINUX}: {0}: a kernel built with CONFIG_DEBUG_INFO_BTF=y is needed, with /sys mounted (docs/kernels.md)"
    )]
    NoBtf(std::io::Error),
    #[error("cannot use {VMLINUX}: {0}")]
    BadBtf(#[from] BtfError),
    #[error("this kernel has no {0}: it is not supported (docs/kernels.md)")]
    NoMember(&'static str),
    #[error("this machine is {0}: x86_64 or aarch64 is needed")]
    Machine(String),
    #[error("cannot read {0}: {1}: is /proc mounted?")]
    Proc(&'static str, std::io::Error),
}

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Keep the last bytes written to stdout and stderr.
    pub capture_output: bool,
    /// Records a container may send in a window, in DEATHS and EVENTS.
    pub deaths_budget: u32,
    pub events_budget: u32,
    pub window_ns: u64,
    /// What is watched may run in the agent's own mount namespace, as what `tracer exec` runs does. An agent's is another
    /// after each of its starts, by which nothing that it leaves in the kernel may differ.
    pub shares_mounts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capture_output: true,
            deaths_budget: 400,
            events_budget: 20_000,
            window_ns: 1_000_000_000,
            shares_mounts: true,
        }
    }
}

/// The frozen globals of the object.
#[derive(Clone, Debug)]
pub struct Layout {
    pub offsets: [u32; COUNT],
    pub settings: Settings,
    pub numbers: [u32; number::COUNT],
    pub shapes: [u8; SHAPES],
    /// Optional members that this kernel lacks.
    pub missing: Vec<&'static str>,
}

impl Layout {
    /// Describes the running kernel.
    ///
    /// # Errors
    /// There is no BTF, or it lacks a member that the programs cannot do without.
    pub fn of_running_kernel(hierarchy: &Hierarchy, options: Options) -> Result<Self, LayoutError> {
        let bytes = fs::read(VMLINUX).map_err(LayoutError::NoBtf)?;
        let btf = Btf::parse(&bytes)?;
        let uname = rustix::system::uname();
        let machine = uname.machine().to_string_lossy();
        let table = SyscallTable::of_machine(&machine)
            .ok_or_else(|| LayoutError::Machine(machine.to_string()))?;
        let (offsets, missing) = offsets(&btf)?;
        let agent_pid_ns = own_namespace("/proc/self/ns/pid")?;
        let percpu_counter = btf.struct_size("percpu_counter").unwrap_or(8);
        let atomic_rss = btf.struct_size("mm_rss_stat").is_some();
        let victim_is_task =
            btf.tracepoint_parameters("mark_victim").and_then(|kinds| kinds.first().copied())
                == Some(true);
        let settings = Settings {
            cgroup_subsystem: match hierarchy.controller() {
                Some(name) => btf.enumerator(&format!("{name}_cgrp_id")).unwrap_or(u32::MAX),
                None => u32::MAX,
            },
            memory_subsystem: btf.enumerator("memory_cgrp_id").unwrap_or(u32::MAX),
            agent_pid_ns,
            capture_output: u32::from(options.capture_output),
            victim_is_task: u32::from(victim_is_task),
            rss_stride: if atomic_rss { 8 } else { percpu_counter },
            deaths_budget: options.deaths_budget,
            events_budget: options.events_budget,
            agent_mount_ns: match options.shares_mounts {
                true => own_namespace("/proc/self/ns/mnt")?,
                false => 0,
            },
            _pad2: 0,
            window_ns: options.window_ns,
            page_shift: rustix::param::page_size().trailing_zeros(),
            hierarchy_id: hierarchy.id(),
            pids_subsystem: btf.enumerator("pids_cgrp_id").unwrap_or(u32::MAX),
            _pad: 0,
        };
        Ok(Self { offsets, settings, numbers: numbers(table), shapes: shapes(table), missing })
    }
}

fn offsets(btf: &Btf<'_>) -> Result<([u32; COUNT], Vec<&'static str>), LayoutError> {
    let mut offsets = [MISSING; COUNT];
    let mut missing = Vec::new();
    for (offset, member) in offsets.iter_mut().zip(MEMBERS) {
        match member.paths.iter().find_map(|path| btf.offset(path)) {
            Some(found) => *offset = found,
            None if member.required => {
                return Err(LayoutError::NoMember(
                    member.paths.first().copied().unwrap_or(member.name),
                ));
            }
            None => missing.push(member.paths.first().copied().unwrap_or(member.name)),
        }
    }
    Ok((offsets, missing))
}

/// inum of one of our own namespaces.
fn own_namespace(link: &'static str) -> Result<u32, LayoutError> {
    let stat = rustix::fs::stat(link).map_err(|error| LayoutError::Proc(link, error.into()))?;
    Ok(u32::try_from(stat.st_ino).unwrap_or(0))
}

fn numbers(table: SyscallTable) -> [u32; number::COUNT] {
    let mut numbers = [u32::MAX; number::COUNT];
    for nr in 0..u32::try_from(SHAPES).unwrap_or(0) {
        let name = table.name(nr);
        for (number, wanted) in numbers.iter_mut().zip(number::NAMES) {
            if name == wanted {
                *number = nr;
            }
        }
    }
    numbers
}

fn shapes(table: SyscallTable) -> [u8; SHAPES] {
    let mut shapes = [shape::NONE; SHAPES];
    for (nr, shape) in (0u32..).zip(shapes.iter_mut()) {
        let name = table.name(nr);
        if name != UNKNOWN {
            *shape = shape_of(name);
        }
    }
    shapes
}

/// What a call's arguments are about, and what else of it is looked at, from its manual page.
fn shape_of(name: &str) -> u8 {
    let looks = match name {
        "open" | "openat" | "openat2" => shape::OPENS | shape::SUCCESS,
        "stat" | "lstat" | "newfstatat" | "statx" | "access" | "faccessat" | "faccessat2"
        | "readlink" | "readlinkat" | "statfs" | "getxattr" | "lgetxattr" | "listxattr"
        | "llistxattr" | "name_to_handle_at" => shape::LOOKS,
        "clone" | "clone3" | "fork" | "vfork" | "flock" | "fcntl" | "io_setup" | "mlock"
        | "mlock2" | "mlockall" | "setuid" | "setreuid" | "setresuid" | "timer_create"
        | "keyctl" | "add_key" | "request_key" | "shmget" | "io_uring_setup" => shape::REFUSES,
        _ => 0,
    };
    object_of(name) | looks
}

fn object_of(name: &str) -> u8 {
    match name {
        "open" | "stat" | "lstat" | "access" | "truncate" | "chdir" | "rename" | "mkdir"
        | "rmdir" | "creat" | "link" | "unlink" | "symlink" | "readlink" | "chmod" | "chown"
        | "lchown" | "utime" | "utimes" | "mknod" | "uselib" | "statfs" | "pivot_root"
        | "chroot" | "acct" | "umount2" | "swapon" | "swapoff" | "setxattr" | "lsetxattr"
        | "getxattr" | "lgetxattr" | "listxattr" | "llistxattr" | "removexattr"
        | "lremovexattr" | "execve" | "mq_open" | "mq_unlink" | "memfd_create" => shape::PATH0,
        "openat" | "openat2" | "mkdirat" | "mknodat" | "fchownat" | "futimesat" | "newfstatat"
        | "statx" | "unlinkat" | "renameat" | "renameat2" | "linkat" | "readlinkat"
        | "fchmodat" | "fchmodat2" | "faccessat" | "faccessat2" | "utimensat" | "execveat"
        | "name_to_handle_at" | "open_tree" | "inotify_add_watch" | "mount" | "mount_setattr"
        | "fspick" => shape::PATH1,
        "symlinkat" => shape::PATH2,
        "pread64" | "readv" | "preadv" | "preadv2" | "pwrite64" | "pwritev" | "pwritev2"
        | "fsync" | "fdatasync" | "ftruncate" | "getdents64" | "fchdir" | "fchmod" | "fchown"
        | "fallocate" | "sendfile" | "lseek" | "ioctl" | "fcntl" | "flock" | "syncfs"
        | "fsetxattr" => shape::FD0,
        "read" | "write" | "writev" => shape::FD0 | shape::SUCCESS,
        "copy_file_range" | "splice" => shape::FD2,
        "mmap" => shape::FD4,
        "connect" | "bind" => shape::ADDRESS | shape::SUCCESS,
        "listen" | "getsockopt" | "sendto" | "sendmsg" | "sendmmsg" | "recvfrom" | "recvmsg" => {
            shape::NONE | shape::SUCCESS
        }
        _ => shape::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_the_programs_know_has_a_number_on_x86_64() {
        assert!(numbers(SyscallTable::X86_64).iter().all(|number| *number != u32::MAX));
    }

    #[test]
    fn shapes_follow_the_machine_s_numbers() {
        let openat = shape::PATH1 | shape::OPENS | shape::SUCCESS;
        assert_eq!(shapes(SyscallTable::X86_64)[257], openat);
        assert_eq!(shapes(SyscallTable::Aarch64)[56], openat);
        assert_eq!(shapes(SyscallTable::X86_64)[39], shape::NONE);
    }
}
