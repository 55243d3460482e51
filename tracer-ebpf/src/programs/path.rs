//! The path of an open file or directory, walked from its dentry up to the root of its mount namespace.

use tracer_ebpf::offsets as at;

use super::kernel::{Ptr, copy_str, load, member, offset, pointer, read};

/// Names that are followed at most.
const DEPTH: usize = 20;
/// Longest name (NAME_MAX), its NUL included.
const NAME: u32 = 256;
/// Bytes after which no further name is begun.
pub const LIMIT: usize = 512;

/// The names of a path from the file up to the root, each ended by NUL, and where the walk is. It lies in a map
/// value: what is read back from there has no history for the verifier, so that all ways through one step of
/// the walk end in one state, not in two each.
#[repr(C)]
pub struct Names {
    dentry: u64,
    vfsmount: u64,
    used: u32,
    cut: u32,
    pub bytes: [u8; LIMIT + NAME as usize],
}

impl Names {
    /// Bytes used, at most [`LIMIT`].
    #[inline(always)]
    pub fn size(&self) -> u32 {
        let used = recall(&self.used);
        if used > LIMIT as u32 { LIMIT as u32 } else { used }
    }

    /// True if names are missing.
    #[inline(always)]
    pub fn cut(&self) -> bool {
        recall(&self.cut) != 0
    }
}

/// Reads a field of a map value as it is there, not as it was known to be.
#[inline(always)]
fn recall<T: Copy>(field: &T) -> T {
    // SAFETY: a reference is valid.
    unsafe { core::ptr::read_volatile(field) }
}

#[inline(always)]
fn note<T: Copy>(field: &mut T, value: T) {
    // SAFETY: as above.
    unsafe { core::ptr::write_volatile(field, value) }
}

/// Walks `path` (a `struct path`) up to the root of its mount namespace.
#[inline(never)]
pub fn walk(names: *mut Names, path: Ptr) -> u32 {
    // SAFETY: callers pass a map value.
    let names = unsafe { &mut *names };
    note(&mut names.dentry, read(path, at::PATH_DENTRY));
    note(&mut names.vfsmount, read(path, at::PATH_MNT));
    note(&mut names.used, 0);
    note(&mut names.cut, 1);
    for _ in 0..DEPTH {
        let dentry = recall(&names.dentry) as Ptr;
        let vfsmount = recall(&names.vfsmount) as Ptr;
        let parent = pointer(dentry, at::DENTRY_PARENT);
        let mount_root = pointer(vfsmount, at::VFSMOUNT_ROOT);
        if dentry == mount_root || dentry == parent {
            // The root of a mount: go on where it is mounted, unless it is the root of all.
            let mount = vfsmount.wrapping_sub(offset(at::MOUNT_MNT));
            let above = pointer(mount, at::MOUNT_PARENT);
            if above == mount || above.is_null() {
                note(&mut names.cut, 0);
                break;
            }
            note(&mut names.dentry, read(mount, at::MOUNT_MOUNTPOINT));
            note(&mut names.vfsmount, member(above, at::MOUNT_MNT) as u64);
            continue;
        }
        let used = recall(&names.used);
        if used >= LIMIT as u32 {
            break;
        }
        let name = pointer(member(dentry, at::DENTRY_NAME), at::QSTR_NAME);
        // SAFETY: `used` is below LIMIT, and a name's length follows the limit.
        let to = unsafe { names.bytes.as_mut_ptr().add(used as usize) };
        note(&mut names.used, used + copy_str(to, NAME, name) + 1);
        note(&mut names.dentry, parent as u64);
    }
    0
}

/// The `struct file` of a descriptor of the task.
#[inline(always)]
pub fn file_of(task: Ptr, fd: u64) -> Ptr {
    let table = pointer(pointer(task, at::TASK_FILES), at::FILES_FDT);
    let size: u32 = read(table, at::FDT_MAX);
    if fd >= u64::from(size) {
        return core::ptr::null();
    }
    let files = pointer(table, at::FDT_FD);
    load::<u64>(files.wrapping_add(fd as usize * 8)) as Ptr
}
