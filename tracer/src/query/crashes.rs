//! `tracer crashes`: the list of deaths. It must not decide anything.

use anyhow::bail;
use clap::value_parser;
use jiff::Timestamp;

use super::{
    Found, From,
    merge::{Newest, When, newest},
    source::{Answer, Source},
    sources::Sources,
    table::table,
    tell,
    url::Url,
};
use crate::{
    cli::terminal::{print, width},
    config::when,
    contract::{ListedCrash, Names, Shown, question},
    render::printable,
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Of this namespace only
    #[arg(short, long)]
    namespace: Option<String>,
    /// Of all namespaces, as without -n
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Of pods with these labels, as kubectl takes them: app=cart,tier!=test
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Of this time or later: 10m, 2h or 1d ago, or RFC 3339, `2026-01-31 10:00`, `10:00` (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// With these causes only, several with commas
    #[arg(long)]
    cause: Option<String>,
    /// With the ends that were no crash
    #[arg(long)]
    all: bool,
    /// The newest of them
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = value_parser!(u16).range(1..=9999))]
    limit: u16,
    /// How to print them: a table cut to the terminal, with whole lines, or a JSON object a line
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Wide,
    Json,
}

/// Prints the crashes, oldest first; returns the exit code.
///
/// # Errors
/// Nobody answers, or what is asked is refused.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    super::run(&options.from, async |sources| list(options, sources).await)
}

async fn list(options: &Options, sources: &mut Sources) -> anyhow::Result<Found> {
    let asked = question::Crashes {
        namespace: options.namespace.clone(),
        label: options.selector.clone(),
        since: options.since.clone(),
        until: options.until.clone(),
        cause: options.cause.clone(),
        all: options.all,
        // With one more it is known whether there are more.
        limit: Some(usize::from(options.limit) + 1),
        ..question::Crashes::default()
    };
    let url = Url::with(question::CRASHES, &asked)?;
    let answers = sources.all(async |_, source| lines(source, &url).await).await?;
    let answers: Vec<String> = answers.into_iter().map(|(_, lines)| lines).collect();
    let limit = usize::from(options.limit);
    let (told, is_cut, unreadable) = match options.output {
        Format::Json => {
            let Newest { crashes, is_cut, unreadable } = newest::<When>(&answers, limit);
            (crashes.iter().flat_map(|(_, line)| [line, "\n"]).collect(), is_cut, unreadable)
        }
        Format::Table | Format::Wide => {
            let Newest { crashes, is_cut, unreadable } = newest(&answers, limit);
            let crashes: Vec<_> = crashes.into_iter().map(|(crash, _)| crash).collect();
            (in_columns(options, sources, &crashes), is_cut, unreadable)
        }
    };
    if unreadable > 0 {
        tell(&format!("{unreadable} crashes of agents of another version cannot be read"));
    }
    if told.is_empty() {
        return Ok(Found::Nothing("no crashes found".to_owned()));
    }
    let _ = print(&told)?;
    if is_cut {
        tell(&format!("these are the newest {}; --limit shows more", options.limit));
    }
    Ok(Found::Something)
}

/// Empty without crashes.
fn in_columns(options: &Options, sources: &Sources, crashes: &[Shown<ListedCrash>]) -> String {
    if crashes.is_empty() {
        return String::new();
    }
    let is_wide = options.output == Format::Wide;
    let columns = Columns {
        namespace: options.namespace.is_none(),
        id: is_wide,
        node: is_wide || sources.are_several(),
    };
    let cut = if is_wide { None } else { width() };
    columns.table(crashes, Timestamp::now(), cut)
}

/// Crash objects, one a line.
async fn lines(source: &mut Source, url: &Url) -> anyhow::Result<String> {
    match source.get(url, "application/jsonl").await? {
        Answer::Found(answer) => answer.text().await,
        Answer::Nothing(why) | Answer::Several { message: why, .. } => bail!(why),
    }
}

/// Which columns a table has besides those that it always has.
struct Columns {
    namespace: bool,
    id: bool,
    node: bool,
}

/// In place of what is not known, as kubectl has it.
const NONE: &str = "<none>";

/// A column of the table.
#[derive(Clone, Copy)]
enum Column {
    When,
    Namespace,
    Pod,
    Container,
    Restarts,
    Cause,
    Id,
    Node,
    Summary,
}

impl Columns {
    fn table(
        &self,
        crashes: &[Shown<ListedCrash>],
        now: Timestamp,
        width: Option<usize>,
    ) -> String {
        let columns: Vec<Column> = Column::ALL.into_iter().filter(|one| self.has(*one)).collect();
        let header: Vec<&str> = columns.iter().map(|column| column.heading()).collect();
        let row = |crash: &Shown<ListedCrash>| {
            columns.iter().map(|column| printable(&column.cell(crash, now))).collect()
        };
        let rows: Vec<Vec<String>> = crashes.iter().map(row).collect();
        table(&header, &rows, width)
    }

    fn has(&self, column: Column) -> bool {
        match column {
            Column::Namespace => self.namespace,
            Column::Id => self.id,
            Column::Node => self.node,
            Column::When
            | Column::Pod
            | Column::Container
            | Column::Restarts
            | Column::Cause
            | Column::Summary => true,
        }
    }
}

impl Column {
    /// In their order.
    const ALL: [Self; 9] = [
        Self::When,
        Self::Namespace,
        Self::Pod,
        Self::Container,
        Self::Restarts,
        Self::Cause,
        Self::Id,
        Self::Node,
        Self::Summary,
    ];

    fn heading(self) -> &'static str {
        match self {
            Self::When => "WHEN",
            Self::Namespace => "NAMESPACE",
            Self::Pod => "POD",
            Self::Container => "CONTAINER",
            Self::Restarts => "RESTARTS",
            Self::Cause => "CAUSE",
            Self::Id => "ID",
            Self::Node => "NODE",
            Self::Summary => "SUMMARY",
        }
    }

    fn cell(self, object: &Shown<ListedCrash>, now: Timestamp) -> String {
        let crash = &object.crash;
        let Names { namespace, pod, container, restarts, node } = object.names();
        let known = |name: Option<&str>| name.unwrap_or(NONE).to_owned();
        match self {
            Self::When => match crash.time.parse() {
                Ok(time) => when::age(time, now),
                Err(_) => crash.time.clone(),
            },
            Self::Namespace => known(namespace),
            Self::Pod => known(pod),
            Self::Container => known(container),
            Self::Restarts => restarts.map_or(NONE.to_owned(), |count| count.to_string()),
            Self::Cause => crash.cause.clone(),
            Self::Id => crash.id.clone(),
            Self::Node => known(node),
            Self::Summary => crash.summary.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{Crash, CrashObject, ExitStatus, Process, SCHEMA};

    fn crash(pod: Option<&str>, cause: &str, summary: &str) -> Shown<ListedCrash> {
        let object = CrashObject {
            schema: SCHEMA,
            crash: Crash {
                id: "0123456789ab".to_owned(),
                revision: 1,
                scope: "life".to_owned(),
                time: "2026-01-31T09:55:00.000000000Z".to_owned(),
                cause: cause.to_owned(),
                confidence: "proven".to_owned(),
                summary: summary.to_owned(),
                evidence: Vec::new(),
                next_step: String::new(),
                process: Process::default(),
                details: serde_json::Map::new(),
            },
            exit: ExitStatus { code: Some(1), signal: None, core: false },
            process: Process::default(),
            container: None,
            k8s: pod.map(|pod| {
                let k8s = json!({
                    "namespace": {"name": "shop"},
                    "pod": {"name": pod},
                    "container": {"name": "cart", "restart_count": 12},
                    "node": {"name": "node1"},
                });
                serde_json::from_value(k8s).unwrap()
            }),
            timeline: None,
            lost: 0,
        };
        serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
    }

    fn shown(columns: &Columns, width: Option<usize>) -> String {
        let crashes = [
            crash(Some("cart-0"), "oom_killed", "cart was killed: 64 MiB were not enough."),
            crash(None, "file_not_found", "app\u{1b}[2J exited with 1.\nreally"),
        ];
        columns.table(&crashes, "2026-01-31T10:00:00Z".parse().unwrap(), width)
    }

    #[test]
    fn crashes_are_listed_as_kubectl_lists() {
        insta::assert_snapshot!(shown(&Columns { namespace: true, id: false, node: false }, None), @r"
        WHEN   NAMESPACE   POD      CONTAINER   RESTARTS   CAUSE            SUMMARY
        5m     shop        cart-0   cart        12         oom_killed       cart was killed: 64 MiB were not enough.
        5m     <none>      <none>   <none>      <none>     file_not_found   app\u{1b}[2J exited with 1.\nreally
        ");
    }

    #[test]
    fn a_wide_table_has_ids_and_nodes() {
        insta::assert_snapshot!(shown(&Columns { namespace: false, id: true, node: true }, None), @r"
        WHEN   POD      CONTAINER   RESTARTS   CAUSE            ID             NODE     SUMMARY
        5m     cart-0   cart        12         oom_killed       0123456789ab   node1    cart was killed: 64 MiB were not enough.
        5m     <none>   <none>      <none>     file_not_found   0123456789ab   <none>   app\u{1b}[2J exited with 1.\nreally
        ");
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let text = shown(&Columns { namespace: true, id: false, node: false }, Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains('…'), "{text}");
    }
}
