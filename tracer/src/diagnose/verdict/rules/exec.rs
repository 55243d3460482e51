//! The entrypoint was never exec'd: the kernel refused its file. It must not know shells or runtimes.

use crate::{
    capture::event::{Event, ExecFailed, ProcessId},
    diagnose::facts::model::{Executable, ExecutableKind, FileState, PathFact},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{
        failure::{Failure, Told},
        probes,
        programs::{file_name, folder},
        select::Why,
    },
    wording,
};

/// A failed exec of the blamed process (or of a launcher after its own exec) that nothing made good.
pub(in crate::diagnose::verdict) fn never_executed(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    let refused_by_code = matches!(end.status.code, Some(126 | 127));
    let asked_to = case.never_execd(id)
        || refused_by_code
        || (case.is_shell(id) && matches!(end.status.code, Some(254 | 255)))
        || case.program(id).is_some_and(crate::diagnose::verdict::evidence::programs::is_launcher);
    if !asked_to || !end.failed() {
        return None;
    }
    let failed: Vec<(usize, &ExecFailed)> = case.failed_execs(id).collect();
    let tries = last_command(&failed);
    let (_, last) = *tries.last()?;
    let along_path = tries.len() > 1;
    // execvp(3) goes on after EACCES and reports it in the end.
    let (_, told) = tries.iter().find(|(_, it)| it.errno == Errno::EACCES).unwrap_or(tries.last()?);
    let command = wording::file_name(&last.path);
    let wanted = Wanted {
        id,
        path: &told.path,
        command: Some(&command).filter(|_| along_path),
        errno: told.errno,
        tried: "run",
        is_absent: false,
        entries: tries.iter().map(|(index, _)| *index).collect(),
        // A shell chooses 126 and 127 itself, and a script can do so too.
        confidence: if case.is_shell(id) { Confidence::Likely } else { Confidence::Proven },
        opening: NEVER_RAN.to_owned(),
    };
    refused(case, &wanted)
}

/// A program that a process could not run, whatever it is itself: its child reports the error and ends, and it gives up.
pub(in crate::diagnose::verdict) fn could_not_run(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref()?;
    let failure = &chosen.failure;
    let told = failure.path()?;
    let command = wording::file_name(told);
    let by_exec = failure.told_by == Told::Exec;
    // Some look along PATH before they run anything (git, make): the same name, in several folders of programs.
    let looked_for = |it: &Failure<'_>| {
        let beside = it.path().is_some_and(|path| folder(path.as_bytes()).ends_with(b"bin"));
        it.told_by == Told::Call && it.is_lookup() && probes::looks(it.call) && beside
    };
    let mut tries: Vec<usize> = Failure::all_of(case, case.blamed())
        .iter()
        .filter(|it| if by_exec { it.told_by == Told::Exec } else { looked_for(it) })
        .filter(|it| it.path().is_some_and(|path| wording::file_name(path) == command))
        .map(|it| it.entries[0])
        .collect();
    if !(by_exec || looked_for(failure)) {
        return None;
    }
    let name = case.name(case.blamed());
    let along_path = tries.len() > 1;
    if let Why::Words(at) = chosen.why {
        tries.push(at);
    }
    let wanted = Wanted {
        id: case.blamed(),
        path: told,
        command: Some(&command).filter(|_| along_path),
        errno: failure.errno,
        tried: if by_exec { "run" } else { "looked for" },
        is_absent: false,
        entries: tries,
        confidence: chosen.confidence,
        opening: format!("{name} could not run a program that it needs"),
    };
    refused(case, &wanted)
}

/// An executable that could not be run, and how that is known.
#[derive(Clone)]
pub(in crate::diagnose::verdict) struct Wanted<'a> {
    pub id: ProcessId,
    pub path: &'a Text,
    /// Its name where it was looked for along PATH.
    pub command: Option<&'a Text>,
    pub errno: Errno,
    /// How it was tried.
    pub tried: &'static str,
    /// It is known that nothing is at that path.
    pub is_absent: bool,
    pub entries: Vec<usize>,
    pub confidence: Confidence,
    /// Who did not run.
    pub opening: String,
}

/// Of an entrypoint, and of a command that is all a shell was to run.
pub(in crate::diagnose::verdict) const NEVER_RAN: &str = "The command never ran";

/// The verdict on a refused executable; `None` for an error that is none of the four causes.
pub(in crate::diagnose::verdict) fn refused(
    case: &Case<'_>,
    wanted: &Wanted<'_>,
) -> Option<Verdict> {
    let file = case
        .facts
        .executables
        .iter()
        .filter(|it| it.path == *wanted.path || it.resolved.as_ref() == Some(wanted.path));
    let file = file.max_by_key(|it| it.pid == wanted.id.pid);
    if let Some(script) = script_begun_by_a_mark(case, wanted) {
        return Some(marked(case, wanted, script));
    }
    match wanted.errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => match file.and_then(missing_interpreter) {
            Some(missing) => Some(interpreter_missing(case, wanted, &missing)),
            None if file.is_some_and(is_there) => Some(something_missing(case, wanted, file)),
            None => Some(not_found(case, wanted, file)),
        },
        Errno::EACCES | Errno::EPERM | Errno::EISDIR => Some(denied(case, wanted, file)),
        Errno::ENOEXEC | Errno::ELIBBAD => Some(format_error(case, wanted, file)),
        _ => None,
    }
}

/// The attempts to run the command that was tried last: one path, or one name along PATH.
fn last_command<'a, 'b>(failed: &'b [(usize, &'a ExecFailed)]) -> &'b [(usize, &'a ExecFailed)] {
    let Some((_, last)) = failed.last() else { return failed };
    let name = file_name(last.path.as_bytes());
    let other = failed.iter().rposition(|(_, it)| file_name(it.path.as_bytes()) != name);
    &failed[other.map_or(0, |at| at + 1)..]
}

fn begin(case: &Case<'_>, wanted: &Wanted<'_>, cause: Cause, file: Option<&Executable>) -> Draft {
    let text = match wanted.command {
        Some(command) => format!(
            "{command} was {} along PATH, the last answer was {} for {}",
            wanted.tried, wanted.errno, wanted.path
        ),
        None => format!("{} was {}: {}", wanted.path, wanted.tried, wanted.errno),
    };
    let mut draft = Draft::new(cause, wanted.confidence, wanted.id)
        .text("path", wanted.path)
        .errno(wanted.errno)
        .evidence(text, wanted.entries.clone());
    if let Some(command) = wanted.command {
        draft = draft.text("command", command);
    }
    if let Some(FileState::Present { mode, uid, gid, file_type, .. }) = file.map(|it| &it.file) {
        draft = draft
            .detail("mode", wording::mode(*mode))
            .detail("owner_uid", *uid)
            .detail("owner_gid", *gid)
            .detail("file_type", file_type.as_str());
    }
    match case.end(wanted.id) {
        Some(end) => draft.evidence(
            format!("{} {}", case.name(wanted.id), wording::ended(end.status)),
            [end.index],
        ),
        None => draft,
    }
}

fn not_found(case: &Case<'_>, wanted: &Wanted<'_>, file: Option<&Executable>) -> Verdict {
    let opening = &wanted.opening;
    let carriage = wanted.path.as_bytes().ends_with(b"\r");
    let prefix = match file.map(|it| &it.file) {
        Some(FileState::Missing { existing_prefix }) => Some(existing_prefix),
        _ => None,
    };
    let parent_gone = prefix.filter(|prefix| {
        let parent = folder(wanted.path.as_bytes());
        prefix.as_bytes() != parent && parent.starts_with(prefix.as_bytes())
    });
    let why = match (wanted.command, parent_gone) {
        (Some(command), _) => format!("no {command} in any folder of PATH ({})", wanted.errno),
        (None, Some(prefix)) => {
            format!("{} does not exist, only {prefix} does ({})", wanted.path, wanted.errno)
        }
        (None, None) => format!("{} does not exist ({})", wanted.path, wanted.errno),
    };
    let hint = if carriage { "; its name ends in a carriage return" } else { "" };
    let summary = format!("{opening}: there is {why}{hint}.");
    let summary = if wanted.command.is_some() { summary } else { summary.replace("there is ", "") };
    let next_step = if carriage {
        "Save the script that names it with Unix line endings (dos2unix).".to_owned()
    } else if let Some(command) = wanted.command {
        format!(
            "Install {command} in the image, or give its full path in `command`; check PATH in the image."
        )
    } else {
        format!(
            "Check the spelling of {} in `command`/ENTRYPOINT, and that the image contains it.",
            wanted.path
        )
    };
    // Unless the file was looked for, its interpreter may be what is missing.
    let looked = wanted.is_absent || file.is_some_and(|it| !matches!(it.file, FileState::Unknown));
    let confidence =
        if looked || wanted.command.is_some() { wanted.confidence } else { Confidence::Likely };
    let wanted = &Wanted { confidence, entries: wanted.entries.clone(), ..wanted.clone() };
    let draft =
        begin(case, wanted, Cause::ExecNotFound, file).summary(summary).next_step(next_step);
    match prefix {
        Some(prefix) => draft.text("existing_prefix", prefix).finish(),
        None => draft.finish(),
    }
}

fn is_there(file: &Executable) -> bool {
    matches!(file.file, FileState::Present { .. })
}

/// The file is there, so that what execve(2) did not find is what should run it.
fn something_missing(case: &Case<'_>, wanted: &Wanted<'_>, file: Option<&Executable>) -> Verdict {
    let opening = &wanted.opening;
    let wanted = Wanted {
        confidence: Confidence::Likely,
        entries: wanted.entries.clone(),
        ..wanted.clone()
    };
    let path = wanted.path;
    begin(case, &wanted, Cause::ExecInterpreterMissing, file)
        .summary(format!(
            "{opening}: {path} is there, but the interpreter or dynamic loader that it needs \
             was not found ({}).",
            wanted.errno
        ))
        .next_step(format!(
            "See what {path} needs: its first line if it is a script, else `readelf -l {path}`."
        ))
        .finish()
}

/// The program that the kernel needs to run the file, and how the file names it.
struct MissingInterpreter<'a> {
    path: &'a Text,
    script: bool,
}

fn missing_interpreter(file: &Executable) -> Option<MissingInterpreter<'_>> {
    if !matches!(file.file, FileState::Present { .. }) {
        return None;
    }
    match &file.kind {
        ExecutableKind::Elf {
            interpreter: Some(path),
            interpreter_file: Some(FileState::Missing { .. }),
            ..
        } => Some(MissingInterpreter { path, script: false }),
        ExecutableKind::Script { interpreter, interpreter_file, .. } => {
            let missing = matches!(interpreter_file, FileState::Missing { .. });
            (missing || interpreter.as_bytes().ends_with(b"\r"))
                .then_some(MissingInterpreter { path: interpreter, script: true })
        }
        ExecutableKind::Elf { .. }
        | ExecutableKind::Other { .. }
        | ExecutableKind::Empty
        | ExecutableKind::Unknown => None,
    }
}

fn interpreter_missing(
    case: &Case<'_>,
    wanted: &Wanted<'_>,
    missing: &MissingInterpreter<'_>,
) -> Verdict {
    let opening = &wanted.opening;
    let carriage = missing.path.as_bytes().ends_with(b"\r");
    let (path, needed) = (wanted.path, missing.path);
    let (summary, next_step) = if carriage {
        let bare = Text(needed.as_bytes().trim_ascii_end().to_vec());
        (
            format!(
                "{opening}: the first line of {path} ends in a carriage return (CRLF), so that the \
                 kernel looked for an interpreter named \"{needed}\" instead of {bare} ({}).",
                wanted.errno
            ),
            format!(
                "Save {path} with Unix line endings (dos2unix, or `* text eol=lf` in .gitattributes)."
            ),
        )
    } else if missing.script {
        (
            format!(
                "{opening}: {path} is there, but {needed}, which its first line names as \
                 interpreter, does not exist ({}).",
                wanted.errno
            ),
            format!(
                "Install {needed} in the image, or name an interpreter in {path} that the image has."
            ),
        )
    } else {
        (
            format!(
                "{opening}: {path} is there, but {needed}, the dynamic loader it was built for, \
                 does not exist ({}).",
                wanted.errno
            ),
            format!(
                "Use an image with that C library ({}), or build {path} statically or for the image's own.",
                if file_name(needed.as_bytes()).starts_with(b"ld-musl") {
                    "musl: Alpine"
                } else {
                    "glibc: Debian, Ubuntu, ..."
                }
            ),
        )
    };
    begin(case, wanted, Cause::ExecInterpreterMissing, None)
        .text("interpreter", needed)
        .detail("carriage_return", carriage)
        .detail("kind", if missing.script { "script" } else { "elf" })
        .summary(summary)
        .next_step(next_step)
        .finish()
}

fn denied(case: &Case<'_>, wanted: &Wanted<'_>, file: Option<&Executable>) -> Verdict {
    let opening = &wanted.opening;
    let path = wanted.path;
    let uid = case.process(wanted.id).map(|process| process.uid);
    let noexec = case.facts.paths.iter().filter(|fact| fact.path == *path).any(on_noexec);
    let (why, next_step) = match file.map(|it| (&it.file, &it.kind)) {
        Some((FileState::Present { file_type, .. }, _)) if file_type == "directory" => (
            format!("{path} is a directory"),
            format!("Name the program inside {path} in `command`/ENTRYPOINT."),
        ),
        Some((FileState::Present { mode, .. }, _)) if mode & 0o111 == 0 => (
            format!("{path} has no execute bit (mode {})", wording::mode(*mode)),
            format!("chmod +x {path} in the image (COPY --chmod=755)."),
        ),
        Some((FileState::Present { mode, .. }, _))
            if wanted.errno == Errno::EPERM && mode & 0o111 != 0 =>
        {
            (
                format!(
                    "{path} may be executed by its mode ({}): most likely it has file capabilities that its container is \
                     not given",
                    wording::mode(*mode)
                ),
                format!(
                    "See `getcap {path}`: take them from the file in the image (setcap -r) if the program can do without."
                ),
            )
        }
        _ if noexec => (
            format!("{path} is on a filesystem mounted noexec"),
            format!(
                "Move {path} to a filesystem that allows execution, or drop noexec from its mount."
            ),
        ),
        Some((_, ExecutableKind::Script { interpreter, interpreter_file, .. }))
            if !executable(interpreter_file) =>
        {
            (
                format!("{interpreter}, the interpreter that {path} names, may not be executed"),
                format!("chmod +x {interpreter} in the image."),
            )
        }
        Some((FileState::Present { mode, uid: owner, gid, .. }, _)) => (
            format!(
                "{path} (mode {}, owner {owner}:{gid}) may not be executed by uid {}",
                wording::mode(*mode),
                uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string())
            ),
            format!(
                "Make {path} and the folders above it executable for that user, or run as its owner."
            ),
        ),
        _ => (
            format!("{path} may not be executed"),
            format!("Check mode and owner of {path} and of the folders above it (chmod +x)."),
        ),
    };
    begin(case, wanted, Cause::ExecPermissionDenied, file)
        .known("uid", uid)
        .detail("noexec", noexec)
        .summary(format!("{opening}: {why} ({}).", wanted.errno))
        .next_step(next_step)
        .finish()
}

fn format_error(case: &Case<'_>, wanted: &Wanted<'_>, file: Option<&Executable>) -> Verdict {
    let opening = &wanted.opening;
    let path = wanted.path;
    let arch = &case.facts.machine.arch;
    let here =
        if arch.is_empty() { "this machine".to_owned() } else { format!("this {arch} machine") };
    let mut draft = begin(case, wanted, Cause::ExecFormatError, file);
    let (why, next_step) = match file.map(|it| &it.kind) {
        Some(ExecutableKind::Elf { machine, native: false, .. }) => {
            draft = draft.detail("machine", machine.as_str()).detail("arch", arch.as_str());
            (
                format!("{path} is built for {machine}, which {here} cannot run"),
                "Use an image for this architecture (docker build --platform, a multi-arch manifest).".to_owned(),
            )
        }
        Some(ExecutableKind::Empty) => (
            format!("{path} is an empty file"),
            format!("Build or copy {path} into the image again."),
        ),
        Some(ExecutableKind::Other { first_bytes }) => {
            draft = draft.text("first_bytes", first_bytes);
            (
                format!("{path} is neither an ELF program nor a script with a #! line"),
                format!("Begin {path} with its interpreter (#!/bin/sh), or name the right file."),
            )
        }
        _ => (
            format!("{path} has a format that {here} cannot run"),
            format!(
                "Check with `file {path}` for which machine it is built, and that it is whole."
            ),
        ),
    };
    draft.summary(format!("{opening}: {why} ({}).", wanted.errno)).next_step(next_step).finish()
}

/// U+FEFF in UTF-8, which some editors put at the beginning of a file, and a first line behind it.
const MARKED_FIRST_LINE: &[u8] = b"\xef\xbb\xbf#!";

/// A script whose first line the kernel did not recognise, and a shell took for a command: its failed exec.
fn script_begun_by_a_mark<'a>(
    case: &Case<'a>,
    wanted: &Wanted<'_>,
) -> Option<(usize, &'a ExecFailed)> {
    let name = wanted.command.unwrap_or(wanted.path);
    let marked = name.as_bytes().starts_with(MARKED_FIRST_LINE);
    // The shell became another one, to run it, and made a child for its first line.
    let own = |it: &Event| {
        it.process.id == wanted.id || case.tree.parent(wanted.id) == Some(it.process.id)
    };
    let entries = case.timeline.entries.iter().enumerate().rev().filter(|(_, event)| own(event));
    let mut failed = entries.filter_map(|(index, event)| {
        let failed = event.exec_failed()?;
        (failed.errno == Errno::ENOEXEC).then_some((index, failed))
    });
    failed.next().filter(|_| marked)
}

fn marked(case: &Case<'_>, wanted: &Wanted<'_>, (at, script): (usize, &ExecFailed)) -> Verdict {
    let path = &script.path;
    let wanted = Wanted {
        path,
        command: None,
        errno: script.errno,
        tried: "run",
        entries: [at].into_iter().chain(wanted.entries.clone()).collect(),
        ..wanted.clone()
    };
    begin(case, &wanted, Cause::ExecFormatError, None)
        .summary(format!(
            "{path} begins with a byte order mark (U+FEFF), so that the kernel did not see its #! line ({}) and a shell ran it \
             line by line; it {}.",
            wanted.errno,
            case.ending()
        ))
        .next_step(format!("Save {path} as UTF-8 without a byte order mark."))
        .finish()
}

fn executable(file: &FileState) -> bool {
    match file {
        FileState::Present { mode, .. } => mode & 0o111 != 0,
        FileState::Unknown | FileState::Missing { .. } | FileState::Unreadable { .. } => true,
    }
}

fn on_noexec(fact: &PathFact) -> bool {
    fact.mount.as_ref().is_some_and(|mount| mount.noexec)
}
