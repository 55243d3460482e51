//! Reads events in small steps, so that a slow reader holds no snapshot and the wal can be emptied behind it.
//! It must not write.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{
    EventFilter, Reader, StoreError,
    columns::{identity, text},
    shape,
};
use crate::{
    contract::{Container, Entry, K8s, Observation, Process, What, rfc3339},
    node::identity::Identity,
};

/// One event as it was streamed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Grows from event to event, with gaps.
    pub row: i64,
    pub event: Observation<'static>,
}

/// See [`Reader::events`].
pub struct Events<'a> {
    reader: &'a Reader,
    filter: EventFilter,
    /// JSON array, for SQL.
    kinds: String,
    after: i64,
    ready: VecDeque<StoredEvent>,
    lives: HashMap<i64, Told>,
    /// The first step looks where to begin.
    begun: bool,
    ended: bool,
}

/// What a line says of the life that it is of.
struct Told {
    container: Option<Container>,
    k8s: Option<K8s>,
    wanted: bool,
}

/// Rows that one step looks at.
const STEP: i64 = 1000;
const LIVES_REMEMBERED: usize = 1024;
/// Events of several processors arrive not quite in the order of their times.
const DISORDER_NS: i64 = 60_000_000_000;

impl Reader {
    /// Events in the order in which they arrived, read in small steps as the iterator goes. It ends at the newest;
    /// a follower asks again, with `after_row` of the last.
    pub fn events(&self, filter: EventFilter) -> Events<'_> {
        Events {
            reader: self,
            kinds: Value::from(filter.kinds.clone()).to_string(),
            after: filter.after_row,
            filter,
            ready: VecDeque::new(),
            lives: HashMap::new(),
            begun: false,
            ended: false,
        }
    }

    /// The newest event's row, 0 where there is none: where to begin to follow.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last_row(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(id), 0) FROM events";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// A row before which all events are older than the time: rows are in order of arrival, so of time but for
    /// [`DISORDER_NS`]. Never less than the first row there is, less 1.
    fn row_before(&self, time_ns: i64) -> Result<i64, StoreError> {
        let time_ns = time_ns.saturating_sub(DISORDER_NS);
        let sql = "SELECT coalesce(min(id), 0) FROM events";
        // The oldest are deleted: rows do not begin at 1.
        let mut low: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        let mut high = self.last_row()?;
        let mut first_from = self
            .connection
            .prepare_cached("SELECT id, time_ns FROM events WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> =
                first_from.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            match found {
                Some((row, time)) if time < time_ns => low = row + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low - 1)
    }
}

/// Lives of a filter; its labels are tested later.
const LIVES: &str = "FROM lives WHERE (?1 IS NULL OR namespace = ?1) AND (?2 IS NULL OR pod = ?2)
    AND (?3 IS NULL OR container = ?3) AND substr(container_id, 1, length(?4)) = ?4";

impl Events<'_> {
    /// When the first of the wanted lives began, so that what is older is not looked at. `None` where all are wanted.
    fn began_ns(&self) -> Result<Option<i64>, StoreError> {
        let EventFilter { namespace, pod, container, container_id, .. } = &self.filter;
        if !self.narrows() {
            return Ok(None);
        }
        let sql = format!("SELECT coalesce(min(began_ns), {}) {LIVES}", i64::MAX);
        let id = container_id.as_deref().unwrap_or_default();
        let mut statement = self.reader.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![namespace, pod, container, id], |row| row.get(0))?)
    }

    fn narrows(&self) -> bool {
        let filter = &self.filter;
        [&filter.namespace, &filter.pod, &filter.container, &filter.container_id]
            .iter()
            .any(|wanted| wanted.is_some())
    }

    /// Looks at the next rows. One that is too late is no reason to stop: clocks are set back.
    fn step(&mut self) -> Result<(), StoreError> {
        if !self.begun {
            self.begun = true;
            let since_ns = self.began_ns()?.max(self.filter.since_ns).unwrap_or(i64::MIN);
            self.after = self.after.max(self.reader.row_before(since_ns)?);
        }
        let sql = format!(
            "SELECT events.id, time_ns, offset_ns, shapes.kind, shapes.paths, events.body, process_shapes.paths,
                processes.body, life, identity
            FROM events JOIN shapes ON shapes.id = events.shape
                LEFT JOIN lives ON lives.id = life
                LEFT JOIN processes ON processes.id = process
                LEFT JOIN shapes AS process_shapes ON process_shapes.id = processes.shape
            WHERE events.id > ?5 AND events.id <= ?6 AND time_ns >= ?7 AND time_ns < ?8
                AND (?9 OR life IN (SELECT id {LIVES}))
                AND (?10 = '[]' OR events.shape IN
                    (SELECT id FROM shapes WHERE kind IN (SELECT value FROM json_each(?10))))
            ORDER BY events.id"
        );
        let last = self.reader.last_row()?;
        let until = self.after.saturating_add(STEP).min(last);
        let filter = &self.filter;
        let mut statement = self.reader.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![
            filter.namespace,
            filter.pod,
            filter.container,
            filter.container_id.as_deref().unwrap_or_default(),
            self.after,
            until,
            filter.since_ns.unwrap_or(i64::MIN),
            filter.until_ns.unwrap_or(i64::MAX),
            !self.narrows(),
            self.kinds,
        ])?;
        while let Some(row) = rows.next()? {
            let told = told(&mut self.lives, &self.filter, row)?;
            if told.wanted {
                self.ready.push_back(event(row, told)?);
            }
        }
        self.after = self.after.max(until);
        self.ended = self.after >= last;
        Ok(())
    }
}

impl Iterator for Events<'_> {
    type Item = Result<StoredEvent, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.step() {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }
}

fn told<'a>(
    lives: &'a mut HashMap<i64, Told>,
    filter: &EventFilter,
    row: &Row<'_>,
) -> Result<&'a Told, StoreError> {
    let life = row.get(8)?;
    if !lives.contains_key(&life) {
        if lives.len() >= LIVES_REMEMBERED {
            lives.clear();
        }
        // Its row may have been deleted before its last events.
        let identity = match row.get_ref(9)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            Some(_) => identity(row, 9)?,
            None => Identity::default(),
        };
        let container = (!identity.container_id.is_empty()).then(|| Container::of(&identity));
        let wanted = filter.labels.as_ref().is_none_or(|wanted| wanted(&identity.labels));
        lives.insert(life, Told { container, k8s: K8s::of(&identity), wanted });
    }
    Ok(&lives[&life])
}

fn event(row: &Row<'_>, told: &Told) -> Result<StoredEvent, StoreError> {
    let process = match row.get_ref(6)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        // What cannot be read of one event must not hide the others.
        Some(paths) => shape::join(paths, text(row, 7)?).map(Process::read).unwrap_or_default(),
        None => Process::default(),
    };
    let fields = match shape::join(text(row, 4)?, text(row, 5)?) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    let entry = Entry {
        time: rfc3339(0, row.get(1)?),
        offset_ns: row.get(2)?,
        process,
        what: What::read(text(row, 3)?, fields),
    };
    let event = Observation {
        entry: Cow::Owned(entry),
        container: told.container.clone().map(Cow::Owned),
        k8s: told.k8s.clone().map(Cow::Owned),
    };
    Ok(StoredEvent { row: row.get(0)?, event })
}
