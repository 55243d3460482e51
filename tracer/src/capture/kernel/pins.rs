//! Pins in bpffs: by them maps and links outlive the agent, so that the next one is told what happened meanwhile. It
//! must not know what is recorded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    maps::{Map, MapData, RingBuf},
    programs::links::{FdLink, PinnedLink},
};
use rustix::fs::statfs;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracer_ebpf::abi::ABI;
use zerocopy::IntoBytes;

use super::{layout::Layout, object};

/// BPF_FS_MAGIC (include/uapi/linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// Present once a set of pins is whole.
const WHOLE: &str = "whole";

/// Why there are no pins.
#[derive(Debug, Error)]
pub enum PinError {
    #[error("cannot use {0} for pins: {1}")]
    Folder(PathBuf, io::Error),
    #[error(
        "cannot use {0} for pins: it is not in a bpf file system: mount one with `mount -t bpf bpf /sys/fs/bpf`"
    )]
    NotBpffs(PathBuf),
    #[error("cannot read the pinned ring {0}: {1}")]
    Ring(PathBuf, aya::maps::MapError),
    #[error("cannot take over the pinned link {0}: {1}")]
    Link(PathBuf, aya::programs::links::LinkError),
    #[error("cannot pin {0} in {1}: {2}")]
    Pin(&'static str, PathBuf, aya::pin::PinError),
}

/// One set of pins: those of one object with one set of settings, on one kernel.
#[derive(Clone, Debug)]
pub struct Pins {
    folder: PathBuf,
}

impl Pins {
    /// The pins for this object and layout, below `parent`, which is made where it is missing.
    ///
    /// # Errors
    /// The folder is not in a bpf file system or cannot be made.
    pub fn at(parent: &Path, layout: &Layout) -> Result<Self, PinError> {
        let wrong = |error| PinError::Folder(parent.to_owned(), error);
        // In another file system no folder is made, nor can be in sysfs, where bpffs is usually mounted.
        let there = parent.ancestors().find(|folder| folder.exists()).unwrap_or(parent);
        if !is_bpffs(there).map_err(wrong)? {
            return Err(PinError::NotBpffs(parent.to_owned()));
        }
        fs::create_dir_all(parent).map_err(wrong)?;
        Ok(Self { folder: parent.join(name(ABI, &key(layout))) })
    }

    /// True if an earlier agent left all of them.
    pub fn are_whole(&self) -> bool {
        self.folder.join(WHOLE).exists()
    }

    /// Where maps are pinned.
    pub fn maps(&self) -> &Path {
        &self.folder
    }

    /// Makes room for a new set, removing what is left of one that was never whole.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn begin(&self) -> Result<(), PinError> {
        remove(&self.folder)?;
        fs::create_dir(&self.folder).map_err(|error| PinError::Folder(self.folder.clone(), error))
    }

    /// Pins a link under its hook's name.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn pin(&self, link: FdLink, hook: &'static str) -> Result<PinnedLink, PinError> {
        let pinned = link.pin(self.folder.join(hook));
        pinned.map_err(|error| PinError::Pin(hook, self.folder.clone(), error))
    }

    /// The link that is pinned under a hook's name, if one is; it stays pinned.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn pinned(&self, hook: &'static str) -> Result<Option<PinnedLink>, PinError> {
        let path = self.folder.join(hook);
        if !path.exists() {
            return Ok(None);
        }
        PinnedLink::from_pin(&path).map(Some).map_err(|error| PinError::Link(path, error))
    }

    /// Removes the pin of a link and closes it, which detaches its program.
    ///
    /// # Errors
    /// The pin cannot be removed.
    pub fn unpin(link: PinnedLink, hook: &'static str) -> Result<(), PinError> {
        link.unpin().map(drop).map_err(|error| PinError::Folder(PathBuf::from(hook), error))
    }

    /// Marks the set as whole: bpffs has no files of its own, but folders.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn finish(&self) -> Result<(), PinError> {
        fs::create_dir(self.folder.join(WHOLE))
            .map_err(|error| PinError::Folder(self.folder.clone(), error))
    }

    /// Removes the set, which detaches what is attached by it alone.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn remove(&self) -> Result<(), PinError> {
        remove(&self.folder)
    }
}

fn is_bpffs(folder: &Path) -> io::Result<bool> {
    Ok(u64::try_from(statfs(folder)?.f_type).ok() == Some(BPF_FS_MAGIC))
}

/// Every set of pins below a folder: of this version, and of others. None where it is in another file system: what is
/// there is not ours.
pub fn sets(parent: &Path) -> Vec<PathBuf> {
    if !is_bpffs(parent).unwrap_or(false) {
        return Vec::new();
    }
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The version of the records in a set, by its name; `None` where that tells none.
pub fn abi(set: &Path) -> Option<u16> {
    let name = set.file_name()?.to_str()?;
    name.strip_prefix("abi")?.split_once('-')?.0.parse().ok()
}

/// What waits in the rings of a set, oldest first in each; for one that another version left.
///
/// # Errors
/// A ring is not there or is none.
pub fn drain(set: &Path, mut take: impl FnMut(&[u8])) -> Result<(), PinError> {
    for name in ["DEATHS", "EVENTS"] {
        let path = set.join(name);
        let wrong = |error| PinError::Ring(path.clone(), error);
        let map = MapData::from_pin(&path).map_err(wrong)?;
        let mut ring = RingBuf::try_from(Map::RingBuf(map)).map_err(wrong)?;
        while let Some(record) = ring.next() {
            take(&record);
        }
    }
    Ok(())
}

/// Removes every set of pins below a folder, and the folder. Returns how many sets there were.
///
/// # Errors
/// The folder is not in a bpf file system, or a pin cannot be removed.
pub fn unload(parent: &Path) -> Result<usize, PinError> {
    let wrong = |error| PinError::Folder(parent.to_owned(), error);
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(wrong)?,
    };
    if !is_bpffs(parent).map_err(wrong)? {
        return Err(PinError::NotBpffs(parent.to_owned()));
    }
    let mut sets = 0;
    for entry in entries {
        remove(&entry.map_err(wrong)?.path())?;
        sets += 1;
    }
    fs::remove_dir(parent).map_err(wrong)?;
    Ok(sets)
}

/// Removes a set. bpffs gives no `.` and `..` tricks and no nesting but ours: one level of folders.
pub fn remove(folder: &Path) -> Result<(), PinError> {
    let wrong = |error| PinError::Folder(folder.to_owned(), error);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(wrong),
    }
}

fn name(abi: u16, key: &str) -> String {
    format!("abi{abi}-{key}")
}

/// Names what two agents must share to share maps: the object, and what it was told of the kernel.
fn key(layout: &Layout) -> String {
    let mut hash = Sha256::new();
    hash.update(object::bytes().unwrap_or_default());
    hash.update(layout.settings.as_bytes());
    hash.update(layout.offsets.as_bytes());
    crate::linux::text::hex(&hash.finalize()[..6], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_another_file_system_are_none_of_ours() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("abi1-00aa11bb22cc");
        fs::create_dir(&other).unwrap();
        assert_eq!(sets(parent.path()), Vec::<PathBuf>::new());
        assert!(matches!(unload(parent.path()), Err(PinError::NotBpffs(_))));
        assert!(other.exists());
    }

    #[test]
    fn a_set_says_by_its_name_which_version_its_records_have() {
        let of = |name: &str| abi(&Path::new("/sys/fs/bpf/tracer").join(name));
        assert_eq!(of(&name(ABI, "00aa11bb22cc")), Some(ABI));
        assert_eq!(of("abi65535-00"), Some(u16::MAX));
        for other in ["00aa11bb22cc", "abi-00", "abi1", "abi65536-00", "abix-00", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
