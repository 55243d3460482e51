//! A living process in /proc, held by its folder: once opened it can only be this process or none,
//! however often the pid is used again. It must not know why it is looked at.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, readlinkat, statat},
    io::Errno as Refusal,
};

use crate::{
    capture::event::{BootNs, Process},
    linux::text::Text,
};

/// The folder of a process in the agent's /proc.
#[derive(Debug)]
pub struct ProcessDir {
    dir: OwnedFd,
}

/// Why a process cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is not in the agent's pid namespace.
    NotVisible,
    Ended,
    /// Its pid belongs to a later process.
    Reused,
}

/// `USER_HZ` is 100 on every architecture that we build for: one tick of /proc in nanoseconds.
const TICK_NS: u64 = 10_000_000;
/// Bytes of /proc/PID/stat: 52 numbers and a name.
const STAT_MAX: usize = 4096;

/// Bytes of a command line that are read.
const ARGUMENTS_MAX: usize = 4096;

/// The path of a living process's program, as the process sees it, and its arguments. `None` if it has ended.
pub fn program_of(process: &Process) -> Option<(Text, Vec<Text>)> {
    let process = ProcessDir::of(process).ok()?;
    let path = process.link("exe").ok()?;
    let line = process.read("cmdline", ARGUMENTS_MAX).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let args = line.split(|byte| *byte == 0).map(|argument| Text(argument.to_vec())).collect();
    Some((path, args))
}

impl ProcessDir {
    /// Opens the process of an event.
    pub fn of(process: &Process) -> Result<Self, Gone> {
        let pid = process.agent_pid.ok_or(Gone::NotVisible)?;
        let dir = Self::open_pid(pid).map_err(|_| Gone::Ended)?;
        let stat = dir.read("stat", STAT_MAX).map_err(|_| Gone::Ended)?;
        let ticks = start_ticks(&stat).ok_or(Gone::Ended)?;
        if ticks.abs_diff(ticks_of(process.id.start_ns)) > 1 {
            return Err(Gone::Reused);
        }
        Ok(dir)
    }

    /// Opens whatever process has this pid now.
    pub fn open_pid(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { dir: openat(CWD, format!("/proc/{pid}"), flags, Mode::empty())? })
    }

    /// The first bytes of one of its files, at most `limit`.
    pub fn read(&self, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.dir, name, flags, Mode::empty())?);
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens what `root`, `ns/mnt` or `cwd` stands for, with O_PATH: this keeps it alive.
    pub fn hold(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.dir, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens one of its files for reading, such as `ns/mnt` to enter it.
    pub fn open(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// The text of a link such as `cwd`.
    pub fn link(&self, name: &str) -> io::Result<Text> {
        Ok(Text(readlinkat(&self.dir, name, Vec::new())?.into_bytes()))
    }

    /// Device and inode of what a link such as `ns/net` stands for.
    pub fn stat(&self, name: &str) -> Result<Stat, Refusal> {
        statat(&self.dir, name, AtFlags::empty())
    }

    /// inum of one of its namespaces.
    pub fn namespace(&self, name: &str) -> Option<u32> {
        u32::try_from(self.stat(name).ok()?.st_ino).ok()
    }

    /// Its working directory as it sees it itself: below its own root.
    pub fn working_directory(&self) -> Option<Text> {
        let cwd = self.link("cwd").ok()?;
        let root = self.link("root").ok()?;
        Some(below(&root, cwd))
    }

    /// What stands behind one of its descriptors, if it is a path.
    pub fn descriptor_path(&self, descriptor: i32) -> Option<Text> {
        let path = self.link(&format!("fd/{descriptor}")).ok()?;
        let root = self.link("root").ok()?;
        Some(below(&root, path)).filter(|path| path.as_bytes().starts_with(b"/"))
    }

    /// Its command line with spaces between the arguments, at most `limit` bytes.
    pub fn command(&self, limit: usize) -> Text {
        let bytes = self.read("cmdline", limit).unwrap_or_default();
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Text(bytes[..end].iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect())
    }

    pub fn comm(&self) -> Text {
        let bytes = self.read("comm", 64).unwrap_or_default();
        Text(bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec())
    }
}

/// `start_time` as /proc/PID/stat shows it.
fn ticks_of(start_ns: BootNs) -> u64 {
    start_ns / TICK_NS
}

/// Field 22 of /proc/PID/stat. The name before may hold blanks and parentheses.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    text.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A path as seen from `root`, where it lies below it.
fn below(root: &Text, path: Text) -> Text {
    match path.as_bytes().strip_prefix(root.as_bytes()) {
        Some(b"") => Text::from("/"),
        Some(rest) if rest.starts_with(b"/") && root.as_bytes() != b"/" => Text(rest.to_vec()),
        Some(_) | None => path,
    }
}

#[cfg(test)]
pub mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::capture::event::ProcessId;

    /// A process that sleeps until it is killed, at the latest when this is dropped.
    pub struct Sleeper(Child);

    impl Sleeper {
        pub fn end(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            // It may have been ended already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A process and its event form.
    pub fn sleeper() -> (Sleeper, Process) {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = process_of(child.id());
        (Sleeper(child), process)
    }

    pub fn process_of(pid: u32) -> Process {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap();
        Process {
            id: ProcessId { pid, start_ns: start_ticks(&stat).unwrap() * TICK_NS + 3 },
            tid: pid,
            container_pid: pid,
            agent_pid: Some(pid),
            parent_pid: std::process::id(),
            uid: 0,
            gid: 0,
            cgroup: 77,
            pid_ns: 0,
            seccomp: false,
            comm: Text::from("test"),
            tracked: true,
            root: true,
            runtime_init: false,
            kernel_thread: false,
            below_root: None,
            above: None,
        }
    }

    #[test]
    fn the_start_time_is_read_behind_a_hostile_name() {
        let tail = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2";
        let stat = format!("12 (a) b (c)) {tail}");
        assert_eq!(start_ticks(stat.as_bytes()), Some(4242));
        assert_eq!(start_ticks(b"12 (x"), None);
        assert_eq!(start_ticks(b"12 (x) S"), None);
        assert_eq!(start_ticks(b"\xff)\xff"), None);
    }

    #[test]
    fn a_pid_used_again_is_not_taken_for_the_process() {
        let (_child, mut process) = sleeper();
        assert!(ProcessDir::of(&process).is_ok());
        process.id.start_ns += 5 * TICK_NS;
        assert_eq!(ProcessDir::of(&process).unwrap_err(), Gone::Reused);
        process.agent_pid = None;
        assert_eq!(ProcessDir::of(&process).unwrap_err(), Gone::NotVisible);
    }

    #[test]
    fn a_process_that_dies_while_being_inspected_gives_errors() {
        let (mut child, process) = sleeper();
        let dir = ProcessDir::of(&process).unwrap();
        child.end();
        assert!(dir.read("stat", 100).is_err());
        assert!(dir.hold("root").is_err());
        assert_eq!(dir.working_directory(), None);
        assert_eq!(dir.namespace("ns/net"), None);
        assert!(dir.command(100).is_empty() && dir.comm().is_empty());
        assert_eq!(ProcessDir::of(&process).unwrap_err(), Gone::Ended);
    }

    #[test]
    fn the_command_line_has_blanks_between_arguments() {
        let (_child, process) = sleeper();
        let dir = ProcessDir::of(&process).unwrap();
        // The kernel shows an empty command line until the exec is done.
        while dir.comm() != Text::from("sleep") || dir.command(100).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(dir.command(100), Text::from("sleep 1000"));
        assert!(dir.working_directory().is_some());
    }

    #[test]
    fn a_path_is_seen_from_the_own_root() {
        let from = |root: &str, path: &str| below(&Text::from(root), Text::from(path)).to_string();
        assert_eq!(from("/", "/app"), "/app");
        assert_eq!(from("/jail", "/jail/app"), "/app");
        assert_eq!(from("/jail", "/jail"), "/");
        assert_eq!(from("/jail", "/jailer"), "/jailer");
    }
}
