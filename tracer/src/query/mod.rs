//! The verbs that ask what nodes remember. All of them ask by the HTTP API: that of an agent here, of each agent of a
//! cluster, or the same routes over a store file. They must not know SQL.

mod cluster;
mod crashes;
mod death;
mod events;
mod forward;
mod live;
mod merge;
mod printer;
mod progress;
mod source;
mod sources;
mod sse;
mod stored;
mod table;
mod url;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::net::UnixStream;

use self::{
    source::{Answer, Source},
    sources::Sources,
    url::Url,
};
use crate::{config::Span, contract::question::HEALTH};

/// A question to what is remembered, and how its answer is printed.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List the crashes that are remembered, of this node or of a cluster
    #[command(after_help = HELP)]
    Crashes(crashes::Options),
    /// Print the timeline of a death
    #[command(after_help = HELP)]
    Timeline(death::Timeline),
    /// Say why a container died, by what evidence, what to do, and what changed before
    #[command(after_help = HELP)]
    Explain(death::Explain),
    /// Print the events that are stored, or follow them live
    #[command(after_help = HELP)]
    Events(events::Options),
}

impl Verb {
    /// Asks, and prints the answer; returns the exit code: 0, [`NOTHING_FOUND`] or [`FAILURE`].
    ///
    /// # Errors
    /// Nobody answers, what is asked is refused, or the name fits several.
    pub fn run(&self) -> anyhow::Result<u8> {
        match self {
            Self::Crashes(options) => crashes::run(options),
            Self::Timeline(options) => death::timeline(options),
            Self::Explain(options) => death::explain(options),
            Self::Events(options) => events::run(options),
        }
    }
}

const HELP: &str = "\
Who is asked: --store or --socket; with --node, --kubeconfig or --context the agents of that
cluster; else the agent of this node, its store where no agent runs, or the agents of the current
kubeconfig's cluster. As `kubectl tracer` (file name kubectl-tracer) the cluster comes first.

Ends with 0, with 1 if nothing was found, with 2 for a failure, wrong usage, or a node that did
not answer.";

/// The agent's store, unless it was told another.
pub const STORE: &str = "/var/lib/tracer/tracer.db";
/// Exit code where nothing fits what was asked.
pub const NOTHING_FOUND: u8 = 1;
/// Exit code for failures, as for wrong usage.
pub const FAILURE: u8 = 2;

/// Where to look: the first that was named, else the local agent's socket, else the local store, else the cluster.
#[derive(Debug, clap::Args)]
pub struct From {
    /// Read this store file instead of asking an agent
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Ask the agent behind this unix socket
    #[arg(long, value_name = "PATH", conflicts_with = "store")]
    pub socket: Option<PathBuf>,
    #[command(flatten)]
    pub cluster: Cluster,
}

/// Heading of the help.
const CLUSTER: &str = "Agents of a Kubernetes cluster";
const LOCAL: [&str; 2] = ["store", "socket"];

/// Which agents of which cluster.
#[derive(Debug, clap::Args)]
pub struct Cluster {
    /// Ask the agent of this node of the cluster; can be given several times
    #[arg(long = "node", value_name = "NAME", help_heading = CLUSTER, conflicts_with_all = LOCAL)]
    nodes: Vec<String>,
    /// Ask the cluster of this kubeconfig, not that of KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", help_heading = CLUSTER, conflicts_with_all = LOCAL)]
    kubeconfig: Option<PathBuf>,
    /// Ask the cluster of this context of the kubeconfig, not that of the current one
    #[arg(long, value_name = "NAME", help_heading = CLUSTER, conflicts_with_all = LOCAL)]
    context: Option<String>,
    /// Where the agents' DaemonSet is
    #[arg(long, value_name = "NAMESPACE", help_heading = CLUSTER, default_value = "macula-tracer", conflicts_with_all = LOCAL)]
    tracer_namespace: String,
    /// For each node to begin its answer, and for each further part of it
    #[arg(long, value_name = "TIME", help_heading = CLUSTER, default_value = "10s", conflicts_with_all = LOCAL)]
    request_timeout: Span,
}

impl Cluster {
    /// True where a cluster is asked whatever there is on this machine.
    fn is_named(&self) -> bool {
        !self.nodes.is_empty() || self.kubeconfig.is_some() || self.context.is_some()
    }
}

/// What this program's file is called where kubectl runs it as `kubectl tracer`.
const PLUGIN: &str = "kubectl-tracer";

/// True where this program was started by kubectl, or by that name.
pub fn as_plugin() -> bool {
    let program = std::env::args_os().next().unwrap_or_default();
    Path::new(&program).file_name().is_some_and(|name| name == PLUGIN)
}

/// What this program is called in its messages.
pub fn own_name() -> &'static str {
    if as_plugin() { "kubectl tracer" } else { "tracer" }
}

/// How one answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TextOrJson {
    Text,
    Json,
}

/// Runs `verb` to its end; returns the exit code.
fn run(
    from: &From,
    verb: impl AsyncFnOnce(&mut Sources) -> anyhow::Result<Found>,
) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sources = Sources::find(from).await?;
        let found = verb(&mut sources).await;
        tell_silent(&mut sources);
        let found = match found? {
            Found::Something => 0,
            Found::Nothing(message) => {
                tell(&message);
                NOTHING_FOUND
            }
        };
        Ok(if sources.is_whole() { found } else { FAILURE })
    })
}

/// Names those who did not answer.
fn tell_silent(sources: &mut Sources) {
    for line in sources.tell_silent() {
        tell(&line);
    }
}

/// Says something that is no answer, on stderr.
pub fn tell(message: &str) {
    eprintln!("{}: {message}", own_name());
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
    match Source::of_agent(socket).get(&Url::new(HEALTH), "application/json").await? {
        Answer::Found(answer) => Ok(Some(answer.text().await?)),
        Answer::Nothing(why) | Answer::Several { message: why, .. } => {
            bail!("{}: {why}", socket.display())
        }
    }
}

/// What came of a question.
enum Found {
    Something,
    /// Why, for people.
    Nothing(String),
}
