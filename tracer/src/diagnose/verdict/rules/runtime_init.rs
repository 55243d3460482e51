//! A runtime's init that ended before it became the entrypoint: runc and crun often only look the path up and
//! never call execve. It must not know shells.

use crate::{
    capture::event::{ProcessId, What},
    diagnose::facts::model::{Executable, ExecutableKind, FileState},
    linux::{errno::Errno, signal::Signal, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::{
        failure::Failure,
        probes,
        programs::{file_name, folder},
        sender,
    },
    rules::exec::{self, Wanted},
    wording,
};

/// What is known of the entrypoint that was refused.
struct Refused {
    path: Text,
    errno: Errno,
    entries: Vec<usize>,
    along_path: bool,
    /// The path itself was looked for and not found: no execve, which an interpreter may have failed.
    is_absent: bool,
}

/// The entrypoint was looked up and refused.
pub(in crate::diagnose::verdict) fn never_executed(case: &Case<'_>) -> Option<Verdict> {
    let (id, end) = failed_init(case)?;
    let looked_up = by_lookup(case, id);
    let said = by_words(case);
    let checked = by_facts(case, id);
    // Two of the three agreeing is proof; facts know the path best, then the runtime's own message.
    let confirmed = [looked_up.is_some(), said.is_some(), checked.is_some()];
    let sure = confirmed.iter().filter(|it| **it).count() > 1;
    let mut refused = match (checked, said, looked_up) {
        (Some(checked), said, looked_up) => {
            let along_path = said.as_ref().or(looked_up.as_ref()).is_some_and(|it| it.along_path);
            let told = said.into_iter().chain(looked_up).flat_map(|it| it.entries);
            Refused { entries: told.collect(), along_path, ..checked }
        }
        (None, Some(said), looked_up) => {
            let is_absent =
                looked_up.as_ref().is_some_and(|it| it.is_absent && it.path == said.path);
            let more = looked_up.into_iter().flat_map(|it| it.entries);
            let entries = said.entries.iter().copied().chain(more).collect();
            Refused { entries, is_absent, ..said }
        }
        // It told of another error, perhaps about a mount.
        (None, None, _) if init_error(case).is_some() => return None,
        (None, None, looked_up) => looked_up?,
    };
    if refused.entries.is_empty() {
        refused.entries.push(end.index);
    }
    refused.entries.sort_unstable();
    let command = Text(file_name(refused.path.as_bytes()).to_vec());
    let wanted = Wanted {
        id,
        path: &refused.path,
        command: Some(&command).filter(|_| refused.along_path),
        errno: refused.errno,
        tried: "looked up by the runtime",
        is_absent: refused.is_absent,
        entries: refused.entries,
        confidence: if sure { Confidence::Proven } else { Confidence::Likely },
        opening: exec::NEVER_RAN.to_owned(),
    };
    exec::refused(case, &wanted)
}

/// The container never came to its entrypoint: the init told of another error, or its runtime cleared it away. That
/// KILL stopped nothing.
pub(in crate::diagnose::verdict) fn not_set_up(case: &Case<'_>) -> Option<Verdict> {
    let (id, end) = failed_init(case)?;
    let cleared_away = case.signals(id).any(|(index, event, signal)| {
        index < end.index
            && signal.signal == Signal::SIGKILL
            && sender::is_runtime(case, &event.process, signal)
    });
    let words = case.last_words();
    let told = init_error(case).or_else(|| words.quote().filter(|_| cleared_away));
    if told.is_none() && !cleared_away {
        return None;
    }
    let mut draft = Draft::new(Cause::ExitedWithError, Confidence::Proven, id).status(end.status);
    let reason = match (&told, &case.facts.runtime_message) {
        (Some((message, index)), _) => {
            draft = draft
                .detail("runtime_message", message.as_str())
                .evidence(format!("the runtime reported: {message}"), [*index]);
            message.as_str()
        }
        (None, Some(message)) => {
            draft = draft.detail("runtime_message", message.as_str());
            message.as_str()
        }
        (None, None) => "what it reported is not recorded",
    };
    let summary = format!(
        "The container runtime could not set the container up, so that its command never ran: {}.",
        reason.trim_end_matches('.')
    );
    Some(
        draft
            .evidence(
                format!(
                    "{} had not become the command when it {}",
                    case.name(id),
                    wording::ended(end.status)
                ),
                [end.index],
            )
            .summary(summary)
            .next_step(
                "Mend what the runtime's message names: the pod's mounts, security settings or image, or the node.",
            )
            .finish(),
    )
}

/// The error that the init reported to its runtime, and the entry that holds it.
fn init_error(case: &Case<'_>) -> Option<(String, usize)> {
    let words = case.last_words();
    let (bytes, index) = words.of_init()?;
    Some((error_message(&bytes.to_json_string())?, index))
}

/// The runtime's init, if it ended before it became the entrypoint.
fn failed_init<'a>(case: &Case<'a>) -> Option<(ProcessId, End<'a>)> {
    let id = case.blamed();
    let end = case.end(id).filter(End::failed)?;
    let init = case.process(id).is_some_and(|process| process.runtime_init)
        || case.tree.parent(id).is_some_and(|parent| case.is_runtime(parent));
    (init && case.never_execd(id) && !case.is_shell(id)).then_some((id, end))
}

/// What runc's init says in its last message of the type `procError`.
fn error_message(text: &str) -> Option<String> {
    let text = &text[text.find("procError")?..];
    let begin = "\"message\":\"";
    let text = text[text.rfind(begin)? + begin.len()..].replace("\\\"", "\u{1}");
    let message = text[..text.find('"')?].replace('\u{1}', "\"");
    (!message.is_empty()).then_some(message)
}

/// The last name it looked for without finding it, in one folder or along PATH. Nothing but its report follows that,
/// so that an earlier lookup, with another failure on a path behind it, is not about the entrypoint.
fn by_lookup(case: &Case<'_>, id: ProcessId) -> Option<Refused> {
    let on_paths: Vec<Failure<'_>> = case
        .events(id)
        .filter_map(|(index, _)| Failure::at(case, index))
        .filter(|it| it.path().is_some_and(|path| path.as_bytes().starts_with(b"/")))
        .filter(|it| refuses(it.errno))
        .collect();
    let about = on_paths.iter().rev().take_while(|it| looks_up(it.call) && !probes::is_idle(it));
    let lookups: Vec<(usize, Errno, &Text)> =
        about.filter_map(|it| Some((it.entries[0], it.errno, it.path()?))).collect();
    let (last, errno, path) = *lookups.first()?;
    let same: Vec<&(usize, Errno, &Text)> = lookups
        .iter()
        .take_while(|(_, _, other)| file_name(other.as_bytes()) == file_name(path.as_bytes()))
        .collect();
    let folders = same.iter().filter(|(_, _, other)| other != &path).count();
    let errno = if same.iter().any(|it| it.1 == Errno::EACCES) { Errno::EACCES } else { errno };
    let entries = same.iter().rev().map(|it| it.0).collect();
    let is_absent = errno != Errno::EACCES && matches!(case.event(last).what, What::Call(_));
    Some(Refused { path: path.clone(), errno, entries, along_path: folders > 0, is_absent })
}

/// The message that the init wrote to its runtime: `exec: "x": executable file not found in $PATH`.
fn by_words(case: &Case<'_>) -> Option<Refused> {
    let words = case.last_words();
    let (bytes, index) = words.of_init()?;
    let text = bytes.to_json_string();
    let lower = text.to_ascii_lowercase();
    let about_exec = ["exec", "stat ", "executable file"].iter().any(|it| lower.contains(it));
    let along_path = lower.contains("not found in $path");
    let errno = if along_path || lower.contains("no such file or directory") {
        Errno::ENOENT
    } else if lower.contains("permission denied") {
        Errno::EACCES
    } else if lower.contains("exec format error") {
        Errno::ENOEXEC
    } else {
        return None;
    };
    let path = quoted_command(&text).filter(|_| about_exec)?;
    // crun says so of a path too, which it does not look for anywhere else.
    let along_path = along_path && !path.contains('/');
    let (path, entries) = (Text(path.into_bytes()), vec![index]);
    Some(Refused { path, errno, entries, along_path, is_absent: false })
}

/// The command in `exec: "x":`, `executable file `x` not found`, `exec /x:`; quotes may be escaped as in JSON.
fn quoted_command(text: &str) -> Option<String> {
    let text = text.replace("\\\"", "\"");
    let between = |begin: &str, end: char| {
        let at = text.rfind(begin)? + begin.len();
        let rest = &text[at..];
        let name = &rest[..rest.find(end)?];
        (!name.is_empty() && name.len() < 4096).then(|| name.to_owned())
    };
    between("exec: \"", '"')
        .or_else(|| between("executable file `", '`'))
        .or_else(|| between("open executable: ", ':'))
        .or_else(|| between("exec `", '`'))
        .or_else(|| between("exec ", ':').filter(|name| name.starts_with('/')))
}

/// The file as it was found at the runtime's bundle: missing, or not to be executed.
fn by_facts(case: &Case<'_>, id: ProcessId) -> Option<Refused> {
    let own = |it: &&Executable| it.pid == id.pid;
    let files = &case.facts.executables;
    let file = files.iter().find(own).or_else(|| files.iter().find(|it| it.pid == 0))?;
    let errno = match (&file.file, &file.kind) {
        (FileState::Missing { .. }, _) => Errno::ENOENT,
        (FileState::Present { file_type, .. }, _) if file_type == "directory" => Errno::EACCES,
        (FileState::Present { mode, .. }, _) if mode & 0o111 == 0 => Errno::EACCES,
        (FileState::Present { .. }, ExecutableKind::Elf { native: false, .. }) => Errno::ENOEXEC,
        (FileState::Present { .. }, ExecutableKind::Elf { interpreter_file: Some(it), .. })
        | (FileState::Present { .. }, ExecutableKind::Script { interpreter_file: it, .. }) => {
            match it {
                FileState::Missing { .. } => Errno::ENOENT,
                FileState::Present { .. } | FileState::Unknown | FileState::Unreadable { .. } => {
                    return None;
                }
            }
        }
        (FileState::Present { .. }, ExecutableKind::Empty | ExecutableKind::Other { .. }) => {
            Errno::ENOEXEC
        }
        (FileState::Present { .. }, ExecutableKind::Elf { .. } | ExecutableKind::Unknown)
        | (FileState::Unknown | FileState::Unreadable { .. }, _) => return None,
    };
    let bare = folder(file.path.as_bytes()).is_empty();
    let (path, entries) = (file.path.clone(), Vec::new());
    Some(Refused { path, errno, entries, along_path: bare, is_absent: false })
}

fn looks_up(call: &str) -> bool {
    matches!(
        call,
        "stat"
            | "lstat"
            | "newfstatat"
            | "fstatat"
            | "statx"
            | "access"
            | "faccessat"
            | "faccessat2"
            | "execve"
            | "execveat"
    )
}

fn refuses(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP)
}
