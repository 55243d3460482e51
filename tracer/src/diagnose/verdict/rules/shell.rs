//! A shell that could not run a command: status 127 or 126 after lookups along PATH, often without any
//! execve. It must not know runtimes.

use crate::{
    capture::event::{Event, Object, ProcessId},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Confidence, Verdict,
    case::Case,
    evidence::{
        failure::Failure,
        probes,
        programs::{file_name, folder},
    },
    rules::exec::{self, Wanted},
};

struct Lookup<'a> {
    index: usize,
    errno: Errno,
    path: &'a Text,
}

/// A shell's 127 is a command that is not there, its 126 one that may not be run; no more than likely,
/// since a script can choose these codes itself.
pub(in crate::diagnose::verdict) fn command_not_run(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    let code = end.status.code.filter(|code| matches!(code, 126 | 127))?;
    if !case.is_shell(id) {
        return None;
    }
    let lookups = lookups(case, id);
    let name = command(case, &lookups)?;
    // A shell that finds no command says so, by its name: other words are another reason.
    let looked_ns = lookups.iter().map(|it| case.event(it.index).time_ns).max().unwrap_or(0);
    let words = case.last_words();
    let says = words.since(looked_ns) || words.mention(&["not found", "unknown command"]).is_some();
    if says && words.mention_word(&name).is_none() {
        return None;
    }
    let tries: Vec<&Lookup<'_>> =
        lookups.iter().filter(|it| file_name(it.path.as_bytes()) == name.as_bytes()).collect();
    let denied = tries.iter().find(|it| it.errno == Errno::EACCES);
    let last = tries.last()?;
    // 126 with a file that was only ever missing is not about this command.
    let errno = match (code, denied) {
        (_, Some(_)) => Errno::EACCES,
        (126, None) => return None,
        (_, None) => last.errno,
    };
    let path = denied.map_or(last.path, |it| it.path);
    let wanted = Wanted {
        id,
        path,
        command: Some(&name).filter(|_| tries.len() > 1 || denied.is_none()),
        errno,
        tried: "looked up by the shell",
        is_absent: false,
        entries: tries.iter().map(|it| it.index).collect(),
        confidence: Confidence::Likely,
        opening: exec::NEVER_RAN.to_owned(),
    };
    exec::refused(case, &wanted)
}

/// Failed lookups of the shell and, where it is a forked copy, of the shell that looked before it forked.
fn lookups<'a>(case: &Case<'a>, id: ProcessId) -> Vec<Lookup<'a>> {
    let mut ids = vec![id];
    if case.never_execd(id) {
        ids.extend(case.tree.parent(id));
    }
    let mut found: Vec<Lookup<'a>> = ids
        .into_iter()
        .flat_map(|id| {
            let since = case.tree.execs(id).last().copied();
            case.events(id).filter(move |(index, _)| since.is_none_or(|since| *index > since))
        })
        .filter_map(|(index, event)| lookup(index, event))
        .filter(|it| matches!(it.errno, Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES))
        .filter(|it| Failure::at(case, it.index).is_some_and(|it| !probes::is_idle(&it)))
        .collect();
    found.sort_by_key(|it| it.index);
    found
}

fn lookup(index: usize, event: &Event) -> Option<Lookup<'_>> {
    if let Some(failed) = event.exec_failed() {
        return Some(Lookup { index, errno: failed.errno, path: &failed.path });
    }
    let call = event.call().filter(|call| probes::looks(call.name))?;
    let Object::Path { path, .. } = &call.object else { return None };
    Some(Lookup { index, errno: call.errno, path })
}

/// It was found in a later folder; a shell also looks where it is itself.
fn was_run(case: &Case<'_>, name: &Text) -> bool {
    let is_it = |path: &Text| file_name(path.as_bytes()) == name.as_bytes();
    let mut execs = case.timeline.entries.iter().filter_map(Event::exec);
    execs.any(|exec| is_it(&exec.path) || exec.args.first().is_some_and(is_it))
}

/// The command that was looked for: the one that the last words name, else the last name looked for in a
/// folder of programs or in several folders.
fn command(case: &Case<'_>, lookups: &[Lookup<'_>]) -> Option<Text> {
    let words = case.last_words();
    let names = lookups.iter().rev().map(|it| Text(file_name(it.path.as_bytes()).to_vec()));
    let names = names.filter(|name| !was_run(case, name));
    let said = names.clone().find(|name| words.mention_word(name).is_some());
    said.or_else(|| {
        // A shell looks for functions of its own, too: what it sought in no folder of programs is no command.
        names.into_iter().find(|name| {
            let mut own =
                lookups.iter().filter(|it| file_name(it.path.as_bytes()) == name.as_bytes());
            own.any(|it| folder(it.path.as_bytes()).ends_with(b"bin"))
        })
    })
}
