//! The verbs that ask what a node remembers: `crashes`, `timeline`, `explain`, `events`. All of them ask by the
//! HTTP API: that of an agent, or the same routes over a store file. They must not know SQL.

pub mod crashes;
pub mod death;
pub mod events;
mod source;
mod sse;
mod table;
mod url;

use std::path::PathBuf;

/// The agent's store, unless it was told another.
pub const STORE: &str = "/var/lib/tracer/tracer.db";
/// Exit code where nothing fits what was asked.
pub const NOTHING_FOUND: u8 = 1;
/// Exit code for failures, as for wrong usage.
pub const FAILURE: u8 = 2;

/// Where to look: the first that was named, else the local agent's socket, else the local store.
#[derive(Debug, clap::Args)]
pub struct From {
    /// Read this store file instead of asking an agent
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Ask the agent behind this unix socket
    #[arg(long, value_name = "PATH", conflicts_with = "store")]
    pub socket: Option<PathBuf>,
}

/// How one answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TextOrJson {
    Text,
    Json,
}

/// Runs `verb` to its end; returns the exit code.
fn run(verb: impl Future<Output = anyhow::Result<Found>>) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(verb)? {
        Found::Something => 0,
        Found::Nothing(message) => {
            eprintln!("tracer: {message}");
            NOTHING_FOUND
        }
    })
}

/// What came of a question.
enum Found {
    Something,
    /// Why, for people.
    Nothing(String),
}
