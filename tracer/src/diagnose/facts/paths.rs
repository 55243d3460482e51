//! What is at the paths that failed calls named. It must not know which of them is to blame.

use std::collections::HashMap;

use rustix::fs::fstatvfs;

use super::{
    model::{Mount, PathFact},
    mounts,
    root::{Found, Root},
};
use crate::{
    capture::event::{Address, Bind, Call, Event, ExecFailed, Object, ProcessId},
    linux::{errno::Errno, text::Text},
};

/// A path as a failed call named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blamed {
    pub path: Text,
    pub process: ProcessId,
    /// Working directory of the process at its end, where a relative path starts.
    pub cwd: Option<Text>,
}

/// Paths of one life, and of one process for each kind of error.
const PATHS_MAX: usize = 24;
const PATHS_OF_PROCESS: usize = 4;
const AT_FDCWD: i32 = -100;

/// The paths worth a look, the latest first: absence is tried too often to crowd out refusals.
pub fn worth_blaming(entries: &[Event]) -> Vec<Blamed> {
    let cwds = working_directories(entries);
    let mut counts: HashMap<(ProcessId, bool), usize> = HashMap::new();
    let mut blamed: Vec<Blamed> = Vec::new();
    for event in entries.iter().rev() {
        let Some((path, errno)) = path_of(event) else { continue };
        let process = event.process.id;
        let is_absence = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
        let entry = Blamed { path: path.clone(), process, cwd: cwds.get(&process).cloned() };
        if blamed.contains(&entry) {
            continue;
        }
        let count = counts.entry((process, is_absence)).or_default();
        if *count < PATHS_OF_PROCESS && blamed.len() < PATHS_MAX {
            *count += 1;
            blamed.push(entry);
        }
    }
    blamed
}

/// The working directory at each process's end, as far as it was recorded.
pub fn working_directories(entries: &[Event]) -> HashMap<ProcessId, Text> {
    entries
        .iter()
        .filter_map(|event| Some((event.process.id, event.exit()?.cwd.clone()?)))
        .collect()
}

/// Looks one path up in a root with these mounts.
pub fn look_up(root: &Root, mounts: &[Mount], cwd: &Text, path: &Text) -> PathFact {
    let found = root.find(cwd, path);
    PathFact {
        path: path.clone(),
        file: found.state(),
        mount: mounts::mount_of(mounts, &found.resolved).map(|mount| with_sizes(mount, &found)),
        resolved: found.resolved,
        parents: found.parents,
    }
}

fn path_of(event: &Event) -> Option<(&Text, Errno)> {
    let of_call = event.call().and_then(path_of_call);
    let of_bind = || event.bind().and_then(path_of_bind);
    let of_exec = || event.exec_failed().and_then(path_of_exec);
    of_call.or_else(of_bind).or_else(of_exec)
}

fn path_of_bind(bind: &Bind) -> Option<(&Text, Errno)> {
    let path = bind.address.unix().filter(|path| path.as_bytes().starts_with(b"/"))?;
    Some((path, bind.errno?))
}

/// A refused program may be on a file system mounted noexec, or below a closed folder.
fn path_of_exec(failed: &ExecFailed) -> Option<(&Text, Errno)> {
    let is_known = failed.path.as_bytes().starts_with(b"/") || failed.dirfd.is_none();
    let is_refusal = matches!(failed.errno, Errno::EACCES | Errno::EPERM);
    let is_whole = !failed.path_truncated && !failed.path.is_empty();
    (is_known && is_refusal && is_whole).then_some((&failed.path, failed.errno))
}

fn path_of_call(call: &Call) -> Option<(&Text, Errno)> {
    let (path, truncated) = match &call.object {
        Object::Path { path, truncated } | Object::File { path, truncated } => (path, *truncated),
        Object::Address(Address::Unix(path)) if path.as_bytes().starts_with(b"/") => (path, false),
        Object::None | Object::Address(_) | Object::Dns(_) | Object::Pids { .. } => return None,
    };
    let is_known = path.as_bytes().starts_with(b"/") || !is_relative_to_descriptor(call);
    let is_whole = !truncated && !path.is_empty();
    (is_worth_a_look(call.errno) && is_known && is_whole).then_some((path, call.errno))
}

/// Calls of the `*at` family take a directory descriptor first; which directory it was is not recorded.
fn is_relative_to_descriptor(call: &Call) -> bool {
    let has_descriptor = call.name.ends_with("at")
        || call.name.ends_with("at2")
        || matches!(call.name, "statx" | "name_to_handle_at");
    let is_plain = matches!(call.name, "stat" | "lstat" | "fstat" | "creat");
    // The kernel takes the low 32 bits of the register for an int.
    has_descriptor && !is_plain && (call.args[0] as u32).cast_signed() != AT_FDCWD
}

fn is_worth_a_look(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::EACCES
            | Errno::EPERM
            | Errno::EROFS
            | Errno::ENOSPC
            | Errno::EDQUOT
            | Errno::EISDIR
            | Errno::EBUSY
            | Errno::EXDEV
            | Errno::EEXIST
            | Errno::ELOOP
            | Errno::ETXTBSY
            | Errno::EFBIG
            | Errno::EIO
            | Errno::ENXIO
            | Errno::ECONNREFUSED
            | Errno::EADDRINUSE
    )
}

/// The numbers of the file system that the walk ended on, unless it may wait for someone else.
fn with_sizes(mount: &Mount, found: &Found) -> Mount {
    let mut mount = mount.clone();
    if mounts::is_served_from_elsewhere(&mount) {
        return mount;
    }
    if let Some(numbers) = found.last_dir.as_ref().and_then(|dir| fstatvfs(dir).ok()) {
        mount.size_bytes = numbers.f_blocks.checked_mul(numbers.f_frsize);
        mount.free_bytes = numbers.f_bavail.checked_mul(numbers.f_frsize);
        mount.free_inodes = Some(numbers.f_favail);
    }
    mount
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::event::{Exit, Process, What},
        diagnose::facts::{model::FileState, process_dir::tests::process_of},
        render::samples,
    };

    fn event(what: What) -> Event {
        let process: Process = process_of(std::process::id());
        Event { time_ns: 1, cgroup: 77, process, what }
    }

    fn call(name: &'static str, dirfd: i32, path: &str, errno: Errno) -> Event {
        event(What::Call(Call {
            args: [u64::from(dirfd.cast_unsigned()), 0, 0, 0, 0],
            ..samples::call(name, errno, samples::path(path))
        }))
    }

    fn paths(entries: &[Event]) -> Vec<String> {
        worth_blaming(entries).iter().map(|blamed| blamed.path.to_string()).collect()
    }

    #[test]
    fn forty_probes_do_not_crowd_out_a_refusal() {
        let mut entries = vec![call("openat", AT_FDCWD, "/tls.key", Errno::EACCES)];
        for index in 0..40 {
            let path = format!("/probe{index}");
            entries.push(call("openat", AT_FDCWD, &path, Errno::ENOENT));
        }
        assert_eq!(paths(&entries), ["/probe39", "/probe38", "/probe37", "/probe36", "/tls.key"]);
    }

    #[test]
    fn a_path_relative_to_an_unknown_directory_is_not_guessed() {
        assert!(paths(&[call("openat", 5, "x", Errno::ENOENT)]).is_empty());
        assert_eq!(paths(&[call("openat", 5, "/x", Errno::ENOENT)]), ["/x"]);
        assert_eq!(paths(&[call("open", 5, "x", Errno::ENOENT)]), ["x"]);
        assert_eq!(paths(&[call("stat", 5, "x", Errno::ENOENT)]), ["x"]);
        assert!(paths(&[call("openat", AT_FDCWD, "/x", Errno::EBADF)]).is_empty());
    }

    #[test]
    fn the_working_directory_at_the_end_is_used() {
        let exit =
            What::Exit(Exit { cwd: Some(Text::from("/srv")), ..samples::exit(samples::code(1)) });
        let blamed = worth_blaming(&[call("open", 0, "conf", Errno::ENOENT), event(exit)]);
        assert_eq!(blamed[0].cwd, Some(Text::from("/srv")));
    }

    #[test]
    fn a_path_is_told_with_its_folders_and_its_file_system() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mountinfo = b"1 0 8:1 / / ro,relatime - ext4 /dev/sda1 rw\n";
        let mounts = mounts::parse(mountinfo);
        let fact = look_up(&root, &mounts, &Text::from("/data"), &Text::from("db/file"));
        assert_eq!(fact.resolved, Text::from("/data/db/file"));
        assert_eq!(fact.file, FileState::Missing { existing_prefix: Text::from("/data") });
        assert_eq!(fact.parents.len(), 2);
        let mount = fact.mount.unwrap();
        assert!(mount.read_only);
        assert!(mount.size_bytes.unwrap() >= mount.free_bytes.unwrap());
    }
}
