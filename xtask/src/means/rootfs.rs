//! The files of a root filesystem that is made here: a virtual machine's or an image's. It knows no file, and no form of
//! archive.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    Folder,
    File { bytes: Vec<u8>, mode: u32 },
    Link { to: PathBuf },
}

/// A tree of files, by their absolute paths.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

impl Tree {
    /// Adds an entry and the folders above it. What was there before is replaced.
    pub fn add(&mut self, path: impl AsRef<Path>, entry: Entry) {
        let path = path.as_ref();
        for folder in path.ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            self.0.entry(folder.to_owned()).or_insert(Entry::Folder);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// Adds a whole tree below a folder.
    pub fn add_below(&mut self, folder: impl AsRef<Path>, tree: Tree) {
        for (path, entry) in tree.0 {
            self.add(folder.as_ref().join(relative(&path)), entry);
        }
    }

    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.contains_key(path.as_ref())
    }

    /// The sum of its files' sizes.
    pub fn bytes(&self) -> usize {
        let size = |entry: &Entry| match entry {
            Entry::File { bytes, .. } => bytes.len(),
            Entry::Folder | Entry::Link { .. } => 0,
        };
        self.0.values().map(size).sum()
    }

    /// All entries by their paths from the root, in order: a folder comes before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = (PathBuf, &Entry)> {
        self.0.iter().map(|(path, entry)| (relative(path), entry))
    }
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::RootDir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.add("/a/b/c", Entry::Link { to: "../d".into() });
        let paths: Vec<PathBuf> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"].map(PathBuf::from));
        assert!(tree.has("/a/b") && !tree.has("/c"));
    }
}
