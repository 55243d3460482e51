//! Runs of entries that one line can tell: a search along PATH, the files of a locale, a call tried again.
//! It must not fold what a verdict cites, nor across processes; the timeline and its indexes stay whole.

use super::shorten::{LINE, shorten};
use super::style::{quoted, word};
use crate::{
    contract::{Entry, What},
    linux::errno::Errno,
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
pub(super) fn folds(entries: &[Entry], lines: &[Vec<String>], kept: &[usize]) -> Vec<Fold> {
    let mut folds = Vec::new();
    let mut first = 0;
    while first < entries.len() {
        let run = |follows: &dyn Fn(usize, usize) -> bool| {
            let joins = |at: usize| {
                !kept.contains(&(at - 1))
                    && !kept.contains(&at)
                    && entries[at].process.is(&entries[first].process)
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
        | What::Lost(_)
        | What::Unknown(_) => false,
    }
}

/// A path that was looked for and not found.
struct Lookup<'a> {
    path: &'a str,
    exec: bool,
    errno: &'a str,
}

fn lookup(what: &What) -> Option<Lookup<'_>> {
    let lookup = match what {
        What::ExecFailed(failed) => {
            Lookup { path: &failed.file.path, exec: true, errno: &failed.errno }
        }
        What::Call(call) => {
            let given = call.file.as_ref().filter(|file| file.from_descriptor == Some(false))?;
            Lookup { path: &given.path, exec: false, errno: call.errno.as_deref()? }
        }
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
        | What::Lost(_)
        | What::Unknown(_) => return None,
    };
    let missing = [Errno::ENOENT, Errno::ENOTDIR];
    missing.iter().any(|errno| errno.name() == Some(lookup.errno)).then_some(lookup)
}

/// One name in several folders, or several names below one folder: where a lookup of something else comes
/// between, it has a line of its own.
fn are_related(one: &What, next: &What) -> bool {
    let (Some(one), Some(next)) = (lookup(one), lookup(next)) else { return false };
    let (one_folder, one_name) = split(one.path);
    let (next_folder, next_name) = split(next.path);
    // Below `/etc`, `/usr` or `/` everything is a neighbour of everything.
    let deep = |folder: &str| folder.matches('/').count() > 1;
    let (one_above, next_above) = (split(one_folder).0, split(next_folder).0);
    let meet = |one: &str, next: &str| one == next && deep(one);
    one.exec == next.exec
        && (one_name == next_name
            || one_folder == next_folder
            || meet(one_above, next_above)
            || meet(one_folder, next_above)
            || meet(one_above, next_folder))
}

/// Folder and name: `/usr/bin` and `sh`.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// `8 failed lookups: "/usr/local/sbin/cat" … "/usr/sbin/cat" = ENOENT`
fn search(run: &[Entry]) -> Option<String> {
    let lookups: Vec<Lookup<'_>> = run.iter().filter_map(|entry| lookup(&entry.what)).collect();
    let (first, last) = (lookups.first()?, lookups.last()?);
    let mut errnos: Vec<&str> = Vec::new();
    for name in lookups.iter().map(|lookup| lookup.errno) {
        if !errnos.contains(&name) {
            errnos.push(name);
        }
    }
    let (of, shown): (_, fn(&str) -> String) =
        if first.exec { ("execs", word) } else { ("lookups", quoted) };
    // Two paths, and the rest of the line.
    let path = |lookup: &Lookup<'_>| shorten(&shown(lookup.path), LINE / 3);
    let (from, to) = (path(first), path(last));
    Some(format!("{} failed {of}: {from} … {to} = {}", lookups.len(), errnos.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Style, tests::object, timeline_text};
    use crate::{
        capture::event::{Address, Event, ExecFailed, Object, ProcessId, What},
        contract::Evidence,
        linux::{errno::Errno, text::Text},
        render::samples::{call, event, path, timeline},
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

    /// With evidence that cites those entries.
    fn told(entries: Vec<Event>, cited: &[usize]) -> String {
        let mut object = object(&timeline(entries));
        object.crash.evidence = vec![Evidence { text: String::new(), timeline: cited.to_vec() }];
        timeline_text(&object, Style::Plain, Detail::Folded)
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
        insta::assert_snapshot!(told(events(whats), &[]), @r#"
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
        insta::assert_snapshot!(told(events(whats), &[]), @r#"
        0-2  +0.001000s  app[4242]  3 times: ioctl = ENOTTY (inappropriate ioctl for device)
        3-4  +0.004000s  app[4242]  2 times: newfstatat "/a/b" = ENOENT (no such file or directory)
          5  +0.006000s  app[4242]  newfstatat "/c/d" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn one_address_on_two_links_is_two_peers() {
        let peer = |address: &str| Object::Address(Address::Inet(address.parse().unwrap()));
        let refused = |to| What::Call(call("connect", Errno::ECONNREFUSED, peer(to)));
        let whats = ["[fe80::1%2]:80", "[fe80::1%3]:80", "[fe80::1%3]:80"].map(refused).to_vec();
        insta::assert_snapshot!(told(events(whats), &[]), @r#"
          0  +0.001000s  app[4242]  connect [fe80::1%2]:80 = ECONNREFUSED (connection refused)
        1-2  +0.002000s  app[4242]  2 times: connect [fe80::1%3]:80 = ECONNREFUSED (connection refused)
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
        insta::assert_snapshot!(told(events(whats), &[]), @r#"
        0-2  +0.001000s  app[4242]  3 failed lookups: "/usr/lib/python3/a/__init__.so" … "/usr/lib/python3/b/__init__.so" = ENOENT
          3  +0.004000s  app[4242]  newfstatat "/etc/app/settings.toml" = ENOENT (no such file or directory)
          4  +0.005000s  app[4242]  newfstatat "/usr/lib/python3/c/__init__.so" = ENOENT (no such file or directory)
          5  +0.006000s  app[4242]  newfstatat "/usr/lib/python3/c/__init__.abi3.so" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn what_the_verdict_cites_is_not_folded() {
        let whats = (0..7).map(|n| missing(&format!("/etc/app/{n}"))).collect();
        insta::assert_snapshot!(told(events(whats), &[3]), @r#"
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
        insta::assert_snapshot!(told(entries, &[]), @r#"
        0-1  +0.001000s  app[4242]  2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        2-3  +0.003000s  app[77]    2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        4-5  +0.005000s  app[4242]  2 times: newfstatat "/etc/app.yml" = ENOENT (no such file or directory)
        "#);
    }

    #[test]
    fn folded_paths_are_shortened() {
        let long = |n: u8| missing(&format!("/{}{n}", "deep/".repeat(400)));
        insta::assert_snapshot!(told(events((0..3).map(long).collect()), &[]), @r#"  0-2  +0.001000s  app[4242]  3 failed lookups: "/deep/deep/deep/deep/deep…eep/deep/deep/deep/deep/0" … "/deep/deep/deep/deep/deep…eep/deep/deep/deep/deep/2" = ENOENT"#);
    }

    #[test]
    fn all_entries_are_told_when_all_are_wanted() {
        let whats = (0..7).map(|n| missing(&format!("/etc/app/{n}"))).collect();
        let text = timeline_text(&object(&timeline(events(whats))), Style::Plain, Detail::All);
        assert_eq!(text.lines().count(), 7);
    }
}
