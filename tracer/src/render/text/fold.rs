//! Runs of entries that one line can tell: a search along PATH, the files of a locale, a call tried again.
//! It must not fold what a verdict cites, nor across processes; the timeline and its indexes stay whole.

use super::shorten::{LINE, shorten};
use super::style::{quoted, word};
use crate::{
    errno::Errno,
    event::{Event, Object, What},
    text::Text,
};

/// So many related lookups are told in one line.
const LOOKUPS: usize = 3;

/// Entries from `first` on that one row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    pub first: usize,
    pub count: usize,
    /// In place of what the first entry says, where it is more than one.
    pub line: Option<String>,
}

impl Fold {
    pub fn alone(first: usize) -> Self {
        Self { first, count: 1, line: None }
    }

    /// `7` or `7-12`
    pub fn indexes(&self) -> String {
        match self.count {
            1 => self.first.to_string(),
            count => format!("{}-{}", self.first, self.first + count - 1),
        }
    }
}

/// `lines` holds what each entry says. `kept` are indexes of entries that have a row of their own.
pub(super) fn folds(entries: &[Event], lines: &[Vec<String>], kept: &[usize]) -> Vec<Fold> {
    let mut folds = Vec::new();
    let mut first = 0;
    while first < entries.len() {
        let run = |follows: &dyn Fn(usize, usize) -> bool| {
            let joins = |at: usize| {
                !kept.contains(&(at - 1))
                    && !kept.contains(&at)
                    && entries[at].process.id == entries[first].process.id
                    && follows(at - 1, at)
            };
            1 + (first + 1..entries.len()).take_while(|at| joins(*at)).count()
        };
        let same = run(&|one, next| can_repeat(&entries[next].what) && lines[one] == lines[next]);
        let lookups = run(&|one, next| are_related(&entries[one].what, &entries[next].what));
        let fold = if lookups > same && lookups >= LOOKUPS {
            let line = search(&entries[first..first + lookups]);
            Fold { first, count: lookups, line }
        } else if same > 1 {
            let line = lines[first].first().map(|line| format!("{same} times: {line}"));
            Fold { first, count: same, line }
        } else {
            Fold::alone(first)
        };
        first += fold.count;
        folds.push(fold);
    }
    folds
}

/// What a process tries again and again.
fn can_repeat(what: &What) -> bool {
    match what {
        What::ExecFailed(_) | What::Call(_) | What::Bind(_) | What::Signal(_) => true,
        What::Exec(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Exit(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Cgroup(_)
        | What::Lost(_) => false,
    }
}

/// A path that was looked for and not found.
struct Lookup<'a> {
    path: &'a Text,
    exec: bool,
    errno: Errno,
}

fn lookup(what: &What) -> Option<Lookup<'_>> {
    let lookup = match what {
        What::ExecFailed(failed) => Lookup { path: &failed.path, exec: true, errno: failed.errno },
        What::Call(call) => match &call.object {
            Object::Path { path, .. } => Lookup { path, exec: false, errno: call.errno },
            Object::None
            | Object::File { .. }
            | Object::Address(_)
            | Object::Dns(_)
            | Object::Pids { .. } => {
                return None;
            }
        },
        What::Exec(_)
        | What::Fork(_)
        | What::Found(_)
        | What::Exit(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::Bind(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Cgroup(_)
        | What::Lost(_) => return None,
    };
    matches!(lookup.errno, Errno::ENOENT | Errno::ENOTDIR).then_some(lookup)
}

/// One name in several folders, or several names below one folder: where a lookup of something else comes
/// between, it has a line of its own.
fn are_related(one: &What, next: &What) -> bool {
    let (Some(one), Some(next)) = (lookup(one), lookup(next)) else { return false };
    let (one_folder, one_name) = split(one.path.as_bytes());
    let (next_folder, next_name) = split(next.path.as_bytes());
    // Below `/etc`, `/usr` or `/` everything is a neighbour of everything.
    let deep = |folder: &[u8]| folder.iter().filter(|byte| **byte == b'/').count() > 1;
    let (one_above, next_above) = (split(one_folder).0, split(next_folder).0);
    let meet = |one: &[u8], next: &[u8]| one == next && deep(one);
    one.exec == next.exec
        && (one_name == next_name
            || one_folder == next_folder
            || meet(one_above, next_above)
            || meet(one_folder, next_above)
            || meet(one_above, next_folder))
}

/// Folder and name: `/usr/bin` and `sh`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// `8 failed lookups: "/usr/local/sbin/cat" … "/usr/sbin/cat" = ENOENT`
fn search(run: &[Event]) -> Option<String> {
    let lookups: Vec<Lookup<'_>> = run.iter().filter_map(|event| lookup(&event.what)).collect();
    let (first, last) = (lookups.first()?, lookups.last()?);
    let mut errnos: Vec<String> = Vec::new();
    for name in lookups.iter().map(|lookup| lookup.errno.to_string()) {
        if !errnos.contains(&name) {
            errnos.push(name);
        }
    }
    let (of, shown): (_, fn(&Text) -> String) =
        if first.exec { ("execs", word) } else { ("lookups", quoted) };
    // Two paths, and the rest of the line.
    let path = |lookup: &Lookup<'_>| shorten(&shown(lookup.path), LINE / 3);
    let (from, to) = (path(first), path(last));
    Some(format!("{} failed {of}: {from} … {to} = {}", lookups.len(), errnos.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Style, timeline_text};
    use super::*;
    use crate::{
        event::{ExecFailed, ProcessId},
        render::samples::{call, event, path, timeline},
        verdict::Verdict,
    };

    fn missing(name: &str) -> What {
        What::Call(call("newfstatat", Errno::ENOENT, path(name)))
    }

    fn no_exec(path: &str) -> What {
        What::ExecFailed(ExecFailed {
            errno: Errno::ENOENT,
            path: Text::from(path),
            path_truncated: false,
            args: vec![Text::from("sh")],
            args_truncated: false,
            dirfd: None,
        })
    }

    fn events(whats: Vec<What>) -> Vec<Event> {
        (1..).zip(whats).map(|(n, what)| event(n * 1_000_000, what)).collect()
    }

    fn told(entries: Vec<Event>, verdict: Option<&Verdict>) -> String {
        timeline_text(&timeline(entries), verdict, Style::Plain, Detail::Folded)
    }

    #[test]
    fn searches_are_told_in_one_line() {
        let whats = vec![
            no_exec("/usr/local/sbin/sh"),
            no_exec("/usr/local/bin/sh"),
            no_exec("/usr/sbin/sh"),
            missing("/etc/ld.so.preload"),
            missing("/usr/local/sbin/cat"),
            missing("/usr/local/bin/cat"),
            What::Call(call("newfstatat", Errno::ENOTDIR, path("/usr/sbin/cat"))),
            missing("/usr/lib/locale/C.UTF-8/LC_NAME"),
            missing("/usr/lib/locale/C.UTF-8/LC_PAPER"),
            missing("/usr/lib/locale/C.UTF-8/LC_MESSAGES"),
            missing("/etc/app.yml"),
        ];
        insta::assert_snapshot!(told(events(whats), None), @r#"
        0-2  +0.001000s  app[4242]  3 failed execs: /usr/local/sbin/sh … /usr/sbin/sh = ENOENT
          3  +0.004000s  app[4242]  newfstatat "/etc/ld.so.preload" = ENOENT (no such file or directory)
        4-6  +0.005000s  app[4242]  3 failed lookups: "/usr/local/sbin/cat" … "/usr/sbin/cat" = ENOENT, ENOTDIR
        7-9  +0.008000s  app[4242]  3 failed lookups: "/usr/lib/locale/C.UTF-8/LC_NAME" … "/usr/lib/locale/C.UTF-8/LC_MESSAGES" = ENOENT
         10  +0.011000s  app[4242]  newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn what_is_repeated_is_counted() {
        let tty = || What::Call(call("ioctl", Errno::ENOTTY, Object::None));
        let whats = vec![tty(), tty(), tty(), missing("/a/b"), missing("/a/b"), missing("/c/d")];
        insta::assert_snapshot!(told(events(whats), None), @r#"
        0-2  +0.001000s  app[4242]  3 times: ioctl = ENOTTY (inappropriate ioctl for device)
        3-4  +0.004000s  app[4242]  2 times: newfstatat "/a/b" = ENOENT (no such file or directory)
          5  +0.006000s  app[4242]  newfstatat "/c/d" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn a_lookup_of_something_else_stands_alone() {
        let whats = vec![
            missing("/usr/lib/python3/a/__init__.so"),
            missing("/usr/lib/python3/a/__init__.abi3.so"),
            missing("/usr/lib/python3/b/__init__.so"),
            missing("/etc/app/settings.toml"),
            missing("/usr/lib/python3/c/__init__.so"),
            missing("/usr/lib/python3/c/__init__.abi3.so"),
        ];
        insta::assert_snapshot!(told(events(whats), None), @r#"
        0-2  +0.001000s  app[4242]  3 failed lookups: "/usr/lib/python3/a/__init__.so" … "/usr/lib/python3/b/__init__.so" = ENOENT
          3  +0.004000s  app[4242]  newfstatat "/etc/app/settings.toml" = ENOENT (no such file or directory)
          4  +0.005000s  app[4242]  newfstatat "/usr/lib/python3/c/__init__.so" = ENOENT (no such file or directory)
          5  +0.006000s  app[4242]  newfstatat "/usr/lib/python3/c/__init__.abi3.so" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn what_the_verdict_cites_is_not_folded() {
        let (_, _, mut verdict) = crate::render::samples::missing_file();
        verdict.evidence.truncate(1);
        verdict.evidence[0].timeline = vec![3];
        let whats = (0..7).map(|n| missing(&format!("/etc/app/{n}"))).collect();
        insta::assert_snapshot!(told(events(whats), Some(&verdict)), @r#"
          0-2  +0.001000s  app[4242]  3 failed lookups: "/etc/app/0" … "/etc/app/2" = ENOENT
        ▶   3  +0.004000s  app[4242]  newfstatat "/etc/app/3" = ENOENT (no such file or directory)
          4-6  +0.005000s  app[4242]  3 failed lookups: "/etc/app/4" … "/etc/app/6" = ENOENT
        "#);
    }

    #[test]
    fn each_process_has_lines_of_its_own() {
        let mut entries = events((0..6).map(|_| missing("/etc/app.yml")).collect());
        for event in &mut entries[2..4] {
            event.process.id = ProcessId { pid: 77, start_ns: 0 };
        }
        insta::assert_snapshot!(told(entries, None), @r#"
        0-1  +0.001000s  app[4242]  2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        2-3  +0.003000s  app[77]    2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        4-5  +0.005000s  app[4242]  2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn folded_paths_are_shortened() {
        let long = |n: u8| missing(&format!("/{}{n}", "deep/".repeat(400)));
        insta::assert_snapshot!(told(events((0..3).map(long).collect()), None), @r#"  0-2  +0.001000s  app[4242]  3 failed lookups: "/deep/deep/deep/deep/deep…eep/deep/deep/deep/deep/0" … "/deep/deep/deep/deep/deep…eep/deep/deep/deep/deep/2" = ENOENT"#);
    }

    #[test]
    fn all_entries_are_told_when_all_are_wanted() {
        let whats = (0..7).map(|n| missing(&format!("/etc/app/{n}"))).collect();
        let text = timeline_text(&timeline(events(whats)), None, Style::Plain, Detail::All);
        assert_eq!(text.lines().count(), 7);
    }
}
