//! Locks that somebody else holds: on an open file, or by a file that must not be there yet. It must not know why the other
//! one holds it.

use crate::{diagnose::facts::model::LockHolder, linux::errno::Errno};

use crate::diagnose::verdict::{
    Cause, Verdict,
    case::Case,
    rules::unusable::{begin, is_present},
};

pub(in crate::diagnose::verdict) fn held(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, mut draft) = begin(case, Cause::LockHeld)?;
    let failure = &chosen.failure;
    let path = failure.path();
    let object = path.map_or_else(|| "a file".to_owned(), ToString::to_string);
    let name = case.name(case.blamed());
    let by_file = failure.errno == Errno::EEXIST;
    let fact = path.and_then(|path| case.facts.locks.iter().find(|fact| fact.path == *path));
    let holder = fact.and_then(|fact| fact.holders.first());
    if let Some(holder) = holder {
        draft = draft.known("holder_pid", holder.pid).text("holder_command", &holder.command);
    }
    let held_by = match holder {
        Some(holder) => format!(", held by {}", of(holder)),
        None => String::new(),
    };
    let (why, next_step) = if by_file {
        let still = path.is_some_and(|path| is_present(case, path));
        let there = if still { "it was still there at the end" } else { "it is there already" };
        (
            format!("could not take the lock file {object}: {there}"),
            format!(
                "If no other instance uses it, {object} is a remnant of a life that was killed: remove it at the start, or put it on \
                 a volume that goes with the container (emptyDir outlives a container's restart, the image's own file system does not)."
            ),
        )
    } else {
        (
            format!("could not lock {object}: another process has it locked{held_by}"),
            "Let one process at a time use it: strategy Recreate instead of RollingUpdate, one replica, a ReadWriteOncePod volume; \
             or end the one that still holds it."
                .to_owned(),
        )
    };
    Some(
        draft
            .summary(format!(
                "{name} {why} ({}: {}); it {}.",
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// `postgres -D /data (pid 4211)`
fn of(holder: &LockHolder) -> String {
    let name = if holder.command.is_empty() { &holder.comm } else { &holder.command };
    match holder.pid {
        Some(pid) if !name.is_empty() => format!("{name} (pid {pid})"),
        Some(pid) => format!("pid {pid}"),
        None => "a process that the kernel does not name".to_owned(),
    }
}
