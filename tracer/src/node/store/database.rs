//! The writing connection: what each write becomes in the tables. It must not know threads or bounds.

use std::{collections::HashMap, path::Path, sync::Arc};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{
    End, Life, LifeKey, StoreError,
    schema::open_to_write,
    shape::Split,
    write::{CrashRow, EventRow, Recorded, Write},
};
use crate::contract::{
    Creation, Entry, ExitStatus, Process, What,
    kinds::{Lost, Of},
    rfc3339,
};

pub struct Database {
    pub connection: Connection,
    lives: HashMap<LifeKey, i64>,
    /// By paths, then by kind.
    shapes: HashMap<String, Vec<(String, i64)>>,
    /// Of a life and a state, the row that says it.
    processes: HashMap<(i64, i64, String), i64>,
}

/// Rows of `processes` that events may refer to, counted back from the newest: a state that was said earlier is
/// said again. So those that no event refers to are known by their ids.
pub const PROCESSES_REMEMBERED: usize = 1024;
const LIVES_REMEMBERED: usize = 1024;
const SHAPES_REMEMBERED: usize = 1024;

/// What one batch did.
#[derive(Default)]
pub struct Done {
    pub events: u64,
    pub crashes: u64,
    /// Events lost before, for which a gap was written.
    pub gaps: u64,
    /// Rows that SQLite refused for what is in them.
    pub refused: u64,
    pub answers: Vec<(oneshot::Sender<Recorded>, Recorded)>,
    pub flushed: Vec<oneshot::Sender<()>>,
}

impl Database {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_to_write(path)?;
        Ok(Self {
            connection,
            lives: HashMap::new(),
            shapes: HashMap::new(),
            processes: HashMap::new(),
        })
    }

    /// Writes all of it in one transaction. After an error nothing of it is written, and it can be tried again.
    pub fn write(&mut self, batch: &mut [Write]) -> rusqlite::Result<Done> {
        let mut done = Done::default();
        let result = self.transact(batch, &mut done);
        if let Err(error) = result {
            // Their rows are gone with the transaction.
            self.lives.clear();
            self.shapes.clear();
            self.processes.clear();
            return Err(error);
        }
        for write in batch {
            if let Write::Flush(waiting) = write {
                done.flushed.extend(waiting.take());
            }
        }
        Ok(done)
    }

    fn transact(&mut self, batch: &mut [Write], done: &mut Done) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = batch.iter_mut().try_for_each(|write| self.apply(write, done));
        match result.and_then(|()| self.connection.execute_batch("COMMIT")) {
            Ok(()) => Ok(()),
            Err(error) => {
                // Some errors have rolled back already.
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    fn apply(&mut self, write: &mut Write, done: &mut Done) -> rusqlite::Result<()> {
        let result = match write {
            Write::Life(life) => self.life(life),
            Write::End(life, end) => self.end(life, end),
            Write::Forget(life) => self.forget(life),
            Write::Event(event) => self.event(event).map(|()| done.events += 1),
            Write::Gap(life, count) => self.gap(life, *count).map(|()| done.gaps += *count),
            Write::Crash(crash) => self.crash(crash).map(|recorded| {
                done.crashes += u64::from(recorded == Recorded::New);
                done.answers.extend(crash.answer.take().map(|answer| (answer, recorded)));
            }),
            Write::Flush(_) => Ok(()),
        };
        match result {
            Err(error) if is_of_the_row(&error) => {
                tracing::error!(%error, "the store refuses a row");
                done.refused += 1;
                Ok(())
            }
            other => other,
        }
    }

    fn life(&mut self, life: &Life) -> rusqlite::Result<()> {
        let identity = &life.identity;
        self.connection
            .prepare_cached(
                "INSERT INTO lives (boot_id, container_id, namespace, pod, container, attempt, image, node,
                    identity, command, memory_limit_bytes, cgroup_id, main_pid, main_start_ns, began_ns)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                ON CONFLICT (boot_id, container_id) DO UPDATE SET
                    namespace = excluded.namespace, pod = excluded.pod, container = excluded.container,
                    attempt = excluded.attempt, image = excluded.image, node = excluded.node,
                    identity = excluded.identity, cgroup_id = excluded.cgroup_id, began_ns = excluded.began_ns,
                    command = iif(excluded.command = '[]', command, excluded.command),
                    memory_limit_bytes = coalesce(excluded.memory_limit_bytes, memory_limit_bytes),
                    main_pid = coalesce(excluded.main_pid, main_pid),
                    main_start_ns = coalesce(excluded.main_start_ns, main_start_ns)",
            )?
            .execute(params![
                life.boot_id,
                identity.container_id,
                identity.namespace,
                identity.pod_name,
                identity.container_name,
                identity.attempt,
                identity.image,
                identity.node,
                json(identity),
                json(&life.command),
                life.memory_limit_bytes.map(u64::cast_signed),
                life.cgroup_id.cast_signed(),
                life.main.map(|main| main.pid),
                life.main.map(|main| main.start_ns.cast_signed()),
                life.began_ns,
            ])?;
        match &life.end {
            Some(end) => self.end(&life.key(), end),
            None => Ok(()),
        }
    }

    fn forget(&mut self, life: &LifeKey) -> rusqlite::Result<()> {
        self.lives.remove(life);
        self.connection
            .prepare_cached(
                "DELETE FROM lives WHERE boot_id = ?1 AND container_id = ?2
                    AND NOT EXISTS (SELECT 1 FROM crashes WHERE life = lives.id) AND pod IS NULL",
            )?
            .execute([&life.boot_id, &life.container_id])?;
        Ok(())
    }

    /// The first end that is told stays.
    fn end(&mut self, life: &LifeKey, end: &End) -> rusqlite::Result<()> {
        let life = self.row_of(life, end.time_ns)?;
        self.connection
            .prepare_cached(
                "UPDATE lives SET exit = ?2, cause = ?3, ended_ns = coalesce(ended_ns, ?4),
                    ended_row = coalesce(ended_row, (SELECT max(id) FROM events), 0) WHERE id = ?1",
            )?
            .execute(params![life, json::<ExitStatus>(&end.exit), end.cause, end.time_ns])?;
        Ok(())
    }

    fn event(&mut self, event: &EventRow) -> rusqlite::Result<()> {
        let began_ns = event.time_ns.saturating_sub(event.offset_ns);
        let life = self.row_of(&event.life, began_ns)?;
        let process = self.process(life, &event.process)?;
        let shape = self.shape(&event.kind, &event.body.paths)?;
        self.connection
            .prepare_cached(
                "INSERT INTO events (life, process, shape, time_ns, offset_ns, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                life,
                process,
                shape,
                event.time_ns,
                event.offset_ns,
                event.body.values
            ])?;
        Ok(())
    }

    /// As docs/events.md has it for records that were lost; its process means nothing.
    fn gap(&mut self, life: &Arc<LifeKey>, count: u64) -> rusqlite::Result<()> {
        let time_ns = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let row = self.row_of(life, time_ns)?;
        let began_ns: i64 = self
            .connection
            .prepare_cached("SELECT began_ns FROM lives WHERE id = ?1")?
            .query_row([row], |row| row.get(0))?;
        let time = rfc3339(0, time_ns);
        let entry = Entry {
            process: Process { creation: Creation { time: time.clone() }, ..Process::default() },
            time,
            offset_ns: time_ns.saturating_sub(began_ns),
            what: What::Lost(Lost { of: Of::Store, count }),
        };
        match EventRow::of(life, &entry) {
            Some(event) => self.event(&event),
            None => Ok(()),
        }
    }

    fn crash(&mut self, crash: &CrashRow) -> rusqlite::Result<Recorded> {
        let life = self.row_of(&crash.life, crash.time_ns)?;
        let known: Option<u32> = self
            .connection
            .prepare_cached(
                "SELECT revision FROM crashes WHERE life = ?1 AND scope = ?2 AND process = ?3",
            )?
            .query_row(params![life, crash.scope, crash.process], |row| row.get(0))
            .optional()?;
        let recorded = match known {
            Some(revision) if revision >= crash.revision => return Ok(Recorded::Known),
            Some(_) => Recorded::Revised,
            None => Recorded::New,
        };
        let bytes = i64::try_from(crash.bytes()).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(
                "INSERT INTO crashes (life, scope, process, crash_id, revision, time_ns, cause, confidence, bytes,
                    summary, object, timeline, text)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                ON CONFLICT (life, scope, process) DO UPDATE SET
                    crash_id = excluded.crash_id, revision = excluded.revision, time_ns = excluded.time_ns,
                    cause = excluded.cause, confidence = excluded.confidence, bytes = excluded.bytes,
                    summary = excluded.summary, object = excluded.object, timeline = excluded.timeline,
                    text = excluded.text",
            )?
            .execute(params![
                life,
                crash.scope,
                crash.process,
                crash.crash_id,
                crash.revision,
                crash.time_ns,
                crash.cause,
                crash.confidence,
                bytes,
                crash.summary,
                crash.object,
                crash.timeline,
                crash.text,
            ])?;
        Ok(recorded)
    }

    /// The row of a life; where nothing told of it yet, one with its key alone.
    fn row_of(&mut self, life: &LifeKey, began_ns: i64) -> rusqlite::Result<i64> {
        if let Some(row) = self.lives.get(life) {
            return Ok(*row);
        }
        let identity = serde_json::json!({"container_id": life.container_id});
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO lives (boot_id, container_id, identity, command, cgroup_id, began_ns)
                VALUES (?1, ?2, ?3, '[]', 0, ?4)",
            )?
            .execute(params![life.boot_id, life.container_id, identity.to_string(), began_ns])?;
        let row = self
            .connection
            .prepare_cached("SELECT id FROM lives WHERE boot_id = ?1 AND container_id = ?2")?
            .query_row([&life.boot_id, &life.container_id], |row| row.get(0))?;
        remember(&mut self.lives, LIVES_REMEMBERED, life.clone(), row);
        Ok(row)
    }

    fn shape(&mut self, kind: &str, paths: &str) -> rusqlite::Result<i64> {
        let known = self.shapes.get(paths).into_iter().flatten().find(|(of, _)| of == kind);
        if let Some((_, row)) = known {
            return Ok(*row);
        }
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO shapes (kind, paths) VALUES (?1, ?2)")?
            .execute([kind, paths])?;
        let row = self
            .connection
            .prepare_cached("SELECT id FROM shapes WHERE kind = ?1 AND paths = ?2")?
            .query_row([kind, paths], |row| row.get(0))?;
        if self.shapes.len() >= SHAPES_REMEMBERED {
            self.shapes.clear();
        }
        self.shapes.entry(paths.to_owned()).or_default().push((kind.to_owned(), row));
        Ok(row)
    }

    fn process(&mut self, life: i64, process: &Split) -> rusqlite::Result<i64> {
        let shape = self.shape("process", &process.paths)?;
        let key = (life, shape, process.values.clone());
        if let Some(row) = self.processes.get(&key) {
            return Ok(*row);
        }
        self.connection
            .prepare_cached("INSERT INTO processes (shape, body) VALUES (?1, ?2)")?
            .execute(params![shape, process.values])?;
        let row = self.connection.last_insert_rowid();
        remember(&mut self.processes, PROCESSES_REMEMBERED, key, row);
        Ok(row)
    }

    /// Lives were deleted.
    pub fn forget_lives(&mut self) {
        self.lives.clear();
    }
}

/// All of it is forgotten when it is full: simple, and seldom.
fn remember<K: std::hash::Hash + Eq>(map: &mut HashMap<K, i64>, most: usize, key: K, row: i64) {
    if map.len() >= most {
        map.clear();
    }
    map.insert(key, row);
}

/// The same row would fail again, any other may not.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
        )
    )
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("it has only string keys, and no number that JSON lacks")
}
