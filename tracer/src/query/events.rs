//! `tracer events`: what is stored, or what happens. It must not decide anything.

use std::ops::ControlFlow;

use serde_json::Value;

use super::{From, TextOrJson, live, stored, url::Url};
use crate::{
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
    pub(super) limit: Option<usize>,
    /// How to print them: one line each
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    output: TextOrJson,
    #[command(flatten)]
    from: From,
}

/// Prints events in the order in which they arrived; returns the exit code.
///
/// # Errors
/// Nobody answers, what is asked is refused, or a live stream ended.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    super::run(&options.from, async |sources| match options.follow {
        true if sources.are_live() => live::follow(options, sources).await,
        true => stored::follow(options, sources).await,
        false => stored::all(options, sources).await,
    })
}

impl Options {
    pub(super) fn url(&self) -> Url {
        Url::new("/v1/events")
            .with("namespace", self.namespace.as_deref())
            .with("label", self.selector.as_deref())
            .with("pod", self.pod.as_deref())
            .with("kind", self.kind.as_deref())
            .with("since", self.since.as_deref())
            .with("until", self.until.as_deref())
    }

    /// Prints events, one a line of JSON each, with the node where it is given.
    pub(super) fn print(
        &self,
        events: &str,
        node: Option<&str>,
    ) -> anyhow::Result<ControlFlow<()>> {
        match self.output {
            TextOrJson::Json => print(events),
            TextOrJson::Text => {
                let line = |event| {
                    node.map_or(String::new(), |node| format!("{}  ", printable(node)))
                        + &line(event)
                };
                print(&events.lines().map(line).collect::<String>())
            }
        }
    }
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
    use crate::{contract::entry, render::samples};

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
        2001-02-03T04:05:06.017Z  -  app[4242]  connect tcp 10.0.0.8:5432 = ECONNREFUSED
        2001-02-03T04:05:06.018Z  -  app[4242]  connect tcp [::1]:5432 = ECONNREFUSED
        2001-02-03T04:05:06.019Z  -  app[4242]  connect unix @bus = ECONNREFUSED
        2001-02-03T04:05:06.020Z  -  app[4242]  connect AF_NETLINK = ECONNREFUSED
        2001-02-03T04:05:06.021Z  -  app[4242]  connect AF_PACKET = ECONNREFUSED
        2001-02-03T04:05:06.022Z  -  app[4242]  bind 0.0.0.0:80 = EACCES
        2001-02-03T04:05:06.023Z  -  app[4242]  recvfrom DNS question db.example.com
        2001-02-03T04:05:06.024Z  -  app[4242]  recvfrom DNS answer to db.example.com: NXDOMAIN
        2001-02-03T04:05:06.025Z  -  app[4242]  gap: 9 earlier failed calls were overwritten
        2001-02-03T04:05:06.026Z  -  app[4242]  stdout: plain
        2001-02-03T04:05:06.027Z  -  app[4242]  init: exec failed\xff
        2001-02-03T04:05:06.028Z  -  app[4242]  stderr: exit status 2
        2001-02-03T04:05:06.029Z  -  app[4242]  SIGTERM (SI_USER) from runc[90]: delivered, disposition default
        2001-02-03T04:05:06.030Z  -  app[4242]  SIGSEGV (SEGV_MAPERR) from app[4242]: delivered, disposition default
        2001-02-03T04:05:06.031Z  -  app[4242]  SIGSYS (SYS_SECCOMP) from app[4242]: delivered, disposition default
        2001-02-03T04:05:06.032Z  -  app[4242]  out of memory: the kernel chose it to be killed; a memory cgroup used 64 MiB of 64 MiB
        2001-02-03T04:05:06.033Z  -  gap: 12 of kind calls were lost
        2001-02-03T04:05:06.034Z  -  app[4242]  killed by SIGKILL
        2001-02-03T04:05:06.035Z  -  app[4242]  killed by SIGSEGV (core dumped)
        2001-02-03T04:05:06.036Z  -  app[4242]  exited with status 1
        2001-02-03T04:05:06.037Z  -  app[4242]  exited with status 1
        2001-02-03T04:05:06.038Z  -  app[4242]  ran already when the agent came: /usr/bin/app app serve
        2001-02-03T04:05:06.039Z  -  app[4242]  stderr (to /dev/null): no such file
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
