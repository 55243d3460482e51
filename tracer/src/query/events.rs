//! `tracer events`: what is stored, or what happens. It must not decide anything.

use std::{ops::ControlFlow, time::Duration};

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::{
    Found, From, TextOrJson,
    source::{Answer, Source, text},
    sse::Parser,
    url::Url,
};
use crate::{
    api::{LAST_ROW, MORE},
    render::{printable, row::Row},
    terminal::print,
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print what happens from now on, until interrupted
    #[arg(short, long, conflicts_with_all = ["since", "until", "limit"])]
    follow: bool,
    /// Of this namespace only
    #[arg(short, long)]
    namespace: Option<String>,
    /// Of pods with these labels, as kubectl takes them: app=cart,tier!=test
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Of this pod only
    #[arg(long)]
    pod: Option<String>,
    /// Of these kinds only, several with commas (docs/events.md)
    #[arg(long)]
    kind: Option<String>,
    /// Of this time or later: 10m, 2h or 1d ago, or RFC 3339, `2026-01-31 10:00`, `10:00` (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The first of them
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them: one line each
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    output: TextOrJson,
    #[command(flatten)]
    from: From,
}

/// Events of one answer.
const PART: usize = 2_000;
/// Between two looks at a store that somebody else writes.
const PAUSE: Duration = Duration::from_millis(250);

/// Prints events in the order in which they arrived; returns the exit code.
///
/// # Errors
/// Nobody answers, what is asked is refused, or a live stream ended.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    super::run(async {
        let mut source = Source::find(&options.from).await?;
        match options.follow {
            true if source.is_live() => follow_agent(options, &mut source).await,
            true => follow_store(options, &mut source).await,
            false => stored(options, &mut source).await,
        }
    })
}

impl Options {
    fn url(&self) -> Url {
        Url::new("/v1/events")
            .with("namespace", self.namespace.as_deref())
            .with("label", self.selector.as_deref())
            .with("pod", self.pod.as_deref())
            .with("kind", self.kind.as_deref())
            .with("since", self.since.as_deref())
            .with("until", self.until.as_deref())
    }

    fn print(&self, lines: &str) -> anyhow::Result<ControlFlow<()>> {
        match self.output {
            TextOrJson::Json => print(lines),
            TextOrJson::Text => print(&lines.lines().map(line).collect::<String>()),
        }
    }
}

async fn stored(options: &Options, source: &mut Source) -> anyhow::Result<Found> {
    let (mut after, mut left, mut found) = (0, options.limit.unwrap_or(usize::MAX), false);
    while left > 0 {
        let part = match Part::ask(options, source, after, left.min(PART)).await? {
            Ok(part) => part,
            Err(why) => return Ok(Found::Nothing(why)),
        };
        let count = part.lines.lines().count();
        found |= count > 0;
        if options.print(&part.lines)?.is_break() || !part.more {
            break;
        }
        (after, left) = (part.last_row, left.saturating_sub(count));
    }
    Ok(if found { Found::Something } else { Found::Nothing("no events found".to_owned()) })
}

async fn follow_store(options: &Options, source: &mut Source) -> anyhow::Result<Found> {
    // With none of its events: where it ends now.
    let mut limit = 0;
    let mut after = 0;
    loop {
        let part = match Part::ask(options, source, after, limit).await? {
            Ok(part) => part,
            Err(why) => return Ok(Found::Nothing(why)),
        };
        if options.print(&part.lines)?.is_break() {
            return Ok(Found::Something);
        }
        (after, limit) = (part.last_row, PART);
        if !part.more {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn follow_agent(options: &Options, source: &mut Source) -> anyhow::Result<Found> {
    let mut body = match source.get(&options.url(), "text/event-stream").await? {
        Answer::Found(answer) => answer.into_body(),
        Answer::Nothing(why) => return Ok(Found::Nothing(why)),
    };
    let mut parser = Parser::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the live stream broke off")?;
        let Some(bytes) = frame.data_ref() else { continue };
        for event in parser.take(bytes) {
            if options.print(&(event + "\n"))?.is_break() {
                return Ok(Found::Something);
            }
        }
    }
    bail!("the live stream ended: the agent was stopped")
}

/// Stored events of one answer.
struct Part {
    /// One JSON object a line.
    lines: String,
    last_row: i64,
    more: bool,
}

impl Part {
    /// `Err` inside where nothing is found: why.
    async fn ask(
        options: &Options,
        source: &mut Source,
        after: i64,
        limit: usize,
    ) -> anyhow::Result<Result<Self, String>> {
        let url = options.url().with("after_row", Some(after)).with("limit", Some(limit));
        match source.get(&url, "application/jsonl").await? {
            Answer::Nothing(why) => Ok(Err(why)),
            Answer::Found(answer) => {
                let headers = answer.headers();
                let last_row = header(headers, LAST_ROW.as_str()).and_then(|row| row.parse().ok());
                let last_row = last_row.context("the agent does not say where its answer ends")?;
                let more = header(headers, MORE.as_str()) == Some("true");
                Ok(Ok(Self { last_row, more, lines: text(answer).await? }))
            }
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An event's JSON as one line for people: time, whose it is, process, what. Ends in a newline.
fn line(json: &str) -> String {
    let event: Value = serde_json::from_str(json).unwrap_or_default();
    let text = |path: &str| event.pointer(path).and_then(Value::as_str);
    let (time, what) = match text("/crash/cause") {
        Some(cause) => {
            let summary = text("/crash/summary").unwrap_or_default();
            (text("/crash/time"), format!("crash {cause}: {summary}"))
        }
        None => {
            let row = Row::of(&event);
            let who = if row.who.is_empty() { row.who } else { row.who + "  " };
            (text("/time"), format!("{who}{}", row.what))
        }
    };
    let whose = [
        text("/k8s/namespace/name"),
        text("/k8s/pod/name"),
        text("/k8s/container/name").or(text("/container/name")),
    ];
    let whose: Vec<&str> = whose.into_iter().flatten().collect();
    let whose = if whose.is_empty() { "-".to_owned() } else { whose.join("/") };
    printable(&format!("{}  {whose}  {what}", to_milliseconds(time.unwrap_or("-")))) + "\n"
}

/// `2026-01-31T10:00:00.123Z`, of a time with nanoseconds.
fn to_milliseconds(time: &str) -> String {
    match time.split_once('.').and_then(|(seconds, rest)| Some((seconds, rest.get(..3)?))) {
        Some((seconds, milliseconds)) => format!("{seconds}.{milliseconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::{json::entry, samples};

    #[test]
    fn every_kind_of_event_has_its_line() {
        let (timeline, facts, _) = samples::every_kind();
        let offset = facts.machine.boot_offset_ns;
        let events = timeline.entries.iter().map(|e| entry(e, timeline.began_ns, offset));
        let lines: String = events.map(|event| line(&event.to_string())).collect();
        insta::assert_snapshot!(lines, @r"
        2001-02-03T04:05:06.001Z  -  app[4242]  cgroup /kubepods/pod/app made
        2001-02-03T04:05:06.002Z  -  app[4242]  exec /usr/bin/app: app --config /etc/app.yml
        2001-02-03T04:05:06.003Z  -  app[4242]  exec /bin/\xff
        2001-02-03T04:05:06.004Z  -  app[4242]  exec ./missing = ENOENT
        2001-02-03T04:05:06.005Z  -  app[4242]  forked by pid 4000
        2001-02-03T04:05:06.006Z  -  app[4242]  at that moment, of 3 threads: running, waiting in futex
        2001-02-03T04:05:06.007Z  -  app[4242]  bind tcp 0.0.0.0:9443 = EADDRINUSE
        2001-02-03T04:05:06.008Z  -  app[4242]  listen port 9443
        2001-02-03T04:05:06.009Z  -  app[4242]  bind unix /run/app.sock
        2001-02-03T04:05:06.010Z  -  app[4242]  openat /etc/tls/key.pem = EACCES
        2001-02-03T04:05:06.011Z  -  app[4242]  write log/app.log = ENOSPC
        2001-02-03T04:05:06.012Z  -  app[4242]  clone = EAGAIN
        2001-02-03T04:05:06.013Z  -  app[4242]  clone = EAGAIN
        2001-02-03T04:05:06.014Z  -  app[4242]  connect tcp 10.0.0.7:5432 = EINPROGRESS
        2001-02-03T04:05:06.015Z  -  app[4242]  getsockopt = ECONNREFUSED
        2001-02-03T04:05:06.016Z  -  app[4242]  connect tcp 10.0.0.7:5432 = ECONNREFUSED
        2001-02-03T04:05:06.017Z  -  app[4242]  connect tcp [::1]:5432 = ECONNREFUSED
        2001-02-03T04:05:06.018Z  -  app[4242]  connect unix @bus = ECONNREFUSED
        2001-02-03T04:05:06.019Z  -  app[4242]  connect AF_NETLINK = ECONNREFUSED
        2001-02-03T04:05:06.020Z  -  app[4242]  connect AF_PACKET = ECONNREFUSED
        2001-02-03T04:05:06.021Z  -  app[4242]  bind 0.0.0.0:80 = EACCES
        2001-02-03T04:05:06.022Z  -  app[4242]  recvfrom DNS question db.example.com
        2001-02-03T04:05:06.023Z  -  app[4242]  recvfrom DNS answer to db.example.com: NXDOMAIN
        2001-02-03T04:05:06.024Z  -  app[4242]  gap: 9 earlier failed calls were overwritten
        2001-02-03T04:05:06.025Z  -  app[4242]  stdout: plain
        2001-02-03T04:05:06.026Z  -  app[4242]  init: exec failed\xff
        2001-02-03T04:05:06.027Z  -  app[4242]  SIGTERM (SI_USER) from runc[90]: delivered, disposition default
        2001-02-03T04:05:06.028Z  -  app[4242]  SIGSEGV (SEGV_MAPERR) from app[4242]: delivered, disposition default
        2001-02-03T04:05:06.029Z  -  app[4242]  SIGSYS (SYS_SECCOMP) from app[4242]: delivered, disposition default
        2001-02-03T04:05:06.030Z  -  app[4242]  out of memory: the kernel chose it to be killed; a memory cgroup used 64 MiB of 64 MiB
        2001-02-03T04:05:06.031Z  -  gap: 12 of kind calls were lost
        2001-02-03T04:05:06.032Z  -  app[4242]  killed by SIGKILL
        2001-02-03T04:05:06.033Z  -  app[4242]  killed by SIGSEGV (core dumped)
        2001-02-03T04:05:06.034Z  -  app[4242]  exited with status 1
        2001-02-03T04:05:06.035Z  -  app[4242]  ran already when the agent came: /usr/bin/app app serve
        ");
    }

    #[test]
    fn an_event_of_a_pod_says_whose_it_is() {
        let event = json!({
            "time": "2026-01-31T10:00:00.123456789Z", "kind": "fork", "forker_pid": 7,
            "process": {"comm": "app", "pid": 8},
            "k8s": {"namespace": {"name": "shop"}, "pod": {"name": "cart-0"}, "container": {"name": "cart"}},
        });
        let expected = "2026-01-31T10:00:00.123Z  shop/cart-0/cart  app[8]  forked by pid 7\n";
        assert_eq!(line(&event.to_string()), expected);
    }

    #[test]
    fn a_crash_and_a_gap_have_their_lines() {
        let crash = json!({"crash": {"time": "x", "cause": "oom_killed", "summary": "too\nmuch"}});
        assert_eq!(line(&crash.to_string()), "x  -  crash oom_killed: too\\nmuch\n");
        let gap = json!({"kind": "lost", "of": "lines", "count": 3});
        assert_eq!(line(&gap.to_string()), "-  -  gap: 3 of kind lines were lost\n");
        assert_eq!(line("no json"), "-  -  ?[?]  ?\n");
    }
}
