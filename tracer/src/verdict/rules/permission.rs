//! EACCES and EPERM: of a file its modes, of another call the capability or filter that refused it. It must
//! not know bind or exec.

use crate::{
    errno::Errno,
    facts::model::{FileState, PathFact},
    text::Text,
};

use crate::verdict::{
    Cause, Verdict, case::Case, evidence::privilege, evidence::select::Chosen, rules::path,
    rules::plain, wording,
};

/// Passes over file modes (linux/capability.h: CAP_DAC_OVERRIDE).
const DAC_OVERRIDE: u64 = 1 << 1;

pub(in crate::verdict) fn denied(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::PermissionDenied))?;
    let failure = &chosen.failure;
    // mount, chroot, chown: EPERM is about the privilege, not about the file they name.
    let privileged = failure.errno == Errno::EPERM && privilege::needed_by(failure.call).is_some();
    Some(match failure.path() {
        Some(path) if !privileged => of_file(case, chosen, path),
        _ => of_call(case, chosen),
    })
}

fn of_file(case: &Case<'_>, chosen: &Chosen<'_>, path: &Text) -> Verdict {
    let failure = &chosen.failure;
    let (uid, gid) = (failure.process.uid, failure.process.gid);
    let fact = path::fact(case, path);
    let mut draft =
        plain::begin_failed_call(case, chosen, Cause::PermissionDenied, &path.to_string())
            .text("path", path)
            .detail("uid", uid)
            .detail("gid", gid);
    let closed = fact.and_then(|fact| closed_folder(fact, uid, gid));
    let (why, next_step) = match (closed, fact.map(|it| &it.file)) {
        (Some((folder, mode, owner)), _) => {
            draft = draft
                .text("folder", folder)
                .detail("mode", wording::mode(mode))
                .detail("owner_uid", owner);
            (
                format!("its folder {folder} has mode {} and owner {owner}", wording::mode(mode)),
                format!(
                    "Let uid {uid} search {folder} (chmod +x, fsGroup, chown), or run as uid {owner}."
                ),
            )
        }
        (None, Some(FileState::Present { mode, uid: owner, gid: group, .. })) => {
            draft = draft
                .detail("mode", wording::mode(*mode))
                .detail("owner_uid", *owner)
                .detail("owner_gid", *group);
            (
                format!("it has mode {} and owner {owner}:{group}", wording::mode(*mode)),
                format!(
                    "Give uid {uid} access to {path} (fsGroup and defaultMode for a Secret, chown or chmod in the \
                     image), or run as uid {owner}."
                ),
            )
        }
        (None, Some(FileState::Missing { existing_prefix })) => (
            format!("it does not exist and may not be created in {existing_prefix}"),
            format!(
                "Give uid {uid} write permission in {existing_prefix}, or mount a writable volume there."
            ),
        ),
        (None, _) => (
            "its mode is not known".to_owned(),
            format!("Check mode and owner of {path} and of the folders above it for uid {uid}."),
        ),
    };
    let overrides =
        privilege::capabilities(case, failure.process.id).is_some_and(|it| it & DAC_OVERRIDE != 0);
    let beyond = if uid == 0 && overrides {
        "; root passes over modes, so that a security module, an immutable flag or seccomp refused it"
    } else {
        ""
    };
    draft
        .summary(format!(
            "{}, running as uid {uid}, may not use {path}: {why} ({}: {}){beyond}; it {}.",
            case.name(case.blamed()),
            failure.call,
            failure.errno,
            case.ending()
        ))
        .next_step(next_step)
        .finish()
}

/// The first folder on the way that this user may not search.
fn closed_folder(fact: &PathFact, uid: u32, gid: u32) -> Option<(&Text, u32, u32)> {
    let closed = fact.parents.iter().find(|(_, mode, owner, group)| {
        let bit = if *owner == uid {
            0o100
        } else if *group == gid {
            0o010
        } else {
            0o001
        };
        uid != 0 && mode & bit == 0
    });
    closed.map(|(folder, mode, owner, _)| (folder, *mode, *owner))
}

fn of_call(case: &Case<'_>, chosen: &Chosen<'_>) -> Verdict {
    let failure = &chosen.failure;
    let refusal = privilege::refusal(case, failure, privilege::needed_by(failure.call));
    let object = match (failure.path(), failure.address()) {
        (Some(path), _) => format!(" for {path}"),
        (None, Some((address, port))) => {
            format!(" for {}", wording::address(address, failure.protocol, port))
        }
        (None, None) => String::new(),
    };
    let mut draft = plain::begin_failed_call(case, chosen, Cause::PermissionDenied, "it")
        .detail("uid", failure.process.uid)
        .detail("refused_by", refusal.by)
        .detail("seccomp", failure.process.seccomp)
        .known("capability", refusal.capability);
    if let Some((address, port)) = failure.address() {
        draft = draft.address(address, failure.protocol, port);
    }
    if let Some(path) = failure.path() {
        draft = draft.text("path", path);
    }
    let next_step = match refusal.capability {
        Some(capability) => format!(
            "Add {} to the container's capabilities if {} is needed, or configure the program without it.",
            capability.trim_start_matches("CAP_"),
            failure.call
        ),
        None => format!(
            "Allow {} in the seccomp or security profile if it is needed, or configure the program without it.",
            failure.call
        ),
    };
    draft
        .summary(format!(
            "{}, running as uid {}, was refused the system call {}{object} ({}): {}; it {}.",
            case.name(case.blamed()),
            failure.process.uid,
            failure.call,
            failure.errno,
            refusal.text,
            case.ending()
        ))
        .next_step(next_step)
        .finish()
}
