//! `tracer crashes`: the list of deaths. It must not decide anything.

use anyhow::bail;
use clap::value_parser;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Found, From, merge,
    source::{Answer, Source},
    sources::Sources,
    table::table,
    tell,
    url::Url,
};
use crate::{
    contract::CrashObject,
    render::printable,
    terminal::{print, width},
    when,
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
    let url = Url::new("/v1/crashes")
        .with("namespace", options.namespace.as_deref())
        .with("label", options.selector.as_deref())
        .with("since", options.since.as_deref())
        .with("until", options.until.as_deref())
        .with("cause", options.cause.as_deref())
        .with("all", options.all.then_some(true))
        // With one more it is known whether there are more.
        .with("limit", Some(options.limit + 1));
    let answers = sources.all(async |_, source| lines(source, &url).await).await?;
    let answers: Vec<String> = answers.into_iter().map(|(_, lines)| lines).collect();
    let (lines, is_cut) = merge::newest(&answers, usize::from(options.limit))?;
    if lines.is_empty() {
        return Ok(Found::Nothing("no crashes found".to_owned()));
    }
    let cut = (options.output == Format::Table).then(width).flatten();
    let _ = match options.output {
        Format::Json => print(&lines.iter().flat_map(|line| [line, "\n"]).collect::<String>())?,
        Format::Table | Format::Wide => {
            let crashes: Result<Vec<CrashObject>, _> =
                lines.into_iter().map(serde_json::from_str).collect();
            let is_wide = options.output == Format::Wide;
            let columns = Columns {
                namespace: options.namespace.is_none(),
                id: is_wide,
                node: is_wide || sources.are_several(),
            };
            print(&columns.table(&crashes?, Timestamp::now(), cut))?
        }
    };
    if is_cut {
        tell(&format!("these are the newest {}; --limit shows more", options.limit));
    }
    Ok(Found::Something)
}

/// Crash objects, one a line.
async fn lines(source: &mut Source, url: &Url) -> anyhow::Result<String> {
    match source.get(url, "application/jsonl").await? {
        Answer::Found(answer) => answer.text().await,
        Answer::Nothing(why) | Answer::Several { message: why, .. } => bail!(why),
    }
}

/// Which columns a table has.
struct Columns {
    namespace: bool,
    id: bool,
    node: bool,
}

/// In place of what is not known, as kubectl has it.
const NONE: &str = "<none>";

impl Columns {
    fn table(&self, crashes: &[CrashObject], now: Timestamp, width: Option<usize>) -> String {
        let all =
            ["WHEN", "NAMESPACE", "POD", "CONTAINER", "RESTARTS", "CAUSE", "ID", "NODE", "SUMMARY"];
        let header: Vec<&str> = all.into_iter().filter(|name| self.has(name)).collect();
        let row = |crash: &CrashObject| {
            let cells = all.iter().filter(|name| self.has(name));
            cells.map(|name| printable(&cell(name, crash, now))).collect()
        };
        let rows: Vec<Vec<String>> = crashes.iter().map(row).collect();
        table(&header, &rows, width)
    }

    fn has(&self, name: &str) -> bool {
        match name {
            "NAMESPACE" => self.namespace,
            "ID" => self.id,
            "NODE" => self.node,
            _ => true,
        }
    }
}

fn cell(name: &str, object: &CrashObject, now: Timestamp) -> String {
    let k8s = |path| object.k8s.pointer(path);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or(NONE).to_owned();
    let crash = &object.crash;
    match name {
        "WHEN" => match crash.time.parse() {
            Ok(time) => when::age(time, now),
            Err(_) => crash.time.clone(),
        },
        "NAMESPACE" => text(k8s("/namespace/name")),
        "POD" => text(k8s("/pod/name")),
        "CONTAINER" => text(k8s("/container/name").or(object.container.get("name"))),
        "RESTARTS" => {
            let count = k8s("/container/restart_count").and_then(Value::as_u64);
            count.map_or(NONE.to_owned(), |count| count.to_string())
        }
        "CAUSE" => crash.cause.clone(),
        "ID" => crash.id.clone(),
        "NODE" => text(k8s("/node/name")),
        _ => crash.summary.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{Crash, ExitStatus, SCHEMA};

    fn crash(pod: Option<&str>, cause: &str, summary: &str) -> CrashObject {
        CrashObject {
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
                process: Value::Null,
                details: serde_json::Map::new(),
            },
            exit: ExitStatus { code: Some(1), signal: None, core: false },
            process: Value::Null,
            container: Value::Null,
            k8s: pod.map_or(Value::Null, |pod| {
                json!({
                    "namespace": {"name": "shop"},
                    "pod": {"name": pod},
                    "container": {"name": "cart", "restart_count": 12},
                    "node": {"name": "node1"},
                })
            }),
            timeline: None,
            lost: 0,
        }
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
