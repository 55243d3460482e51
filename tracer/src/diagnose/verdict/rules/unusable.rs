//! Files that are there but cannot be used as was asked: folders, busy files, other volumes, volumes that fail. It must
//! not know absent files and permissions.

use crate::{
    diagnose::facts::model::{FileState, Mount},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{
        errors::SUN_PATH,
        failure::Told,
        programs::{file_name, folder},
        select::{Chosen, Why},
    },
    rules::{path, plain},
    wording,
    words::phrases::{complains, contains},
};

/// EISDIR; or words that say so of a path: many runtimes look for themselves and never make a call that fails.
pub(in crate::diagnose::verdict) fn is_a_directory(case: &Case<'_>) -> Option<Verdict> {
    let advice = |path: &str| {
        format!(
            "Make {path} a file: a volume whose subPath, ConfigMap key or file on the node is missing is mounted as an empty \
             folder. Else correct the path."
        )
    };
    let name = case.name(case.blamed());
    if let Some((chosen, draft)) = begin(case, Cause::IsADirectory) {
        let path = chosen.failure.path()?;
        let summary = format!(
            "{name} could not use {path} as a file: it is a folder ({}: EISDIR); it {}.",
            chosen.failure.call,
            case.ending()
        );
        return Some(draft.summary(summary).next_step(advice(&path.to_string())).finish());
    }
    if case.chosen.as_ref().is_some_and(|it| matches!(it.why, Why::Words(_))) {
        return None;
    }
    let end = case.end(case.blamed()).filter(|end| end.failed())?;
    let said = |line: &[u8]| {
        contains(line, b"is a directory") && line.contains(&b'/') && !contains(line, b"remove")
    };
    let (line, index, _) = case.last_words().decisive(said, complains)?;
    let path = path_in(&line)?;
    let summary = format!(
        "{name} says that {path} is a folder where it needs a file: \"{line}\"; it {}.",
        case.ending()
    );
    Some(
        Draft::new(Cause::IsADirectory, Confidence::Likely, case.blamed())
            .status(end.status)
            .detail("path", path)
            .evidence(format!("its last words: {line}"), [index])
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(summary)
            .next_step(advice(path))
            .finish(),
    )
}

/// The absolute path in a line, without quotes and signs around it.
fn path_in(line: &str) -> Option<&str> {
    let signs: &[char] = &['\'', '"', '`', ':', ',', '(', ')', '[', ']', '.', ';'];
    line.split_whitespace()
        .map(|word| word.trim_matches(signs))
        .find(|word| word.len() > 1 && word.starts_with('/'))
}

/// EBUSY of rename, unlink and rmdir: what is mounted there cannot be replaced or removed.
pub(in crate::diagnose::verdict) fn mount_point_busy(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::MountPointBusy)?;
    let failure = &chosen.failure;
    let path = failure.path()?;
    let renames = failure.call.starts_with("rename");
    let mount = mount_in_the_way(case, path, renames);
    let confidence = match mount {
        Some(_) => chosen.confidence,
        None => Confidence::Likely,
    };
    let what = if renames { "rename" } else { "remove" };
    let why = match mount {
        Some(mount) => {
            format!("{} is a mount point, which cannot be replaced or removed", mount.mount_point)
        }
        None => "what is there, or where it should go, is in use as a mount point".to_owned(),
    };
    let place = mount.map_or_else(|| path.clone(), |it| it.mount_point.clone());
    let draft = path::with_mount(draft, mount).confidence(confidence);
    Some(
        draft
            .summary(format!(
                "{} could not {what} {path}: {why} ({}: EBUSY); it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(format!(
                "Mount the folder of {place} instead of the single file (no subPath), or let the program write into the file in \
                 place; a ConfigMap, a Secret, /etc/hosts and /etc/resolv.conf can only be changed from outside."
            ))
            .finish(),
    )
}

/// What is mounted at the path; of a rename, whose target is not recorded, the only mount in the same folder, or the one
/// that the words name.
fn mount_in_the_way<'a>(case: &Case<'a>, path: &Text, renames: bool) -> Option<&'a Mount> {
    let absolute = case.absolute(path);
    let mounts = &case.facts.mounts;
    let own = mounts.iter().find(|mount| mount.mount_point == absolute);
    if own.is_some() || !renames {
        return own;
    }
    let beside = |mount: &&Mount| {
        folder(mount.mount_point.as_bytes()) == folder(absolute.as_bytes())
            && mount.mount_point.as_bytes() != b"/"
    };
    let words = case.last_words();
    let named =
        mounts.iter().filter(beside).find(|mount| words.mention_word(&mount.mount_point).is_some());
    let mut all = mounts.iter().filter(beside);
    let only = all.next().filter(|_| all.next().is_none());
    named.or(only)
}

pub(in crate::diagnose::verdict) fn text_file_busy(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::TextFileBusy)?;
    let failure = &chosen.failure;
    let runs = failure.told_by == Told::Exec;
    let object = object(chosen);
    let (what, why) = if runs {
        ("execute", "another process has it open for writing")
    } else {
        ("write", "it is being executed")
    };
    let next_step = if runs {
        format!(
            "Close {object} before it is executed, or write it under another name and rename it; two containers may share the volume."
        )
    } else {
        format!(
            "Write the new {object} under another name and rename it, instead of writing into a program that runs."
        )
    };
    Some(
        draft
            .summary(format!(
                "{} could not {what} {object}: {why} ({}: ETXTBSY); it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

pub(in crate::diagnose::verdict) fn cross_device(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::CrossDevice)?;
    let object = object(chosen);
    // The record holds one of the two names; words tell the other.
    let said = match chosen.why {
        Why::Words(_) => case.last_words().quote(),
        Why::NeverSucceeded | Why::EndFollowed(_) => None,
    };
    let said = said.map_or_else(String::new, |(text, _)| format!(": \"{text}\""));
    Some(
        draft
            .summary(format!(
                "{} could not move {object} to where it should go: that is another file system or mount ({}: \
                 EXDEV){said}; it {}.",
                case.name(case.blamed()),
                chosen.failure.call,
                case.ending()
            ))
            .next_step(
                "Put the folder for temporary files on the same volume as the target (TMPDIR, one mount for both), or let the \
                 program copy instead of renaming.",
            )
            .finish(),
    )
}

/// A name that is too long, links in a circle, a path that does not fit a socket's address.
pub(in crate::diagnose::verdict) fn path_invalid(case: &Case<'_>) -> Option<Verdict> {
    let Some((chosen, draft)) = begin(case, Cause::PathInvalid) else {
        return socket_path_said_too_long(case);
    };
    let failure = &chosen.failure;
    let path = failure.path()?;
    let length = path.as_bytes().len();
    let longest = file_name(path.as_bytes()).len();
    let (why, next_step) = match failure.errno {
        Errno::EINVAL => (
            format!("a socket's path has room for {} bytes, this one has {length}", SUN_PATH - 1),
            "Put the socket into a folder with a shorter path.".to_owned(),
        ),
        Errno::ENAMETOOLONG => (
            format!("it is too long ({length} bytes, its last name {longest}; file systems take 255 for a name, the kernel 4095 for a path)"),
            "Shorten the name; look for what was put into it that is no name (a token, a whole text).".to_owned(),
        ),
        _ => (
            "its symbolic links lead in a circle, or more than 40 of them follow each other".to_owned(),
            format!("Look where {path} leads (`ls -l` of each part), and correct the link."),
        ),
    };
    Some(
        draft
            .detail("length", length)
            .summary(format!(
                "{} could not use the path {}: {why} ({}: {}); it {}.",
                case.name(case.blamed()),
                wording::shortened(path),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// Libraries look at the length themselves, so that no call fails.
fn socket_path_said_too_long(case: &Case<'_>) -> Option<Verdict> {
    if case.chosen.as_ref().is_some_and(|it| matches!(it.why, Why::Words(_))) {
        return None;
    }
    let end = case.end(case.blamed()).filter(|end| end.failed())?;
    let said = |line: &[u8]| {
        contains(line, b"path too long") && (contains(line, b"unix") || contains(line, b"socket"))
    };
    let (line, index, _) = case.last_words().decisive(said, complains)?;
    let name = case.name(case.blamed());
    Some(
        Draft::new(Cause::PathInvalid, Confidence::Likely, case.blamed())
            .status(end.status)
            .evidence(format!("its last words: {line}"), [index])
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(format!(
                "{name} says that the path of a unix socket is too long: \"{line}\"; it {}.",
                case.ending()
            ))
            .next_step("Put the socket into a folder with a shorter path: 107 bytes are the limit.")
            .finish(),
    )
}

/// EIO, ESTALE and their like: the volume itself does not work.
pub(in crate::diagnose::verdict) fn volume_failed(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::VolumeFailed)?;
    let failure = &chosen.failure;
    let object = object(chosen);
    let mount = failure.path().and_then(|path| path::mount(case, path));
    let place = mount
        .map(|it| format!(" on {} ({} of {})", it.mount_point, it.fs_type, it.source))
        .unwrap_or_default();
    let (why, next_step) = match failure.errno {
        Errno::ESTALE => (
            "its server no longer knows it",
            "Mount the volume anew (delete the pod); see whether the export of the NFS server was moved or replaced.",
        ),
        Errno::ENOTCONN => (
            "the program that serves this file system (FUSE) has ended",
            "Look at the CSI driver or FUSE process on the node, then delete the pod so that the volume is mounted anew.",
        ),
        _ => (
            "the disk or file system below gave an error",
            "Look at the node's kernel log (dmesg) and the state of the volume: a failing disk, a detached block device, a damaged file system.",
        ),
    };
    Some(
        path::with_mount(draft, mount)
            .summary(format!(
                "{} could not use {object}{place}: {why} ({}: {}); it {}.",
                case.name(case.blamed()),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// Whether the path that a lock was wanted on is there still, for others.
pub(in crate::diagnose::verdict) fn is_present(case: &Case<'_>, path: &Text) -> bool {
    path::fact(case, path).is_some_and(|fact| match &fact.file {
        FileState::Present { .. } => true,
        FileState::Unknown | FileState::Missing { .. } | FileState::Unreadable { .. } => false,
    })
}

fn object(chosen: &Chosen<'_>) -> String {
    chosen.failure.path().map_or_else(|| "a file".to_owned(), Text::to_string)
}

/// Begins with path, as it was given and absolute.
pub(in crate::diagnose::verdict) fn begin<'a, 'b>(
    case: &'b Case<'a>,
    cause: Cause,
) -> Option<(&'b Chosen<'a>, Draft)> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(cause))?;
    let draft = match chosen.failure.path() {
        Some(path) => path::begin(case, chosen, cause, path),
        None => plain::begin_failed_call(case, chosen, cause, "it"),
    };
    Some((chosen, draft))
}
