//! Puts a damaged store aside, so that a new one can be begun in its place. It must not know SQL.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Ends of the names of SQLite's files beside the database: write-ahead log and shared memory.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
const DAMAGED: &str = ".damaged-";

/// Renames the files of a store to `STORE.damaged-TIME`. Only the newest is kept: a disk that damages everything must not
/// be filled by it. Returns where it is now.
///
/// # Errors
/// The database cannot be renamed.
pub fn put(path: &Path, now: jiff::Timestamp) -> io::Result<PathBuf> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = with_end(path, &format!("{DAMAGED}{time}"));
    for older in older(path) {
        // One that cannot be removed stays.
        let _ = fs::remove_file(older);
    }
    for end in BESIDE {
        match fs::rename(with_end(path, end), with_end(&aside, end)) {
            Err(error) if error.kind() == ErrorKind::NotFound && !end.is_empty() => {}
            other => other?,
        }
    }
    Ok(aside)
}

/// What was put aside before.
fn older(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let begins = with_end(Path::new(name), DAMAGED).into_os_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let is_aside = |entry: &fs::DirEntry| {
        entry.file_name().as_encoded_bytes().starts_with(begins.as_encoded_bytes())
    };
    entries.filter(is_aside).map(|entry| entry.path()).collect()
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_put_aside_with_its_log_and_only_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.sqlite");
        let names = || {
            let mut names: Vec<String> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        for (time, log) in [("2001-02-03T04:05:06Z", true), ("2001-02-03T04:05:07Z", false)] {
            fs::write(&store, "damaged").unwrap();
            if log {
                fs::write(with_end(&store, "-wal"), "log").unwrap();
            }
            put(&store, time.parse().unwrap()).unwrap();
            let name = format!("store.sqlite.damaged-{}", time.replace(['-', ':'], ""));
            let mut expected = vec![name.clone()];
            expected.extend(log.then(|| format!("{name}-wal")));
            assert_eq!(names(), expected);
        }
        assert!(put(&store, jiff::Timestamp::UNIX_EPOCH).is_err());
    }
}
