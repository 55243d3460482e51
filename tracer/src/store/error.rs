//! What can be wrong with a store. It must not know SQL.

use std::path::PathBuf;

use super::Candidate;

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

fn list(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| format!("\n  {candidate}")).collect()
}
