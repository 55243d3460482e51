//! What can be wrong with a store. It must not know SQL.

use std::path::PathBuf;

use rusqlite::{
    ErrorCode,
    ffi::{Error, SQLITE_CANTOPEN_ISDIR},
};

use crate::contract::Candidate;

/// Each text names the thing, the reason and the next step.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no store at {}: is the agent running with another --store?", .0.display())]
    Absent(PathBuf),
    #[error("cannot open the store {}: {source}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
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
    /// Of opening to write: whether it may do later, as when a disk has room again. A file that is no store stays none.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Open { source, .. } => {
                let is_none = |error: &Error| {
                    error.extended_code == SQLITE_CANTOPEN_ISDIR
                        || matches!(
                            error.code,
                            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt
                        )
                };
                !source.sqlite_error().is_some_and(is_none)
            }
            Self::Absent(_)
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Ambiguous { .. }
            | Self::Thread(_)
            | Self::Sqlite(_)
            | Self::Json(_) => false,
        }
    }
}

fn list(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| format!("\n  {candidate}")).collect()
}
