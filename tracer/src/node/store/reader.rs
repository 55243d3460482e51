//! Reads a store, while an agent writes to it or after. It must not write.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use memchr::memmem;
use rusqlite::{Connection, Row, ToSql, params};
use serde_json::{Map, Value};

use super::{
    Filter, Life, Selector, StoreError,
    columns::{identity, text},
    lives,
    schema::open_to_read,
};
use crate::{
    contract::{Candidate, Container, CrashObject, Entry, K8s},
    node::identity::Identity,
};

/// A store, opened read-only. It can be sent to another thread, not shared; no read transaction outlasts a call.
pub struct Reader {
    pub(super) connection: Connection,
    /// Device and inode.
    file: Option<(u64, u64)>,
}

/// One death as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCrash {
    /// With its timeline.
    pub object: CrashObject,
    /// Timeline and verdict for people, with colour (ANSI).
    pub text: String,
    /// The life's row.
    pub life: i64,
}

fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let about = fs::metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

const CRASHES: &str = "FROM crashes JOIN lives ON lives.id = crashes.life";
/// Candidates that an error lists.
const CANDIDATES_MAX: i64 = 20;

impl Reader {
    /// # Errors
    /// There is no store, it cannot be opened, or its schema is another.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = identity_of(path);
        Ok(Self { connection: open_to_read(path)?, file })
    }

    /// Whether the store at this path is still the one that was opened: a damaged one is replaced.
    pub fn reads(&self, path: &Path) -> bool {
        self.file.is_some() && self.file == identity_of(path)
    }

    /// Deaths and incidents without their timelines, newest last: the JSON of a [`CrashObject`] each, on one line.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn crashes(&self, filter: &Filter) -> Result<Vec<String>, StoreError> {
        let causes = Value::from(filter.causes.clone()).to_string();
        let sql = format!(
            "SELECT object, identity {CRASHES} WHERE (?1 IS NULL OR namespace = ?1) AND (?2 IS NULL OR pod = ?2)
                AND (?3 IS NULL OR container = ?3) AND time_ns >= ?4 AND time_ns < ?5
                AND iif(?6 = '[]', ?7 OR crashes.cause <> 'none', crashes.cause IN (SELECT value FROM json_each(?6)))
            ORDER BY time_ns DESC, crashes.id DESC"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![
            filter.namespace,
            filter.pod,
            filter.container,
            filter.since_ns.unwrap_or(i64::MIN),
            filter.until_ns.unwrap_or(i64::MAX),
            causes,
            filter.all,
        ])?;
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut crashes = Vec::new();
        while crashes.len() < limit
            && let Some(row) = rows.next()?
        {
            if let Some(wanted) = &filter.labels
                && !wanted(&identity(row, 1)?.labels)
            {
                continue;
            }
            crashes.extend(line(row)?);
        }
        crashes.reverse();
        Ok(crashes)
    }

    /// `None` where nothing has that name.
    ///
    /// # Errors
    /// [`StoreError::Ambiguous`], or the store cannot be read.
    pub fn crash(&self, selector: &Selector) -> Result<Option<StoredCrash>, StoreError> {
        match selector {
            Selector::Id(id) => match self.by_id(id)? {
                Some(crash) => Ok(Some(crash)),
                None => self.by_pod(id, None, None, 0),
            },
            Selector::Pod { name, namespace, container, previous } => {
                self.by_pod(name, namespace.as_deref(), container.as_deref(), *previous)
            }
        }
    }

    /// The newest of those with that id: the end of a life comes after its incidents.
    fn by_id(&self, id: &str) -> Result<Option<StoredCrash>, StoreError> {
        let id = id.to_ascii_lowercase();
        if id.len() < Selector::ID_MIN {
            return Ok(None);
        }
        let exact = "crash_id = ?1";
        if let Some(crash) = self.newest(exact, &[&id], 0)? {
            return Ok(Some(crash));
        }
        // Past every id that begins so.
        let beyond = format!("{id}\u{7f}");
        let begins = "crash_id >= ?1 AND crash_id < ?2";
        let candidates = self.candidates("crash_id", begins, &[&id, &beyond])?;
        match candidates.as_slice() {
            [] => Ok(None),
            [_] => self.newest(begins, &[&id, &beyond], 0),
            _ => Err(StoreError::Ambiguous { name: id, candidates }),
        }
    }

    fn by_pod(
        &self,
        name: &str,
        namespace: Option<&str>,
        container: Option<&str>,
        previous: usize,
    ) -> Result<Option<StoredCrash>, StoreError> {
        let narrow = "(?2 IS NULL OR namespace = ?2) AND (?3 IS NULL OR container = ?3)";
        let exact = format!("pod = ?1 AND {narrow}");
        let begins = format!("substr(pod, 1, length(?1) + 1) = ?1 || '-' AND {narrow}");
        for fits in [exact, begins] {
            let values: [&dyn ToSql; 3] = [&name, &namespace, &container];
            let candidates = self.candidates("NULL", &fits, &values)?;
            match candidates.as_slice() {
                [] => {}
                [_] => return self.newest(&fits, &values, previous),
                _ => return Err(StoreError::Ambiguous { name: name.to_owned(), candidates }),
            }
        }
        Ok(None)
    }

    /// The newest that fits, or the one so many before it.
    fn newest(
        &self,
        fits: &str,
        values: &[&dyn ToSql],
        before: usize,
    ) -> Result<Option<StoredCrash>, StoreError> {
        let sql = format!(
            "SELECT object, identity, timeline, text, life {CRASHES} WHERE {fits}
            ORDER BY time_ns DESC, crashes.id DESC LIMIT 1 OFFSET {before}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(values)?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut object = object(row, &identity(row, 1)?)?;
        object.timeline = Some(Entry::list(text(row, 2)?)?);
        Ok(Some(StoredCrash { object, text: row.get(3)?, life: row.get(4)? }))
    }

    fn candidates(
        &self,
        id: &str,
        fits: &str,
        values: &[&dyn ToSql],
    ) -> Result<Vec<Candidate>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT namespace, pod, {id} {CRASHES} WHERE {fits}
            ORDER BY namespace, pod LIMIT {CANDIDATES_MAX}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let candidates = statement.query_map(values, |row| {
            Ok(Candidate { namespace: row.get(0)?, pod: row.get(1)?, crash_id: row.get(2)? })
        })?;
        Ok(candidates.collect::<Result<_, _>>()?)
    }

    /// Lives of one boot without an end, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn living(&self, boot_id: &str) -> Result<Vec<Life>, StoreError> {
        let fits = "boot_id = ?1 AND ended_ns IS NULL ORDER BY began_ns, id";
        lives::select(&self.connection, fits, &[&boot_id])
    }
}

/// Of the columns 0 and 1. Most are as they were told: nothing is made of what is in them. One that cannot be read is
/// told as it is, and one that is no JSON is passed over, so that the others are seen.
fn line(row: &Row<'_>) -> Result<Option<String>, StoreError> {
    let told = text(row, 0)?;
    if has_names(told) {
        return Ok(Some(told.to_owned()));
    }
    match object(row, &identity(row, 1)?) {
        Ok(object) => Ok(Some(serde_json::to_string(&object)?)),
        Err(StoreError::Json(_)) if serde_json::from_str::<Map<_, _>>(told).is_ok() => {
            Ok(Some(told.to_owned()))
        }
        Err(StoreError::Json(error)) => {
            tracing::warn!(%error, "a stored crash is no JSON object and is passed over");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether a crash object has container and k8s, as this program writes them. A list of hundreds is not parsed for
/// that: within a JSON text a quote is escaped, so these words are nowhere but where keys are.
fn has_names(told: &str) -> bool {
    let has = |key: &str| memmem::find(told.as_bytes(), key.as_bytes()).is_some();
    has(r#","container":{"id":""#) && has(r#","k8s":{""#)
}

/// From the column 0. A crash that was told before anybody knew whose it is has the names that are known now.
fn object(row: &Row<'_>, identity: &Identity) -> Result<CrashObject, StoreError> {
    let mut object: CrashObject = serde_json::from_str(text(row, 0)?)?;
    object.k8s = object.k8s.or_else(|| K8s::of(identity));
    object.container = object.container.or_else(|| Some(Container::of(identity)));
    Ok(object)
}
