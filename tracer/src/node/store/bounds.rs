//! Keeps the store within its age and size: deletes the oldest, gives space back. It must not know what is written.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};

use super::{
    database::{Database, PROCESSES_REMEMBERED},
    statistics::Counters,
};

/// What a store may hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// Database, wal and shm together; [`Options::BYTES_MIN`] at least.
    pub max_bytes: u64,
    pub max_age: Duration,
    /// /proc/sys/kernel/random/boot_id: lives of another boot live no more.
    pub boot_id: String,
}

impl Options {
    pub const BYTES_MIN: u64 = 16 << 20;
}

pub struct Bounds {
    path: PathBuf,
    options: Options,
    page_bytes: u64,
    /// Half of what the wal may take: there SQLite empties it into the database, where no reader is in its way.
    wal_bytes: u64,
    /// What the tables may take.
    budget: u64,
    crash_bytes: CrashBytes,
    lives_checked: Option<Instant>,
}

/// The sum of all crashes, as of a count of those written.
#[derive(Default)]
struct CrashBytes {
    at: Option<u64>,
    sum: u64,
}

/// One batch adds less than this to the tables, and to the wal.
const BATCH_ROOM: u64 = 3 << 19;
/// What shm takes for the largest wal, and more.
const SHM_ROOM: u64 = 128 << 10;
const EVENTS_A_STEP: i64 = 2000;
const CRASHES_A_STEP: i64 = 8;
const LIVES_A_STEP: i64 = 256;
/// Steps before the next batch is written: what is left is deleted after it.
const STEPS_MAX: u32 = 64;
const PAGES_GIVEN_BACK_A_STEP: u32 = 512;
const LIVES_EVERY: Duration = Duration::from_secs(60);
/// A row of `lives` and its index entries, about.
const LIFE_BYTES: u64 = 1024;

impl Bounds {
    pub fn new(path: &Path, options: Options, connection: &Connection) -> rusqlite::Result<Self> {
        let max_bytes = options.max_bytes.max(Options::BYTES_MIN);
        let page_bytes: u64 =
            connection.pragma_query_value(None, "page_size", |row| row.get(0).map(unsigned))?;
        let wal_bytes = (max_bytes / 16).clamp(2 << 20, 8 << 20);
        connection.pragma_update(
            None,
            "wal_autocheckpoint",
            (wal_bytes / page_bytes).cast_signed(),
        )?;
        connection.pragma_update_and_check(
            None,
            "journal_size_limit",
            wal_bytes.cast_signed(),
            |_| Ok(()),
        )?;
        Ok(Self {
            path: path.to_owned(),
            options,
            page_bytes,
            wal_bytes,
            budget: max_bytes - 2 * wal_bytes - SHM_ROOM,
            crash_bytes: CrashBytes::default(),
            lives_checked: None,
        })
    }

    /// To be called before every batch: a reader that holds an old snapshot keeps the wal from being emptied.
    ///
    /// # Errors
    /// The wal has no room for a batch.
    pub fn make_room(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.wal_is_full() {
            self.truncate_wal(connection)?;
        }
        if self.wal_is_full() {
            let reason =
                "the write-ahead log cannot be emptied: some program keeps a read transaction open";
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                Some(reason.to_owned()),
            ));
        }
        Ok(())
    }

    /// To be called after every batch, and now and then without one. `now_ns` is since 1970.
    ///
    /// # Errors
    /// The store cannot be written; what was deleted is deleted.
    pub fn keep(
        &mut self,
        database: &mut Database,
        counters: &Counters,
        now_ns: i64,
    ) -> rusqlite::Result<()> {
        let age = i64::try_from(self.options.max_age.as_nanos()).unwrap_or(i64::MAX);
        self.keep_age(database, counters, now_ns.saturating_sub(age))?;
        self.keep_size(database, counters)?;
        self.give_back(&database.connection)?;
        counters.bytes.store(self.bytes(), Relaxed);
        Ok(())
    }

    /// Database, wal and shm together.
    pub fn bytes(&self) -> u64 {
        ["", "-wal", "-shm"].iter().map(|suffix| self.file_bytes(suffix)).sum()
    }

    /// Frees the wal's space, if no reader is in it.
    pub fn truncate_wal(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_millis(100))?;
        let result = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        connection.busy_timeout(super::schema::BUSY)?;
        result
    }

    fn keep_age(
        &mut self,
        database: &mut Database,
        counters: &Counters,
        oldest_ns: i64,
    ) -> rusqlite::Result<()> {
        let connection = &database.connection;
        for _ in 0..STEPS_MAX {
            let first: Option<i64> = connection
                .prepare_cached("SELECT (SELECT time_ns FROM events ORDER BY id LIMIT 1)")?
                .query_row([], |row| row.get(0))?;
            if first.is_none_or(|first| first >= oldest_ns)
                || self.wal_is_full()
                || self.delete_events(connection, counters)? == 0
            {
                break;
            }
        }
        self.delete_crashes(connection, counters, oldest_ns)?;
        if self.lives_checked.is_none_or(|checked| checked.elapsed() >= LIVES_EVERY) {
            self.lives_checked = Some(Instant::now());
            let most = (self.budget / 16 / LIFE_BYTES).cast_signed();
            let known: i64 =
                connection.query_row("SELECT count(*) FROM lives", [], |row| row.get(0))?;
            let deleted = self.delete_lives(connection, oldest_ns, i64::MAX)?
                + self.delete_lives(connection, i64::MAX, (known - most).max(0))?;
            if deleted > 0 {
                database.forget_lives();
            }
        }
        Ok(())
    }

    /// Oldest events first; crashes where they take more than half, or no events are left.
    fn keep_size(&mut self, database: &mut Database, counters: &Counters) -> rusqlite::Result<()> {
        for _ in 0..STEPS_MAX {
            let connection = &database.connection;
            let has_room = self.table_bytes(connection)? + BATCH_ROOM <= self.budget;
            if has_room || self.wal_is_full() {
                break;
            }
            let many_crashes = self.crash_bytes(connection, counters)? > self.budget / 2;
            let deleted = many_crashes && self.delete_crashes(connection, counters, i64::MAX)? > 0
                || self.delete_events(connection, counters)? > 0
                || self.delete_crashes(connection, counters, i64::MAX)? > 0;
            if !deleted {
                if self.delete_lives(connection, i64::MAX, LIVES_A_STEP)? == 0 {
                    break;
                }
                database.forget_lives();
            }
        }
        Ok(())
    }

    /// The newest event stays: its row is where a follower goes on.
    fn delete_events(
        &self,
        connection: &Connection,
        counters: &Counters,
    ) -> rusqlite::Result<usize> {
        let deleted = connection
            .prepare_cached(
                "DELETE FROM events
                WHERE id < min((SELECT min(id) FROM events) + ?1, (SELECT max(id) FROM events))",
            )?
            .execute([EVENTS_A_STEP])?;
        connection
            .prepare_cached(
                "DELETE FROM processes
                WHERE id < (SELECT process FROM events ORDER BY id LIMIT 1) - ?1",
            )?
            .execute([PROCESSES_REMEMBERED as i64])?;
        counters.deleted_events.fetch_add(deleted as u64, Relaxed);
        Ok(deleted)
    }

    /// Some of the oldest of those before that time.
    fn delete_crashes(
        &mut self,
        connection: &Connection,
        counters: &Counters,
        before_ns: i64,
    ) -> rusqlite::Result<usize> {
        let deleted = connection
            .prepare_cached(
                "DELETE FROM crashes WHERE id IN
                    (SELECT id FROM crashes WHERE time_ns < ?1 ORDER BY time_ns LIMIT ?2)",
            )?
            .execute([before_ns, CRASHES_A_STEP])?;
        if deleted > 0 {
            self.crash_bytes.at = None;
        }
        counters.deleted_crashes.fetch_add(deleted as u64, Relaxed);
        Ok(deleted)
    }

    /// Lives that ended before that time, the oldest first, at most so many, and none that an event or crash is of.
    fn delete_lives(
        &self,
        connection: &Connection,
        before_ns: i64,
        most: i64,
    ) -> rusqlite::Result<usize> {
        if most == 0 {
            return Ok(0);
        }
        connection
            .prepare_cached(
                "DELETE FROM lives WHERE id IN
                    (SELECT id FROM lives
                    WHERE (ended_ns < ?1 OR (ended_ns IS NULL AND boot_id <> ?2 AND began_ns < ?1))
                        AND coalesce(ended_row, 0) < (SELECT coalesce(min(id), 1) FROM events)
                        AND NOT EXISTS (SELECT 1 FROM crashes WHERE crashes.life = lives.id)
                    ORDER BY began_ns LIMIT ?3)",
            )?
            .execute(params![before_ns, self.options.boot_id, most])
    }

    /// Free pages are used again; many of them, or a file that is too large, go back to the file system.
    fn give_back(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (pages, free) = pages(connection)?;
        let is_much = free > 1024 && free > pages / 4;
        if is_much || free > 0 && pages * self.page_bytes > self.budget {
            let sql = format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK_A_STEP})");
            // Each row is a page.
            let mut statement = connection.prepare_cached(&sql)?;
            let mut given_back = statement.query([])?;
            while given_back.next()?.is_some() {}
        }
        Ok(())
    }

    fn table_bytes(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let (pages, free) = pages(connection)?;
        Ok(pages.saturating_sub(free) * self.page_bytes)
    }

    fn crash_bytes(
        &mut self,
        connection: &Connection,
        counters: &Counters,
    ) -> rusqlite::Result<u64> {
        let written = counters.crashes.load(Relaxed);
        if self.crash_bytes.at != Some(written) {
            self.crash_bytes.sum = connection
                .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM crashes")?
                .query_row([], |row| row.get(0).map(unsigned))?;
            self.crash_bytes.at = Some(written);
        }
        Ok(self.crash_bytes.sum)
    }

    fn wal_is_full(&self) -> bool {
        self.file_bytes("-wal") + BATCH_ROOM > 2 * self.wal_bytes
    }

    fn file_bytes(&self, suffix: &str) -> u64 {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

/// All pages of the file, and those that are free.
fn pages(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let read = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get(0).map(unsigned));
    Ok((read("PRAGMA page_count")?, read("PRAGMA freelist_count")?))
}

/// Of counts, which SQLite never gives below 0.
fn unsigned(count: i64) -> u64 {
    count.unsigned_abs()
}
