//! The files of a program that its dynamic loader maps. It must not know where the loader looks for them.

use super::{
    elf::Header,
    elf_dynamic::{Dynamic, Symbols},
    regular::{Budget, RegularFile},
    root::{End, Root},
};
use crate::linux::text::Text;

/// What the loader starts from.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    pub root: &'a Root,
    pub cwd: &'a Text,
    /// LD_LIBRARY_PATH; `None` if it is empty or not known.
    pub library_path: Option<&'a Text>,
    pub budget: &'a Budget,
}

/// One file that the loader would map.
#[derive(Debug)]
pub struct Object {
    /// Absolute in the container.
    pub path: Text,
    /// Names by which others ask for it.
    pub names: Vec<Text>,
    /// Device and inode.
    pub identity: (u64, u64),
    pub header: Header,
    pub dynamic: Dynamic,
    pub symbols: Option<Symbols>,
    /// Index of the object that asked first.
    pub needed_by: Option<usize>,
}

impl Object {
    /// `None` for what is no dynamic ELF file, or cannot be read.
    pub fn open(start: Start<'_>, path: &Text, needed_by: Option<usize>) -> Option<Self> {
        let found = start.root.find(start.cwd, path);
        let End::File(_, stat) = &found.end else { return None };
        let identity = (stat.st_dev, stat.st_ino);
        let file = RegularFile::open(&found, start.budget).ok()?;
        let header = Header::read(&file)?;
        let dynamic = Dynamic::read(&file, &header)?;
        let path = found.resolved;
        Some(Self { path, names: Vec::new(), identity, header, dynamic, symbols: None, needed_by })
    }

    pub fn is_named(&self, name: &Text) -> bool {
        self.names.contains(name)
    }

    pub fn read_symbols(&mut self, start: Start<'_>) {
        let found = start.root.find(start.cwd, &self.path);
        if let Ok(file) = RegularFile::open(&found, start.budget) {
            self.symbols = Some(self.dynamic.symbols(&file, &self.header));
        }
    }
}
