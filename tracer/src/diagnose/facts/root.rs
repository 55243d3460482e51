//! A container's root directory and the only way in: a path is walked name by name from a held
//! descriptor, symbolic links are resolved here and never by the kernel, so that nothing outside can be
//! reached, waited for or written. It must not know what the files mean.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat},
    io::Errno as Refusal,
};

use super::model::FileState;
use crate::linux::{errno::Errno, text::Text};

/// A directory in which container paths are looked up.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    /// Mount points that are not entered: a file system served from elsewhere may never answer.
    avoid: Vec<Text>,
}

/// Where a path led.
#[derive(Debug)]
pub struct Found {
    /// Absolute in the container, symbolic links followed as far as they exist.
    pub resolved: Text,
    /// Directories entered on the way, the root first: path, mode, uid, gid.
    pub parents: Vec<(Text, u32, u32, u32)>,
    /// The last directory entered (O_PATH); `None` if not even the root could be opened.
    pub last_dir: Option<OwnedFd>,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// Opened with O_PATH only.
    File(OwnedFd, Stat),
    Missing {
        existing_prefix: Text,
    },
    Unreadable {
        reason: String,
    },
}

/// Names looked at in one walk, those of symbolic links too. Linux allows 40 links of 4096 bytes each;
/// a path that needs more than this is nobody's configuration file.
const STEPS_MAX: usize = 512;
/// `MAXSYMLINKS` of include/linux/namei.h.
const LINKS_MAX: usize = 40;
/// Of a directory that exists only to be walked through.
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Root {
    /// Opens a directory of the agent's own view as a root.
    pub fn open(path: &Path) -> io::Result<Self> {
        let dir = openat(CWD, path, PATH_ONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Self::from_descriptor(dir))
    }

    /// `dir` must be open, O_PATH is enough.
    pub fn from_descriptor(dir: OwnedFd) -> Self {
        Self { dir, avoid: Vec::new() }
    }

    /// Never enters these mount points.
    pub fn avoiding(mut self, mount_points: Vec<Text>) -> Self {
        self.avoid = mount_points;
        self
    }

    /// Device and inode, which tell two roots apart.
    pub fn identity(&self) -> Option<(u64, u64)> {
        fstat(&self.dir).ok().map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// Walks `path`, from `cwd` (absolute) if it is relative. Opens nothing but with O_PATH.
    pub fn find(&self, cwd: &Text, path: &Text) -> Found {
        let mut walk = Walk {
            root: self,
            dir: None,
            names: Vec::new(),
            pending: names_of(path),
            parents: Vec::new(),
        };
        if !path.as_bytes().starts_with(b"/") {
            for name in names_of(cwd).into_iter().rev() {
                walk.pending.push_front(name);
            }
        }
        let end = if path.is_empty() {
            End::Missing { existing_prefix: Text::default() }
        } else {
            walk.run().unwrap_or_else(End::refused)
        };
        let resolved = walk.resolved();
        Found { resolved, parents: walk.parents, last_dir: walk.dir, end }
    }
}

impl Found {
    /// What is there, as plain data.
    pub fn state(&self) -> FileState {
        match &self.end {
            End::File(_, stat) => FileState::Present {
                file_type: type_name(stat).to_owned(),
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
                size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            },
            End::Missing { existing_prefix } => {
                FileState::Missing { existing_prefix: existing_prefix.clone() }
            }
            End::Unreadable { reason } => FileState::Unreadable { reason: reason.clone() },
        }
    }
}

impl End {
    fn refused(error: Refusal) -> Self {
        Self::Unreadable { reason: Errno(error.raw_os_error()).to_string() }
    }
}

struct Walk<'r> {
    root: &'r Root,
    /// The directory that `names` leads to.
    dir: Option<OwnedFd>,
    names: Vec<Vec<u8>>,
    /// Names still to look at.
    pending: VecDeque<Vec<u8>>,
    parents: Vec<(Text, u32, u32, u32)>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<End, Refusal> {
        self.enter_names()?;
        let mut links = 0;
        for _ in 0..STEPS_MAX {
            let Some(name) = self.pending.pop_front() else {
                return self.at_directory();
            };
            if name == b".." {
                self.names.pop();
                self.enter_names()?;
                continue;
            }
            if self.root.avoid.contains(&self.path_with(Some(&name))) {
                self.pending.push_front(name);
                return Ok(End::Unreadable {
                    reason: "on a file system that is served from elsewhere".to_owned(),
                });
            }
            let found = match self.open_name(&name) {
                Ok(found) => found,
                Err(error) => {
                    self.pending.push_front(name);
                    return match error {
                        Refusal::NOENT => Ok(End::Missing { existing_prefix: self.path() }),
                        other => Err(other),
                    };
                }
            };
            let stat = fstat(&found)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    links += 1;
                    if links > LINKS_MAX {
                        self.pending.push_front(name);
                        return Err(Refusal::LOOP);
                    }
                    self.follow(&found)?;
                }
                FileType::Directory => {
                    self.names.push(name);
                    self.dir = Some(found);
                    self.note_parent(&stat);
                }
                _ => {
                    self.names.push(name);
                    let end = if self.pending.is_empty() {
                        End::File(found, stat)
                    } else {
                        End::Missing { existing_prefix: self.path() }
                    };
                    return Ok(end);
                }
            }
        }
        Err(Refusal::NAMETOOLONG)
    }

    /// The walk ended at a directory: it is the file.
    fn at_directory(&mut self) -> Result<End, Refusal> {
        let Some(dir) = &self.dir else { return Err(Refusal::BADF) };
        let stat = fstat(dir)?;
        let file = dir.try_clone().map_err(|_| Refusal::MFILE)?;
        self.parents.retain(|(path, ..)| *path != join(&self.names));
        Ok(End::File(file, stat))
    }

    /// Opens what one name stands for, a symbolic link itself rather than its target.
    fn open_name(&self, name: &[u8]) -> Result<OwnedFd, Refusal> {
        let Some(dir) = &self.dir else { return Err(Refusal::BADF) };
        openat2(
            dir,
            OsStr::from_bytes(name),
            PATH_ONLY | OFlags::NOFOLLOW,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS,
        )
    }

    /// Opens the directory of `names` again from the root: the way for `..` and absolute links, by
    /// which a directory that was moved meanwhile cannot lead out.
    fn enter_names(&mut self) -> Result<(), Refusal> {
        let path = if self.names.is_empty() { b".".to_vec() } else { self.names.join(&b'/') };
        let dir = openat2(
            &self.root.dir,
            OsStr::from_bytes(&path),
            PATH_ONLY | OFlags::DIRECTORY,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS,
        )?;
        let stat = fstat(&dir)?;
        self.dir = Some(dir);
        self.note_parent(&stat);
        Ok(())
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Refusal> {
        let target = Text(readlinkat(link, "", Vec::new())?.into_bytes());
        for name in names_of(&target).into_iter().rev() {
            self.pending.push_front(name);
        }
        if target.as_bytes().starts_with(b"/") {
            self.names.clear();
            self.enter_names()?;
        }
        Ok(())
    }

    fn note_parent(&mut self, stat: &Stat) {
        let path = self.path();
        if self.parents.iter().all(|(known, ..)| *known != path) {
            self.parents.push((path, stat.st_mode & 0o7777, stat.st_uid, stat.st_gid));
        }
    }

    fn path(&self) -> Text {
        self.path_with(None)
    }

    fn path_with(&self, name: Option<&Vec<u8>>) -> Text {
        let names: Vec<&Vec<u8>> = self.names.iter().chain(name).collect();
        join(&names)
    }

    fn resolved(&self) -> Text {
        let names: Vec<&Vec<u8>> = self.names.iter().chain(&self.pending).collect();
        join(&names)
    }
}

/// Components of a path, without empty ones and `.`.
fn names_of(path: &Text) -> VecDeque<Vec<u8>> {
    path.as_bytes()
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

fn join<N: AsRef<[u8]>>(names: &[N]) -> Text {
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name.as_ref());
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Text(path)
}

fn type_name(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character_device",
        FileType::BlockDevice => "block_device",
        FileType::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn find(root: &Root, path: &str) -> Found {
        root.find(&Text::from("/"), &Text::from(path))
    }

    fn missing(prefix: &str) -> FileState {
        FileState::Missing { existing_prefix: Text::from(prefix) }
    }

    fn tree() -> (tempfile::TempDir, Root) {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("shadow"), "secret").unwrap();
        let inside = outside.path().join("rootfs");
        fs::create_dir_all(inside.join("etc")).unwrap();
        fs::write(inside.join("etc/app.toml"), "a = 1").unwrap();
        let root = Root::open(&inside).unwrap();
        (outside, root)
    }

    #[test]
    fn a_symlink_to_the_host_resolves_in_the_root_of_the_container() {
        let (outside, root) = tree();
        let inside = outside.path().join("rootfs");
        symlink(outside.path().join("shadow"), inside.join("absolute")).unwrap();
        symlink("../../../../../shadow", inside.join("etc/relative")).unwrap();
        symlink("..", inside.join("etc/up")).unwrap();
        assert_eq!(find(&root, "/absolute").state(), missing("/"));
        assert_eq!(find(&root, "/etc/relative").state(), missing("/"));
        assert_eq!(find(&root, "/etc/up/up/../../shadow").state(), missing("/"));
        assert_eq!(find(&root, "/../shadow").state(), missing("/"));
    }

    #[test]
    fn the_longest_existing_prefix_is_named() {
        let (outside, root) = tree();
        let found = find(&root, "/etc/certs/tls.key");
        assert_eq!(found.state(), missing("/etc"));
        assert_eq!(found.resolved, Text::from("/etc/certs/tls.key"));
        assert_eq!(found.parents.len(), 2);
        assert_eq!(find(&root, "/etc/app.toml/x").state(), missing("/etc/app.toml"));
        symlink("/releases/5", outside.path().join("rootfs/current")).unwrap();
        let found = find(&root, "/current/bin/app");
        assert_eq!(found.state(), missing("/"));
        assert_eq!(found.resolved, Text::from("/releases/5/bin/app"));
    }

    #[test]
    fn a_relative_path_starts_at_the_working_directory() {
        let (_outside, root) = tree();
        let found = root.find(&Text::from("/etc"), &Text::from("./app.toml"));
        assert_eq!(found.resolved, Text::from("/etc/app.toml"));
        assert!(matches!(found.end, End::File(..)));
        let found = root.find(&Text::from("/etc"), &Text::from(".."));
        assert_eq!(found.resolved, Text::from("/"));
        assert!(
            matches!(found.state(), FileState::Present { file_type, .. } if file_type == "directory")
        );
    }

    #[test]
    fn a_path_with_a_newline_and_invalid_utf8_is_found() {
        let (outside, root) = tree();
        let name = b"new\nline\xff";
        fs::write(outside.path().join("rootfs").join(OsStr::from_bytes(name)), "x").unwrap();
        let found = root.find(&Text::from("/"), &Text(name.to_vec()));
        assert!(matches!(found.end, End::File(..)));
    }

    #[test]
    fn a_loop_of_symlinks_ends() {
        let (outside, root) = tree();
        symlink("b", outside.path().join("rootfs/a")).unwrap();
        symlink("a", outside.path().join("rootfs/b")).unwrap();
        assert_eq!(find(&root, "/a").state(), FileState::Unreadable { reason: "ELOOP".to_owned() });
    }

    #[test]
    fn hostile_lengths_end() {
        let (_outside, root) = tree();
        let deep = "etc/../".repeat(5000);
        assert!(matches!(find(&root, &deep).state(), FileState::Unreadable { .. }));
        let long = "x".repeat(300);
        assert!(matches!(find(&root, &long).state(), FileState::Unreadable { .. }));
        assert_eq!(find(&root, "").state(), missing(""));
    }

    #[test]
    fn a_mount_point_served_from_elsewhere_is_not_entered() {
        let (_outside, root) = tree();
        let root = root.avoiding(vec![Text::from("/etc")]);
        let found = find(&root, "/etc/app.toml");
        assert!(matches!(found.end, End::Unreadable { .. }));
        assert_eq!(found.resolved, Text::from("/etc/app.toml"));
    }
}
