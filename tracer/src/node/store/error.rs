//! What can be wrong with a store. It must not know SQL.

use std::path::PathBuf;

use rusqlite::{
    ErrorCode,
    ffi::{SQLITE_CANTOPEN_ISDIR, SQLITE_IOERR_SHORT_READ},
};

use crate::contract::Candidate;

/// Each text names the thing, the reason and the next step.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no store at {}: is the agent running with another --store?", .0.display())]
    Absent(PathBuf),
    #[error("cannot open the store {}: {source}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("the store {} is no regular file: remove it, or name another --store", .0.display())]
    Irregular(PathBuf),
    #[error(
        "the store {} has schema {found}, this tracer knows {known}: use the tracer that wrote it, or a newer one",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "the store {} has schema {found}, this tracer reads {known}: `tracer run` of this version migrates it",
        path.display()
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    /// Fewer candidates than fit are listed where there are very many.
    #[error("{name} fits several, name one of them:{}", list(.candidates))]
    Ambiguous { name: String, candidates: Vec<Candidate> },
    #[error("cannot start the store's thread: {0}")]
    Thread(String),
    #[error("the store cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a row of the store cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl StoreError {
    /// Of opening to write: whether it may do later, as when a disk has room again. A folder stays one.
    pub(super) fn may_pass(&self) -> bool {
        let is_folder = |error: &rusqlite::Error| {
            error.sqlite_error().is_some_and(|it| it.extended_code == SQLITE_CANTOPEN_ISDIR)
        };
        self.of_opening().is_some_and(|error| !is_folder(error))
    }

    /// Of opening to write: whether the file is a store that was damaged, or none at all.
    pub(super) fn is_damage(&self) -> bool {
        self.of_opening().is_some_and(is_damage)
    }

    /// What SQLite said when the store was opened.
    fn of_opening(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Open { source, .. } => Some(source),
            Self::Absent(_)
            | Self::Irregular(_)
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Ambiguous { .. }
            | Self::Thread(_)
            | Self::Sqlite(_)
            | Self::Json(_) => None,
        }
    }
}

/// Whether SQLite found the file damaged: what fails by it fails again. A table that is missing was there when the schema
/// was made.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(error, text) = error else { return false };
    matches!(error.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
        || error.extended_code == SQLITE_IOERR_SHORT_READ
        || text.as_ref().is_some_and(|text| text.starts_with("no such table"))
}

fn list(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| format!("\n  {candidate}")).collect()
}
