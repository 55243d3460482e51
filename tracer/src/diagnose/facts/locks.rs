//! Who holds a lock that was refused: the kernel's table of locks, by device and inode of the file. It must not know why it
//! was wanted.

use std::{fs::File, io::Read};

use rustix::fs::{Stat, major, minor};

use super::{
    model::{LockFact, LockHolder},
    process_dir::ProcessDir,
    root::{End, Root},
};
use crate::{
    capture::event::{Event, Object, ProcessId},
    linux::{errno::Errno, text::Text},
};

/// fcntl(2): the kinds that do not wait.
const F_SETLK: u64 = 6;
const F_OFD_SETLK: u64 = 37;
const WANTED_MAX: usize = 4;
const HOLDERS_MAX: usize = 4;
const TABLE_MAX: u64 = 1 << 20;
const COMMAND_MAX: usize = 4096;

/// Files whose lock was refused, the latest first.
pub fn wanted(entries: &[Event]) -> Vec<(ProcessId, &Text)> {
    let mut wanted: Vec<(ProcessId, &Text)> = Vec::new();
    for event in entries.iter().rev() {
        let Some(call) = event.call() else { continue };
        let locks = call.name == "flock"
            || (call.name == "fcntl" && [F_SETLK, F_OFD_SETLK].contains(&call.args[1]));
        let refused = matches!(call.errno, Errno::EAGAIN | Errno::EACCES);
        let Object::File { path, truncated: false } = &call.object else { continue };
        let one = (event.process.id, path);
        if locks && refused && !wanted.contains(&one) && wanted.len() < WANTED_MAX {
            wanted.push(one);
        }
    }
    wanted
}

/// Looks up who holds locks on a file now.
pub fn look_up(root: &Root, path: &Text) -> Option<LockFact> {
    let End::File(_, stat) = root.find(&Text::from("/"), path).end else { return None };
    let mut table = Vec::new();
    File::open("/proc/locks").ok()?.take(TABLE_MAX).read_to_end(&mut table).ok()?;
    let holders = holders_in(&table, &stat).into_iter().map(describe).collect();
    Some(LockFact { path: path.clone(), holders })
}

/// `1: FLOCK  ADVISORY  WRITE 4211 08:02:131111 0 EOF`; those that wait have `->` before their kind (fs/locks.c).
/// The pid is 0 or -1 where the kernel names nobody.
fn holders_in(table: &[u8], stat: &Stat) -> Vec<Option<u32>> {
    let file = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let text = String::from_utf8_lossy(table);
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, kind, _, _, pid, of, ..] = fields[..] else { return None };
        let is_lock = ["FLOCK", "POSIX", "OFDLCK"].contains(&kind);
        (is_lock && of == file).then(|| pid.parse().ok().filter(|pid| *pid > 0))
    };
    let mut holders: Vec<Option<u32>> = text.lines().filter_map(holder).collect();
    holders.dedup();
    holders.truncate(HOLDERS_MAX);
    holders
}

fn describe(pid: Option<u32>) -> LockHolder {
    let dir = pid.and_then(|pid| ProcessDir::open_pid(pid).ok());
    LockHolder {
        pid,
        comm: dir.as_ref().map_or_else(Text::default, ProcessDir::comm),
        command: dir.map_or_else(Text::default, |dir| dir.command(COMMAND_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::fs::{FlockOperation, flock, stat};

    use super::*;

    #[test]
    fn the_process_that_holds_a_lock_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.lock");
        let file = File::create(&path).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let name = Text::from("/db.lock");
        assert!(look_up(&root, &name).unwrap().holders.is_empty());
        flock(&file, FlockOperation::LockExclusive).unwrap();
        let fact = look_up(&root, &name).unwrap();
        assert_eq!(fact.holders[0].pid, Some(std::process::id()));
        assert!(!fact.holders[0].command.is_empty());
    }

    #[test]
    fn who_waits_holds_nothing_and_who_is_unknown_has_no_pid() {
        let stat = stat(Path::new("/")).unwrap();
        let of = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        let table = format!(
            "1: OFDLCK ADVISORY  WRITE -1 {of} 0 EOF\n1: -> OFDLCK ADVISORY  WRITE 7 {of} 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 00:01:1 0 EOF\nx\n"
        );
        assert_eq!(holders_in(table.as_bytes(), &stat), [None]);
    }
}
