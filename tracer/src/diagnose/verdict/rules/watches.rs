//! The limits on inotify, fanotify and epoll, which a user has for all of a node. It must not know descriptors.

use crate::{diagnose::facts::model::WatchFact, linux::errno::Errno};

use crate::diagnose::verdict::{
    Cause, Verdict, case::Case, evidence::privilege, rules::unusable::begin, wording,
};

/// EMFILE of inotify_init, ENOSPC of inotify_add_watch.
pub(in crate::diagnose::verdict) fn limit(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::WatchLimit)?;
    let failure = &chosen.failure;
    let instances = failure.errno == Errno::EMFILE;
    let fact = case.facts.watches.as_ref().filter(|_| failure.call.starts_with("inotify"));
    let name = match (failure.call, instances) {
        ("epoll_ctl", _) => "fs.epoll.max_user_watches",
        (call, true) if call.starts_with("fanotify") => "fs.fanotify.max_user_groups",
        (call, false) if call.starts_with("fanotify") => "fs.fanotify.max_user_marks",
        (_, true) => "fs.inotify.max_user_instances",
        (_, false) => "fs.inotify.max_user_watches",
    };
    let limit = fact.and_then(|it| if instances { it.max_instances } else { it.max_watches });
    let used = fact.map(|it| if instances { it.instances } else { it.watches });
    let what = if instances { "instances" } else { "watches" };
    let uid = failure.process.uid;
    let figures = match (limit, used) {
        (Some(limit), Some(0)) => {
            format!(
                "uid {uid} may have {limit} {what} on this node ({name}), and nobody else had any after its end"
            )
        }
        (Some(limit), Some(used)) => {
            format!(
                "uid {uid} may have {limit} {what} on this node ({name}), and {used} were in use after its end"
            )
        }
        (_, _) => format!("uid {uid} has all that {name} allows on this node"),
    };
    let most = fact.map(|it| most(it, instances)).unwrap_or_default();
    // inotify_init1 fails so for want of a descriptor too.
    let files = privilege::limits(case, failure.process.id).and_then(|it| it.open_files);
    let perhaps_files =
        instances && files.is_some_and(|files| limit.is_none_or(|limit| files <= limit));
    let or_files =
        if perhaps_files { "; the process's own RLIMIT_NOFILE gives the same error" } else { "" };
    let next = limit.map(|limit| format!(" above {limit}")).unwrap_or_default();
    Some(
        draft
            .detail("limit_name", name)
            .detail("uid", uid)
            .known("limit", limit)
            .known("used", used)
            .summary(format!(
                "{} could not watch files ({}: {}): {figures}{most}{or_files}; it {}.",
                case.name(case.blamed()),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(format!(
                "Raise {name}{next} on the node (sysctl), or watch fewer files; it counts all containers of the node that run as uid {uid}."
            ))
            .finish(),
    )
}

fn most(fact: &WatchFact, instances: bool) -> String {
    let holders: Vec<String> = fact
        .holders
        .iter()
        .map(|it| {
            let count = if instances { it.instances } else { it.watches };
            format!("{} (pid {}) has {count}", it.comm, it.pid)
        })
        .collect();
    if holders.is_empty() { String::new() } else { format!("; {}", wording::list(&holders)) }
}
