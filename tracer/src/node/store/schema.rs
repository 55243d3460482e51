//! The tables, and how a connection is set up. docs/operations.md shows them to people with `sqlite3`.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};
use rustix::fs::OFlags;

use super::StoreError;

/// How to come from each schema version to the next: the first makes version 1 from an empty file.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// The schema that this program reads and writes, kept as the file's `user_version`.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// How long to wait for somebody else's lock.
pub const BUSY: Duration = Duration::from_secs(2);

/// Opens for writing; makes or migrates the file where needed. Only its owner may read it: it holds arguments.
pub fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    let wrong = |source| StoreError::Open { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| wrong(unopenable(&error)))?;
    }
    refuse_irregular(path)?;
    // Without waiting: a FIFO that came just now has no reader.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| wrong(unopenable(&error)))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(without_links(path), flags).map_err(wrong)?;
    set_up(&connection).map_err(wrong)?;
    migrate(path, &mut connection)?;
    Ok(connection)
}

/// Opens for reading only.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    if fs::symlink_metadata(path).is_err() {
        return Err(StoreError::Absent(path.to_owned()));
    }
    refuse_irregular(path)?;
    let wrong = |source| StoreError::Open { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY).map_err(wrong)?;
    let found = version(&connection).map_err(wrong)?;
    match found {
        VERSION => Ok(connection),
        // What is there is not made yet, as on a full disk.
        0 => Err(StoreError::Absent(path.to_owned())),
        found if found > VERSION => Err(newer(path, found)),
        found => Err(StoreError::Older { path: path.to_owned(), found, known: VERSION }),
    }
}

/// A link may lead anywhere, a FIFO never ends, and neither was made by an agent.
fn refuse_irregular(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        // A folder is told apart by what opens it.
        Ok(about) if about.is_file() || about.is_dir() => Ok(()),
        Ok(_) => Err(StoreError::Irregular(path.to_owned())),
        // It is made, or the error told, by what opens it.
        Err(_) => Ok(()),
    }
}

/// The path by the folder's true name: SQLite follows no link at all where it shall not follow the last.
fn without_links(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// With WAL, `synchronous` NORMAL keeps what was committed when the process is killed; the last commits before a
/// power failure may be missing, the file stays whole.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // Only before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let wrong = |source| StoreError::Open { path: path.to_owned(), source };
    // The lock comes first: another program may be migrating just now.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
    let found = version(&transaction).map_err(wrong)?;
    let Some(missing) = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(newer(path, found));
    };
    for migration in missing {
        transaction.execute_batch(migration).map_err(wrong)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(wrong)?;
    transaction.commit().map_err(wrong)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::Newer { path: path.to_owned(), found, known: VERSION }
}

fn unopenable(error: &std::io::Error) -> rusqlite::Error {
    let code = match error.kind() {
        ErrorKind::IsADirectory => ffi::SQLITE_CANTOPEN_ISDIR,
        _ => ffi::SQLITE_CANTOPEN,
    };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(error.to_string()))
}
