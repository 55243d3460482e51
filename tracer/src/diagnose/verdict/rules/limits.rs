//! Failed calls that ran into a limit: descriptors, processes, memory. It must not know the OOM killer.

use crate::{capture::event::Object, diagnose::facts::model::PidsCgroup, linux::errno::Errno};

use crate::diagnose::verdict::{
    Cause, Verdict,
    case::Case,
    draft::Draft,
    evidence::{attempts, privilege, select::Chosen},
    rules::plain,
    wording,
};

/// EMFILE of the process, ENFILE of the system.
pub(in crate::diagnose::verdict) fn open_files(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::FdLimit)?;
    let failure = &chosen.failure;
    let limit = privilege::limits(case, failure.process.id).and_then(|it| it.open_files);
    let name = case.name(case.blamed());
    let object = failure.path().map(|path| format!(" {path}")).unwrap_or_default();
    let (why, next_step) = match (failure.errno, limit) {
        (Errno::ENFILE, _) => (
            "the whole node has no file handle left".to_owned(),
            "Raise fs.file-max on the node, or find which program leaks files.".to_owned(),
        ),
        (_, Some(limit)) => (
            format!("it had all {limit} descriptors open that RLIMIT_NOFILE allows"),
            format!("Raise `ulimit -n` above {limit}, or find the leak of descriptors."),
        ),
        (_, None) => (
            "it had as many descriptors open as RLIMIT_NOFILE allows".to_owned(),
            "Raise `ulimit -n`, or find the leak of descriptors.".to_owned(),
        ),
    };
    let draft = match failure.path() {
        Some(path) => draft.text("path", path),
        None => draft,
    };
    Some(
        draft
            .known("limit", limit)
            .summary(format!(
                "{name} ran out of file descriptors: {}{object} failed with {} because {why}; it {}.",
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// EAGAIN of clone: pids.max of a cgroup, RLIMIT_NPROC of the user, or threads-max of the node.
pub(in crate::diagnose::verdict) fn processes(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::PidLimit)?;
    let failure = &chosen.failure;
    let own = privilege::limits(case, failure.process.id).and_then(|it| it.processes);
    let node = case.facts.machine.threads_max.into_iter().chain(case.facts.machine.pid_max).min();
    let full = |it: &&PidsCgroup| {
        it.max.is_some() && (it.refused.is_some_and(|count| count > 0) || it.current >= it.max)
    };
    // What the kernel found full at the refusal itself; else what was read later.
    let refused = failure.entries.iter().find_map(|index| {
        let Object::Pids { max, .. } = case.event(*index).call()?.object else { return None };
        Some(max)
    });
    let read = || case.facts.pids.iter().find(full).and_then(|cgroup| cgroup.max);
    let (which, limit, why, next_step) = if let Some(max) = refused.or_else(read) {
        (
            "pids.max",
            Some(max),
            format!("its cgroup allows {max} processes and threads (pids.max)"),
            format!(
                "Raise the pod's pid limit (kubelet podPidsLimit, --pids-limit) above {max}, or start fewer threads."
            ),
        )
    } else if let Some(limit) = own.filter(|limit| node.is_none_or(|node| *limit < node)) {
        (
            "RLIMIT_NPROC",
            Some(limit),
            format!(
                "uid {} may have {limit} processes and threads (RLIMIT_NPROC)",
                failure.process.uid
            ),
            format!(
                "Raise `ulimit -u` above {limit}; it counts all processes of that uid on the node."
            ),
        )
    } else {
        let limit = node.map(|it| format!(" of {it}")).unwrap_or_default();
        (
            "threads-max",
            node,
            format!("no cgroup or user limit explains it, so that the node's limit{limit} was reached"),
            "Raise kernel.threads-max and kernel.pid_max on the node, or find what starts so many threads.".to_owned(),
        )
    };
    Some(
        draft
            .detail("limit_name", which)
            .known("limit", limit)
            .summary(format!(
                "{} could not start a process or thread ({}: EAGAIN): {why}; it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// ENOMEM: RLIMIT_AS, RLIMIT_MEMLOCK, or what the machine will commit.
pub(in crate::diagnose::verdict) fn memory(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::MemoryAllocationFailed)?;
    let failure = &chosen.failure;
    let limit = privilege::limits(case, failure.process.id).and_then(|it| it.address_space_bytes);
    let asked = match failure.call {
        "mmap" | "mprotect" => Some(failure.args[1]),
        "mremap" => Some(failure.args[2]),
        _ => None,
    };
    let size = asked.map(|bytes| format!(" of {}", wording::mib(bytes))).unwrap_or_default();
    let locks = failure.call.starts_with("mlock");
    let huge = attempts::wants_huge_pages(failure);
    let (why, next_step) = match limit {
        _ if huge => (
            "it asked for huge pages, of which the node has too few set aside".to_owned(),
            "Set huge pages aside on the node (vm.nr_hugepages) and give the container a limit of them (hugepages-2Mi), or \
             configure the program without."
                .to_owned(),
        ),
        Some(limit) if !locks => (
            format!("its address space may not exceed {} (RLIMIT_AS)", wording::mib(limit)),
            format!("Raise or drop `ulimit -v` ({} KiB), or let the program reserve less.", limit / 1024),
        ),
        _ if locks => (
            "it may not lock that much memory (RLIMIT_MEMLOCK)".to_owned(),
            "Raise `ulimit -l` (RLIMIT_MEMLOCK; LimitMEMLOCK of the container runtime's service), or configure the program \
             without locked memory."
                .to_owned(),
        ),
        _ => (
            "no RLIMIT_AS is set, so that the kernel's overcommit limit or vm.max_map_count refused it".to_owned(),
            "Check vm.overcommit_memory, vm.max_map_count and the size that the program asks for.".to_owned(),
        ),
    };
    Some(
        draft
            .known("limit_bytes", limit)
            .known("requested_bytes", asked)
            .summary(format!(
                "{} was refused memory ({}{size}: ENOMEM): {why}; it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

fn begin<'a, 'b>(case: &'b Case<'a>, cause: Cause) -> Option<(&'b Chosen<'a>, Draft)> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(cause))?;
    Some((chosen, plain::begin_failed_call(case, chosen, cause, "it")))
}
