//! A timeline and a verdict as text that is pasted into an incident: plain words, one line an entry.
//! What a container wrote is shown escaped. It must not decide anything or do I/O.

mod column;
mod end;
mod fold;
mod line;
mod process;
mod shorten;
mod size;
mod style;
mod words;

use crate::{
    contract::{Crash, CrashObject, Entry, Evidence, What},
    diagnose::verdict::Cause,
};

pub use column::offset;
pub use line::{gap_of, in_one_line, paint, what, who};
pub use size::size;
pub use style::{Paint, Style, printable, without_colour};
pub use words::stream;

use column::Row;
use shorten::shorten_words;

/// How much of a timeline is shown. The crash object always has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Searches and repetitions that no evidence cites in one line each, long text without its middle.
    Folded,
    /// Every entry, in full.
    All,
}

/// Timeline, an empty line, verdict.
pub fn crash_text(object: &CrashObject, style: Style, detail: Detail) -> String {
    let lines = timeline_text(object, style, detail);
    format!("{lines}\n{}", verdict_text(&object.crash, style, detail))
}

/// One line for each entry or folded run of them: index (which evidence cites), seconds from the beginning
/// of the life, who, and what. `▶` marks the entry that the verdict's evidence names first, or else the end
/// of the main process. Lost records are named at the end. Ends in a newline.
fn timeline_text(object: &CrashObject, style: Style, detail: Detail) -> String {
    let entries = object.timeline.as_deref().unwrap_or_default();
    let fatal = fatal(object, entries);
    let mut lines: Vec<Vec<String>> = entries.iter().map(|entry| what(entry, detail)).collect();
    let folds = match detail {
        Detail::Folded => fold::folds(entries, &lines, &cited(&object.crash, fatal)),
        Detail::All => (0..entries.len()).map(fold::Fold::alone).collect(),
    };
    let rows: Vec<Row> = folds
        .into_iter()
        .map(|fold| {
            let entry = &entries[fold.first];
            let usual = if fold.count > 1 { Paint::Failed } else { paint(entry) };
            Row {
                index: fold.indexes(),
                offset: offset(entry.offset_ns),
                who: who(entry),
                what: match fold.line {
                    Some(line) => vec![line],
                    None => std::mem::take(&mut lines[fold.first]),
                },
                paint: if fatal == Some(fold.first) { Paint::Fatal } else { usual },
            }
        })
        .collect();
    let mut out = column::rows(&rows, style);
    if entries.is_empty() {
        out.push_str("  nothing was recorded\n");
    }
    if object.lost > 0 {
        let records = if object.lost == 1 { "record was" } else { "records were" };
        let line = format!("{} {records} lost: entries may be missing", object.lost);
        out.push_str(&format!("  {}\n", style.paint(Paint::Gap, &line)));
    }
    out
}

/// Cause, summary, evidence with the indexes of its entries, next step. Ends in a newline.
fn verdict_text(crash: &Crash, style: Style, detail: Detail) -> String {
    let told = |text: &str| match detail {
        Detail::Folded => shorten_words(&printable(text)),
        Detail::All => printable(text),
    };
    let cause = match crash.cause == Cause::None.name() {
        true => printable(&crash.cause),
        false => printable(&format!("{} ({})", crash.cause, crash.confidence)),
    };
    let mut out = format!("cause:     {}\n", style.paint(Paint::Fatal, &cause));
    out.push_str(&format!("summary:   {}\n", told(&crash.summary)));
    for (index, evidence) in crash.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence:" } else { "" };
        out.push_str(&format!("{label:<10} - {}{}\n", told(&evidence.text), indexes(evidence)));
    }
    if !crash.next_step.is_empty() {
        out.push_str(&format!("next step: {}\n", told(&crash.next_step)));
    }
    out
}

/// ` [1, 2]`: the entries that evidence cites, or nothing.
pub fn indexes(evidence: &Evidence) -> String {
    if evidence.timeline.is_empty() {
        return String::new();
    }
    let mut indexes = evidence.timeline.clone();
    indexes.sort_unstable();
    let indexes: Vec<String> = indexes.iter().map(usize::to_string).collect();
    format!(" [{}]", indexes.join(", "))
}

/// Indexes of the entries that evidence leads a reader to.
fn cited(crash: &Crash, fatal: Option<usize>) -> Vec<usize> {
    let evidence = crash.evidence.iter().flat_map(|evidence| &evidence.timeline);
    evidence.copied().chain(fatal).collect()
}

fn fatal(object: &CrashObject, entries: &[Entry]) -> Option<usize> {
    let mut evidence = object.crash.evidence.iter().flat_map(|evidence| &evidence.timeline);
    let cited = evidence.find(|index| **index < entries.len()).copied();
    cited.or_else(|| {
        entries.iter().rposition(|entry| {
            matches!(entry.what, What::Exit(_)) && entry.process.is(&object.process)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::event::{self, Stream, Words},
        contract::crash_object,
        diagnose::{
            timeline::Timeline,
            verdict::{Confidence, Verdict},
        },
        render::samples,
    };

    /// Of a timeline, without evidence.
    pub(super) fn object(timeline: &Timeline) -> CrashObject {
        let (_, _, mut verdict) = samples::missing_file();
        verdict.evidence.clear();
        judged(timeline, &verdict)
    }

    fn judged(timeline: &Timeline, verdict: &Verdict) -> CrashObject {
        crash_object("0123456789ab", timeline, &samples::facts(), verdict)
    }

    #[test]
    fn a_crash_reads_from_its_first_line_to_the_next_step() {
        let (timeline, _, verdict) = samples::missing_file();
        insta::assert_snapshot!(crash_text(&judged(&timeline, &verdict), Style::Plain, Detail::Folded), @r#"
          0  +0.001200s  app[4242]  exec /usr/bin/app --config /etc/app.yml
        ▶ 1  +0.003412s  app[4242]  openat "/etc/app.yml" = ENOENT (no such file or directory)
          2  +0.003900s  app[4242]  stderr: "cannot read config!"
          3  +0.004100s  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB

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
        insta::assert_snapshot!(timeline_text(&judged(&timeline, &verdict), Style::Plain, Detail::Folded), @r#"
           0  +0.001000s  app[4242]  cgroup /kubepods/pod/app created
        ▶  1  +0.002000s  app[4242]  exec /usr/bin/app --config /etc/app.yml
           2  +0.003000s  app[4242]  exec "/bin/\xff" … (26 bytes of arguments)
           3  +0.004000s  app[4242]  exec ./missing as "missing\xff" "two words" (from descriptor 9) = ENOENT (no such file or directory)
           4  +0.005000s  app[4242]  forked by pid 4000
           5  +0.006000s  app[4242]  at that moment, 2 of 3 threads: 1 running, 1 waiting in futex
           6  +0.007000s  app[4242]  bind tcp 0.0.0.0:9443 = EADDRINUSE (address already in use)
           7  +0.008000s  app[4242]  listen tcp port 9443
           8  +0.009000s  app[4242]  bind unix "/run/app.sock"
           9  +0.010000s  app[4242]  openat "/etc/tls/key.pem" = EACCES (permission denied)
          10  +0.011000s  app[4242]  write …"log/app.log" = ENOSPC (no space left on device)
          11  +0.012000s  app[4242]  clone = EAGAIN (resource temporarily unavailable)
          12  +0.013000s  app[4242]  clone in a cgroup with 20 of at most 20 processes = EAGAIN (resource temporarily unavailable)
          13  +0.014000s  app[4242]  connect tcp 10.0.0.7:5432 on descriptor 5 = EINPROGRESS (operation now in progress)
          14  +0.015000s  app[4242]  getsockopt(SO_ERROR) tcp on descriptor 5 = ECONNREFUSED (connection refused)
          15  +0.016000s  app[4242]  connect tcp 10.0.0.7:5432 = ECONNREFUSED (connection refused)
          16  +0.017000s  app[4242]  connect tcp 10.0.0.8:5432 = ECONNREFUSED (connection refused); 8 times; succeeded later
          17  +0.018000s  app[4242]  connect tcp [::1]:5432 = ECONNREFUSED (connection refused)
          18  +0.019000s  app[4242]  connect unix "@bus" = ECONNREFUSED (connection refused)
          19  +0.020000s  app[4242]  connect AF_NETLINK = ECONNREFUSED (connection refused)
          20  +0.021000s  app[4242]  connect AF_PACKET = ECONNREFUSED (connection refused)
          21  +0.022000s  app[4242]  bind 0.0.0.0:80 = EACCES (permission denied)
          22  +0.023000s  app[4242]  recvfrom DNS question "db.example.com" to 10.96.0.10
          23  +0.024000s  app[4242]  recvfrom DNS answer from 10.96.0.10 to "db.example.com": NXDOMAIN, 0 records
          24  +0.025000s  app[4242]  9 earlier failed calls were overwritten in the recorder
          25  +0.026000s  app[4242]  stdout: "plain"
          26  +0.027000s  app[4242]  to another descriptor: "exec failed\xff"
          27  +0.028000s  app[4242]  stderr (the last 23 bytes of 87.8 KiB):
                                       | panic: no
                                       | ... 68.3 KiB not kept ...
                                       | exit status 2
          28  +0.029000s  app[4242]  SIGTERM from runc[90] (kill): no handler, the default action is taken
          29  +0.030000s  app[4242]  SIGSEGV from the kernel (SEGV_MAPERR at 0x10, where nothing is mapped): no handler, the default action is taken
          30  +0.031000s  app[4242]  SIGSYS from the kernel (SYS_SECCOMP: mount, system call 165): no handler, the default action is taken
          31  +0.032000s  app[4242]  out of memory: the kernel chose it to be killed; it held 62 MiB (address space 1 GiB)
                                     memory cgroup 31: 64 MiB used of a limit of 64 MiB; all in it are killed together
          32  +0.033000s  -          gap: 12 records of kind calls were lost
          33  +0.034000s  app[4242]  killed by SIGKILL; wrote 21 bytes to stderr; peak memory 10 MiB
          34  +0.035000s  app[4242]  killed by SIGSEGV (core dumped); peak memory 10 MiB; the recorder was not on from its first exec
          35  +0.036000s  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB
          36  +0.037000s  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB
          37  +0.038000s  app[4242]  started /usr/bin/app serve; the recorder came 351 s later
          38  +0.039000s  app[4242]  stderr (to /dev/null): "no such file"
          12 records were lost: entries may be missing
        "#);
    }

    #[test]
    fn without_evidence_the_end_of_main_is_marked() {
        let (timeline, _, _) = samples::missing_file();
        let text = timeline_text(&object(&timeline), Style::Plain, Detail::Folded);
        let marked: Vec<_> = text.lines().filter(|line| line.starts_with('▶')).collect();
        assert_eq!(
            marked,
            [
                "▶ 3  +0.004100s  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB"
            ]
        );
    }

    #[test]
    fn evidence_beyond_the_timeline_marks_nothing_there() {
        let (mut timeline, _, verdict) = samples::missing_file();
        timeline.entries.truncate(1);
        let text = timeline_text(&judged(&timeline, &verdict), Style::Plain, Detail::Folded);
        assert!(!text.contains('▶'), "{text}");
    }

    #[test]
    fn cause_none_has_no_confidence() {
        let (timeline, _, mut verdict) = samples::missing_file();
        verdict.cause = Cause::None;
        verdict.confidence = Confidence::None;
        verdict.evidence.clear();
        verdict.next_step.clear();
        verdict.summary = "nothing\nfailed".to_owned();
        insta::assert_snapshot!(verdict_text(&judged(&timeline, &verdict).crash, Style::Plain, Detail::Folded), @r#"
        cause:     none
        summary:   nothing\nfailed
        "#);
    }

    #[test]
    fn hostile_output_reaches_no_terminal() {
        let bytes = "\x1b[2J\rok\u{202e}evil\u{7}\0\u{9b}31m".as_bytes().to_vec();
        let words = Words { total_bytes: 1 << 20, ..samples::words(Stream::Stdout, &bytes) };
        let timeline = samples::timeline(vec![samples::event(5, event::What::Words(words))]);
        let text = timeline_text(&object(&timeline), Style::Plain, Detail::Folded);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        insta::assert_snapshot!(text, @r#"  0  +0.000000s  app[4242]  stdout (the last 21 bytes of 1 MiB): "\u{1b}[2J\rok\u{202e}evil\u{7}\u{0}\u{9b}31m""#);
    }

    #[test]
    fn only_coloured_text_has_escape_sequences() {
        let (timeline, _, verdict) = samples::missing_file();
        assert!(
            !crash_text(&judged(&timeline, &verdict), Style::Plain, Detail::Folded)
                .contains('\x1b')
        );
        let coloured = crash_text(&judged(&timeline, &verdict), Style::Coloured, Detail::Folded);
        assert!(coloured.contains("\x1b[1;31m"));
        assert_eq!(coloured.matches("\x1b[0m").count() * 2, coloured.matches('\x1b').count());
    }

    #[test]
    fn an_empty_timeline_says_so() {
        let text = timeline_text(&object(&samples::timeline(vec![])), Style::Plain, Detail::Folded);
        assert_eq!(text, "  nothing was recorded\n");
    }
}
