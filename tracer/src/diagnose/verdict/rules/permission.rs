//! EACCES and EPERM: of a file its modes, of another call the capability or filter that refused it. It must
//! not know bind or exec.

use crate::{
    diagnose::facts::model::{FileState, Mount, PathFact},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    evidence::{
        capability,
        failure::Failure,
        privilege::{self, Refusal},
        select::Chosen,
    },
    rules::{path, plain},
    wording,
};

/// Passes over file modes (linux/capability.h: CAP_DAC_OVERRIDE).
const DAC_OVERRIDE: u64 = 1 << 1;
/// Filesystems whose server decides, for root too.
const REMOTE: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse"];

/// Calls that a file's modes refuse with EACCES alone: EPERM of one of them comes from elsewhere.
const NEVER_EPERM: [&str; 12] = [
    "access",
    "faccessat",
    "faccessat2",
    "lstat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "readlink",
    "readlinkat",
    "stat",
    "statx",
];

pub(in crate::diagnose::verdict) fn denied(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::PermissionDenied))?;
    let failure = &chosen.failure;
    Some(match failure.path() {
        Some(path) if !is_about_privilege(failure) => of_file(case, chosen, path),
        _ => of_call(case, chosen),
    })
}

/// mount, chroot, chown: EPERM is about the privilege, not about the modes of the file they name.
fn is_about_privilege(failure: &Failure<'_>) -> bool {
    let call = failure.call;
    let own = capability::needed_by(failure).is_some()
        || NEVER_EPERM.contains(&call)
        || call.starts_with("chmod")
        || call.starts_with("fchmod");
    failure.errno == Errno::EPERM && own
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
    let overrides =
        privilege::capabilities(case, failure.process.id).is_some_and(|it| it & DAC_OVERRIDE != 0);
    let is_above_modes = uid == 0 && overrides;
    let closed = fact.and_then(|fact| closed_folder(fact, uid, gid)).filter(|_| !is_above_modes);
    let remote = path::mount(case, path).filter(|mount| is_remote(mount));
    let nodev = path::mount(case, path).filter(|it| it.nodev && fact.is_some_and(is_device));
    let (why, next_step) = match (closed, fact.map(|it| &it.file)) {
        (None, Some(_)) if let Some(mount) = nodev.filter(|_| failure.errno == Errno::EACCES) => {
            return draft
                .text("mount_point", &mount.mount_point)
                .summary(format!(
                    "{}, running as uid {uid}, may not use {path}: it is a device file, and {} is mounted without devices \
                     (nodev; {}: {}); it {}.",
                    case.name(case.blamed()),
                    mount.mount_point,
                    failure.call,
                    failure.errno,
                    case.ending()
                ))
                .next_step(format!(
                    "Mount {} without nodev, or put the device there from outside (the container's own /dev, a bind mount).",
                    mount.mount_point
                ))
                .finish();
        }
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
    let (beyond, next_step) = match remote {
        _ if !is_above_modes => (String::new(), next_step),
        Some(mount) => {
            draft = draft.detail("fs_type", mount.fs_type.as_str());
            (
                format!("; it is on {} ({}), whose server decides for root too", mount.mount_point, mount.fs_type),
                format!(
                    "Let the server of {} give root access (root_squash of NFS makes it nobody), or run as the owner of \
                     the files.",
                    mount.mount_point
                ),
            )
        }
        None => (
            "; root passes over modes: a security module, an immutable flag or the way it is mounted may refuse it"
                .to_owned(),
            format!(
                "Look for a refusal of {path} in the node's audit log (SELinux, AppArmor: `dmesg`), and for an immutable \
                 flag (lsattr)."
            ),
        ),
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

/// A device file is refused by its mount, whatever its modes (fs/namei.c, may_open_dev).
fn is_device(fact: &PathFact) -> bool {
    match &fact.file {
        FileState::Present { file_type, .. } => file_type.ends_with("_device"),
        FileState::Unknown | FileState::Missing { .. } | FileState::Unreadable { .. } => false,
    }
}

fn is_remote(mount: &Mount) -> bool {
    REMOTE.iter().any(|kind| mount.fs_type == *kind) || mount.fs_type.starts_with("fuse.")
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
    let refusal = refusal(case, failure);
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
        .next_step(next_step(chosen, &refusal))
        .finish()
}

/// Of a file on a server it is the server that refuses, whatever the process may do.
fn refusal(case: &Case<'_>, failure: &Failure<'_>) -> Refusal {
    let on_server = failure.path().and_then(|path| path::mount(case, path));
    match on_server.filter(|mount| is_remote(mount) && failure.call.contains("chown")) {
        Some(mount) => Refusal {
            by: "server",
            text: format!(
                "it is on {} ({}), whose server decides (root_squash of NFS makes root nobody)",
                mount.mount_point, mount.fs_type
            ),
            capability: None,
        },
        None => privilege::refusal(case, failure, capability::needed_by(failure)),
    }
}

/// Advice to widen a privilege is given only where it is proven that its lack was the cause.
fn next_step(chosen: &Chosen<'_>, refusal: &Refusal) -> String {
    let call = chosen.failure.call;
    let is_proven = chosen.confidence == Confidence::Proven;
    match (refusal.by, refusal.capability) {
        ("capability", Some(capability)) if is_proven => {
            let short = capability.trim_start_matches("CAP_");
            let how = match chosen.failure.process.uid {
                0 => String::new(),
                // Capabilities of the container are not in effect for another user than root.
                uid => format!(
                    " (for uid {uid} that takes file capabilities as well: `setcap` on its program)"
                ),
            };
            format!(
                "Configure the program without {call}; if it cannot do without, add {short} to the container's \
                 capabilities{how}."
            )
        }
        ("capability", Some(capability)) => format!(
            "Find out first whether the program needs {call} (more verbose logging): nothing but the time shows that it \
             mattered. If it does, it lacks {capability}."
        ),
        ("capability", None) => format!(
            "Configure the program so that it does not take capabilities by {call}, or see which ones its container has."
        ),
        ("limit", _) if call.contains("rlimit") => "Let the program do with the limit that it has, or have it raised before \
                                                    the container starts (LimitNOFILE and its kin of the container \
                                                    runtime's service, --ulimit)."
            .to_owned(),
        ("limit", _) => "Raise `ulimit -l` (RLIMIT_MEMLOCK; LimitMEMLOCK of the container runtime's service), or \
                         configure the program without locked memory."
            .to_owned(),
        ("owner", _) => "Make the file in the image with the right owner and mode, or run as its owner.".to_owned(),
        ("server", _) => "Let the program do without chown there, or set owner and squashing on the server \
                          (no_root_squash, anonuid)."
            .to_owned(),
        ("network", _) => "Look at network policies, at packet filters (`nft list ruleset`) and at the route to that \
                           address (`ip route get`)."
            .to_owned(),
        ("seccomp", _) if call == "clone3" && is_proven => "Update the container runtime and libseccomp of the node, so that \
                                              clone3 is answered with ENOSYS."
            .to_owned(),
        ("seccomp", _) if is_proven => format!(
            "Configure the program without {call}; if it cannot do without, allow {call} in the container's seccomp profile."
        ),
        (_, _) => format!(
            "Find out first whether the program needs {call} (more verbose logging), then which profile of the node or \
             container refuses it."
        ),
    }
}
