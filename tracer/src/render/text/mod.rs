//! A timeline and a verdict as text that is pasted into an incident: plain words, one line an entry.
//! What a container wrote is shown escaped. It must not decide anything or do I/O.

mod column;
mod line;
mod size;
mod style;

use crate::{
    crash::Evidence,
    event::{Event, What},
    timeline::Timeline,
    verdict::{Cause, Verdict},
};

pub use style::Style;

use column::{Row, offset, who};
use style::{Paint, printable};

/// Timeline, an empty line, verdict.
pub fn crash_text(timeline: &Timeline, verdict: &Verdict, style: Style) -> String {
    let lines = timeline_text(timeline, Some(verdict), style);
    format!("{lines}\n{}", verdict_text(verdict, style))
}

/// One line for each entry: its index (which evidence cites), seconds from the beginning of the life,
/// who, and what. `▶` marks the entry that the verdict's evidence names first, or else the end of the
/// main process. Lost records are named at the end. Ends in a newline.
pub fn timeline_text(timeline: &Timeline, verdict: Option<&Verdict>, style: Style) -> String {
    let fatal = fatal(timeline, verdict);
    let rows: Vec<Row> = timeline
        .entries
        .iter()
        .enumerate()
        .map(|(index, event)| Row {
            index,
            offset: offset(event.time_ns, timeline.began_ns),
            who: who(event),
            what: line::what(event),
            paint: if fatal == Some(index) { Paint::Fatal } else { paint(event) },
        })
        .collect();
    let mut out = column::rows(&rows, style);
    if timeline.entries.is_empty() {
        out.push_str("  nothing was recorded\n");
    }
    if timeline.lost > 0 {
        let records = if timeline.lost == 1 { "record was" } else { "records were" };
        let line = format!("{} {records} lost: entries may be missing", timeline.lost);
        out.push_str(&format!("  {}\n", style.paint(Paint::Gap, &line)));
    }
    out
}

/// Cause, summary, evidence with the indexes of its entries, next step. Ends in a newline.
pub fn verdict_text(verdict: &Verdict, style: Style) -> String {
    let cause = match verdict.cause {
        Cause::None => verdict.cause.name().to_owned(),
        _ => format!("{} ({})", verdict.cause.name(), verdict.confidence.name()),
    };
    let mut out = format!("cause:     {}\n", style.paint(Paint::Fatal, &cause));
    out.push_str(&format!("summary:   {}\n", printable(&verdict.summary)));
    for (index, evidence) in verdict.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence:" } else { "" };
        out.push_str(&format!("{label:<10} - {}\n", cited(evidence)));
    }
    if !verdict.next_step.is_empty() {
        out.push_str(&format!("next step: {}\n", printable(&verdict.next_step)));
    }
    out
}

fn cited(evidence: &Evidence) -> String {
    let text = printable(&evidence.text);
    if evidence.timeline.is_empty() {
        return text;
    }
    let indexes: Vec<String> = evidence.timeline.iter().map(usize::to_string).collect();
    format!("{text} [{}]", indexes.join(", "))
}

fn fatal(timeline: &Timeline, verdict: Option<&Verdict>) -> Option<usize> {
    let cited = verdict.and_then(|verdict| {
        let mut indexes = verdict.evidence.iter().flat_map(|evidence| &evidence.timeline).copied();
        indexes.find(|index| *index < timeline.entries.len())
    });
    cited.or_else(|| {
        timeline.entries.iter().rposition(|event| {
            matches!(event.what, What::Exit(_)) && event.process.id == timeline.main
        })
    })
}

fn paint(event: &Event) -> Paint {
    match &event.what {
        What::ExecFailed(_) | What::Signal(_) | What::Oom(_) => Paint::Bad,
        What::Exit(exit) if exit.status.code == Some(0) => Paint::Plain,
        What::Exit(_) => Paint::Bad,
        What::Bind(bind) if bind.errno.is_some() => Paint::Bad,
        What::Call(_) => Paint::Failed,
        What::Words(_) => Paint::Words,
        What::CallsForgotten(_) | What::Lost(_) => Paint::Gap,
        What::Exec(_) | What::Fork(_) | What::Threads(_) | What::Bind(_) | What::Cgroup(_) => {
            Paint::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Stream, Words},
        render::samples,
        text::Text,
        verdict::Confidence,
    };

    #[test]
    fn a_crash_reads_from_its_first_line_to_the_next_step() {
        let (timeline, _, verdict) = samples::missing_file();
        insta::assert_snapshot!(crash_text(&timeline, &verdict, Style::Plain), @r#"
          0  +0.001200s  app[4242]  exec /usr/bin/app app --config /etc/app.yml
        ▶ 1  +0.003412s  app[4242]  openat "/etc/app.yml" = ENOENT (no such file or directory)
          2  +0.003900s  app[4242]  stderr: "cannot read config!"
          3  +0.004100s  app[4242]  exit 1; 21 bytes to stderr; at most 10 MiB resident

        cause:     file_not_found (proven)
        summary:   app exited with 1 because /etc/app.yml does not exist.
        evidence:  - openat of /etc/app.yml failed with ENOENT [1]
                   - it ended 0.7 ms later, its last words name the file [2, 3]
        next step: Mount the file at /etc/app.yml.
        "#);
    }

    #[test]
    fn every_kind_of_entry_has_its_line() {
        let (timeline, _, verdict) = samples::every_kind();
        insta::assert_snapshot!(timeline_text(&timeline, Some(&verdict), Style::Plain), @r#"
           0  +0.001000s  app[4242]  cgroup /kubepods/pod/app made
        ▶  1  +0.002000s  app[4242]  exec /usr/bin/app app --config /etc/app.yml
           2  +0.003000s  app[4242]  exec "/bin/\xff" … (26 bytes of arguments)
           3  +0.004000s  app[4242]  exec ./missing "missing\xff" "two words" (from descriptor 9) = ENOENT (no such file or directory)
           4  +0.005000s  app[4242]  forked by 4000
           5  +0.006000s  app[4242]  2 of 3 threads: 1 running, 1 waiting in futex
           6  +0.007000s  app[4242]  bind tcp 0.0.0.0:9443 = EADDRINUSE (address already in use)
           7  +0.008000s  app[4242]  listen tcp port 9443
           8  +0.009000s  app[4242]  bind unix "/run/app.sock"
           9  +0.010000s  app[4242]  openat "/etc/tls/key.pem" = EACCES (permission denied)
          10  +0.011000s  app[4242]  write …"log/app.log" = ENOSPC (no space left on device)
          11  +0.012000s  app[4242]  clone = EAGAIN (resource temporarily unavailable)
          12  +0.013000s  app[4242]  connect tcp 10.0.0.7:5432 on descriptor 5 = EINPROGRESS (operation now in progress)
          13  +0.014000s  app[4242]  getsockopt(SO_ERROR) tcp on descriptor 5 = ECONNREFUSED (connection refused)
          14  +0.015000s  app[4242]  connect tcp 10.0.0.7:5432 = ECONNREFUSED (connection refused)
          15  +0.016000s  app[4242]  connect tcp [::1]:5432 = ECONNREFUSED (connection refused)
          16  +0.017000s  app[4242]  connect unix "@bus" = ECONNREFUSED (connection refused)
          17  +0.018000s  app[4242]  connect AF_NETLINK = ECONNREFUSED (connection refused)
          18  +0.019000s  app[4242]  connect AF_PACKET = ECONNREFUSED (connection refused)
          19  +0.020000s  app[4242]  bind 0.0.0.0:80 = EACCES (permission denied)
          20  +0.021000s  app[4242]  recvfrom DNS question "db.example.com"
          21  +0.022000s  app[4242]  recvfrom DNS answer to "db.example.com": NXDOMAIN, 0 records
          22  +0.023000s  app[4242]  9 failed calls are no longer known
          23  +0.024000s  app[4242]  stdout: "plain"
          24  +0.025000s  app[4242]  init: "exec failed\xff"
          25  +0.026000s  app[4242]  SIGTERM from runc[90] (kill): default action
          26  +0.027000s  app[4242]  SIGSEGV from the kernel (SEGV_MAPERR at 0x10): default action
          27  +0.028000s  app[4242]  SIGSYS from the kernel (SYS_SECCOMP: mount, system call 165): default action
          28  +0.029000s  app[4242]  chosen by the OOM killer: 62 MiB resident of 1 GiB virtual
                                     memory cgroup 31: 64 MiB of its limit of 64 MiB, killed as a group
          29  +0.030000s  -          gap: 12 calls records were lost
          30  +0.031000s  app[4242]  killed by SIGKILL; 21 bytes to stderr; at most 10 MiB resident
          31  +0.032000s  app[4242]  killed by SIGSEGV (core dumped); at most 10 MiB resident; the recorder was not on from its first exec
          32  +0.033000s  app[4242]  exit 1; 21 bytes to stderr; at most 10 MiB resident
          12 records were lost: entries may be missing
        "#);
    }

    #[test]
    fn without_a_verdict_the_end_of_main_is_marked() {
        let (timeline, _, _) = samples::missing_file();
        let text = timeline_text(&timeline, None, Style::Plain);
        let marked: Vec<_> = text.lines().filter(|line| line.starts_with('▶')).collect();
        assert_eq!(
            marked,
            ["▶ 3  +0.004100s  app[4242]  exit 1; 21 bytes to stderr; at most 10 MiB resident"]
        );
    }

    #[test]
    fn evidence_beyond_the_timeline_marks_nothing_there() {
        let (mut timeline, _, verdict) = samples::missing_file();
        timeline.entries.truncate(1);
        let text = timeline_text(&timeline, Some(&verdict), Style::Plain);
        assert!(!text.contains('▶'), "{text}");
    }

    #[test]
    fn cause_none_has_no_confidence() {
        let (_, _, mut verdict) = samples::missing_file();
        verdict.cause = Cause::None;
        verdict.confidence = Confidence::None;
        verdict.evidence.clear();
        verdict.next_step.clear();
        verdict.summary = "nothing\nfailed".to_owned();
        insta::assert_snapshot!(verdict_text(&verdict, Style::Plain), @r#"
        cause:     none
        summary:   nothing\nfailed
        "#);
    }

    #[test]
    fn hostile_output_reaches_no_terminal() {
        let bytes = "\x1b[2J\rok\u{202e}evil\u{7}\0\u{9b}31m".as_bytes().to_vec();
        let words = Words { stream: Stream::Stdout, total_bytes: 1 << 20, bytes: Text(bytes) };
        let timeline = samples::timeline(vec![samples::event(5, What::Words(words))]);
        let text = timeline_text(&timeline, None, Style::Plain);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        insta::assert_snapshot!(text, @r#"
        0  +0.000000s  app[4242]  stdout: "\u{1b}[2J\rok\u{202e}evil\u{7}\u{0}\u{9b}31m"
                                          (the last 21 bytes of 1 MiB)
        "#);
    }

    #[test]
    fn only_coloured_text_has_escape_sequences() {
        let (timeline, _, verdict) = samples::missing_file();
        assert!(!crash_text(&timeline, &verdict, Style::Plain).contains('\x1b'));
        let coloured = crash_text(&timeline, &verdict, Style::Coloured);
        assert!(coloured.contains("\x1b[1;31m"));
        assert_eq!(coloured.matches("\x1b[0m").count() * 2, coloured.matches('\x1b').count());
    }

    #[test]
    fn an_empty_timeline_says_so() {
        let text = timeline_text(&samples::timeline(vec![]), None, Style::Plain);
        assert_eq!(text, "  nothing was recorded\n");
    }
}
