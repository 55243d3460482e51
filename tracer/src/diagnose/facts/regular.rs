//! Bounded reading of regular files that a container may have prepared. It must not know what they hold.

use std::{
    cell::Cell,
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, Stat, fstatfs, openat},
    io::Errno as Refusal,
};

use super::root::{End, Found};
use crate::linux::errno::Errno;

/// Bytes at an offset.
pub trait ReadAt {
    /// Up to `length` bytes; fewer at the end of the file, on an error, or when the budget is used up.
    fn read_at(&self, offset: u64, length: usize) -> Vec<u8>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, length: usize) -> Vec<u8> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let end = start.saturating_add(length).min(self.len());
        self[start..end].to_vec()
    }
}

/// How much may still be read for one life, and until when.
#[derive(Debug)]
pub struct Budget {
    bytes: Cell<u64>,
    until: Instant,
}

impl Budget {
    pub fn new(bytes: u64, time: Duration) -> Self {
        Self { bytes: Cell::new(bytes), until: Instant::now() + time }
    }

    pub fn is_used_up(&self) -> bool {
        self.bytes.get() == 0 || Instant::now() >= self.until
    }

    /// Grants at most `wanted` bytes.
    fn take(&self, wanted: usize) -> usize {
        if self.is_used_up() {
            return 0;
        }
        let left = self.bytes.get();
        let granted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.set(left.saturating_sub(granted as u64));
        granted
    }
}

/// A regular file opened for reading.
#[derive(Debug)]
pub struct RegularFile<'b> {
    file: File,
    size_bytes: u64,
    budget: &'b Budget,
}

/// File systems whose regular files do something when read, or are served by someone else
/// (include/uapi/linux/magic.h).
const NOT_READ: [u32; 22] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x4249_4e4d, // binfmt_misc
    0x1980_0202, // mqueue
    0x7655_821d, // resctrl
    0x6e73_6673, // nsfs
    0x0187,      // autofs
    0x6573_5546, // fuse
    0x6969,      // nfs
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
];

impl<'b> RegularFile<'b> {
    /// Opens what a walk found for reading; the reason if that is refused.
    pub fn open(found: &Found, budget: &'b Budget) -> Result<Self, String> {
        match &found.end {
            End::File(file, stat) => Self::reopen(file, stat, budget),
            End::Missing { .. } => Err("ENOENT".to_owned()),
            End::Unreadable { reason } => Err(reason.clone()),
        }
    }

    /// The inode is the one that was looked at: it is opened again through its descriptor, not by name.
    fn reopen(file: &OwnedFd, stat: &Stat, budget: &'b Budget) -> Result<Self, String> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("not a regular file".to_owned());
        }
        let magic = fstatfs(file).map_err(name)?.f_type;
        if NOT_READ.iter().any(|known| magic as u64 & 0xffff_ffff == u64::from(*known)) {
            return Err("on a file system that is not read".to_owned());
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // O_NOATIME keeps the look unseen; it is refused to who is neither owner nor privileged.
        let opened = openat(CWD, &path, flags | OFlags::NOATIME, Mode::empty())
            .or_else(|_| openat(CWD, &path, flags, Mode::empty()))
            .map_err(name)?;
        Ok(Self {
            file: File::from(opened),
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            budget,
        })
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The first bytes, at most `limit`.
    pub fn beginning(&self, limit: usize) -> Vec<u8> {
        self.read_at(0, limit)
    }
}

impl ReadAt for RegularFile<'_> {
    fn read_at(&self, offset: u64, length: usize) -> Vec<u8> {
        let left = self.size_bytes.saturating_sub(offset);
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut bytes = vec![0; self.budget.take(length)];
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(&mut bytes[done..], offset + done as u64) {
                Ok(0) | Err(_) => break,
                Ok(count) => done += count,
            }
        }
        bytes.truncate(done);
        bytes
    }
}

fn name(error: Refusal) -> String {
    Errno(error.raw_os_error()).to_string()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{diagnose::facts::root::Root, linux::text::Text};

    fn budget() -> Budget {
        Budget::new(1 << 20, Duration::from_secs(60))
    }

    fn find(root: &Path, path: &str) -> Found {
        Root::open(root).unwrap().find(&Text::from("/"), &Text::from(path))
    }

    #[test]
    fn a_huge_sparse_file_is_read_only_within_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("entrypoint")).unwrap();
        file.set_len(10 << 30).unwrap();
        let budget = budget();
        let file = RegularFile::open(&find(dir.path(), "/entrypoint"), &budget).unwrap();
        assert_eq!(file.size_bytes(), 10 << 30);
        assert_eq!(file.beginning(64 << 10).len(), 64 << 10);
        assert_eq!(file.read_at(5 << 30, usize::MAX).len(), (1 << 20) - (64 << 10));
        assert!(budget.is_used_up());
        assert!(file.beginning(1).is_empty());
    }

    #[test]
    fn a_fifo_is_never_opened_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(
            CWD,
            dir.path().join("fifo"),
            FileType::Fifo,
            Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        let found = find(dir.path(), "/fifo");
        assert!(matches!(
            found.state(),
            crate::diagnose::facts::model::FileState::Present { file_type, .. } if file_type == "fifo"
        ));
        let budget = budget();
        assert_eq!(RegularFile::open(&found, &budget).unwrap_err(), "not a regular file");
    }

    #[test]
    fn a_device_and_a_directory_are_never_opened_for_reading() {
        let budget = budget();
        for path in ["/dev/zero", "/dev"] {
            let found = find(Path::new("/"), path);
            assert_eq!(RegularFile::open(&found, &budget).unwrap_err(), "not a regular file");
        }
    }

    #[test]
    fn files_of_proc_are_not_read() {
        let budget = budget();
        let found = find(Path::new("/"), "/proc/version");
        assert!(RegularFile::open(&found, &budget).is_err());
    }

    #[test]
    fn a_file_swapped_after_the_walk_is_the_one_that_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        let found = find(dir.path(), "/file");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        let budget = budget();
        assert_eq!(RegularFile::open(&found, &budget).unwrap().beginning(100), b"old");
    }
}
