//! The verbs that ask what a node remembers: `crashes`, `timeline`, `explain`, `events`. All of them ask by the
//! HTTP API: that of an agent, or the same routes over a store file. They must not know SQL.

pub mod crashes;
pub mod death;
pub mod events;
mod source;
mod sse;
mod table;
mod url;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::net::UnixStream;

use self::{
    source::{Answer, Source, text},
    url::Url,
};

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

/// What an agent says of its own state, as JSON; `None` where none listens at `socket`.
///
/// # Errors
/// It does not answer as an agent does, or may not be asked.
pub async fn health(socket: &Path) -> anyhow::Result<Option<String>> {
    match UnixStream::connect(socket).await {
        Ok(_) => {}
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).context(format!("cannot ask at {}", socket.display())),
    }
    match Source::of_agent(socket).get(&Url::new("/v1/health"), "application/json").await? {
        Answer::Found(answer) => Ok(Some(text(answer).await?)),
        Answer::Nothing(why) => bail!("{}: {why}", socket.display()),
    }
}

/// What came of a question.
enum Found {
    Something,
    /// Why, for people.
    Nothing(String),
}
