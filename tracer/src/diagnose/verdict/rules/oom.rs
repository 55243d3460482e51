//! Deaths by the OOM killer. It must not know other signals.

use crate::capture::event::{Event, Memcg, Oom, ProcessId};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{pace, programs},
    wording,
};

/// The kernel gives up below the limit by what other CPUs hold in stock (memcontrol.c: MEMCG_CHARGE_BATCH
/// of 64 pages each) and by the size of the charge that failed.
const SLACK_MAX_BYTES: u64 = 2 << 20;
const SLACK_MIN_BYTES: u64 = 256 << 10;
/// A main process that gives up because a child was killed does so at once.
const GAVE_UP_NS: u64 = 1_000_000_000;
/// Kills of one group happen in one go (mem_cgroup_oom_kill group, memcontrol.c).
const ONE_GROUP_NS: u64 = 1_000_000_000;
/// A table has at least a pointer for each descriptor; one that is larger shows as memory that was reserved and hardly
/// touched.
const ENTRY_BYTES: u64 = 8;
const LARGE_OPEN_FILES: u64 = 4096;
const HARDLY_TOUCHED: u64 = 8;
/// Tables are made before anything else is done.
const MADE_BY_NS: u64 = 30_000_000_000;
/// Programs that make no such table, and reserve much that they never touch.
const NO_TABLE: [&[u8]; 8] =
    [b"java", b"node", b"nodejs", b"deno", b"bun", b"ruby", b"dotnet", b"php"];

struct Victim<'a> {
    index: usize,
    event: &'a Event,
    oom: &'a Oom,
}

/// Main, the process whose status it passed on, or another from whose kill main then ended.
pub(in crate::diagnose::verdict) fn killed(case: &Case<'_>) -> Option<Verdict> {
    let victims: Vec<Victim<'_>> = case
        .timeline
        .entries
        .iter()
        .enumerate()
        .filter_map(|(index, event)| Some(Victim { index, event, oom: event.oom()? }))
        .collect();
    let of_chain = case.chain.iter().rev().find_map(|link| {
        victims.iter().rfind(|it| it.event.process.id == link.id && killed_by_it(case, it))
    });
    match of_chain {
        Some(victim) => Some(tell(case, victim, &victims, Cause::OomKilled)),
        None => gave_up_after(case, &victims)
            .map(|victim| tell(case, victim, &victims, Cause::OomKilledChild)),
    }
}

/// The victim did not outlive its kill: its end, where it is recorded, is by SIGKILL.
fn killed_by_it(case: &Case<'_>, victim: &Victim<'_>) -> bool {
    let end = case.end(victim.event.process.id);
    end.is_none_or(|end| end.status.signal == Some(crate::linux::signal::Signal::SIGKILL))
}

fn gave_up_after<'a, 'b>(case: &Case<'_>, victims: &'b [Victim<'a>]) -> Option<&'b Victim<'a>> {
    let end = case.end(case.main).filter(|end| end.failed())?;
    victims.iter().rfind(|victim| {
        let gone_ns =
            case.end(victim.event.process.id).map_or(victim.event.time_ns, |it| it.time_ns);
        let after = end.time_ns.checked_sub(gone_ns.max(victim.event.time_ns));
        descends(case, victim.event.process.id, case.main)
            && after.is_some_and(|after| after <= GAVE_UP_NS)
    })
}

/// Main is its parent, and failed as soon as it had gone.
fn at_once(case: &Case<'_>, victim: ProcessId) -> bool {
    let (Some(gone), Some(end)) = (case.end(victim), case.end(case.main)) else { return false };
    let after_ns = end.time_ns.saturating_sub(gone.time_ns);
    case.tree.parent(victim) == Some(case.main) && after_ns <= pace::SOON_NS
}

fn descends(case: &Case<'_>, id: ProcessId, from: ProcessId) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut at = case.tree.parent(id);
    while let Some(parent) = at.filter(|parent| seen.insert(*parent)) {
        if parent == from {
            return true;
        }
        at = case.tree.parent(parent);
    }
    false
}

/// Which memory cgroup was full.
enum Full<'a> {
    Level {
        memcg: &'a Memcg,
        name: &'static str,
    },
    /// None of them: the node's memory.
    Node,
    /// No cgroup was read.
    Unknown,
}

fn full<'a>(case: &Case<'_>, victim: &'a Victim<'_>) -> Full<'a> {
    let memcgs = &victim.oom.memcgs;
    if memcgs.is_empty() {
        return Full::Unknown;
    }
    let own = memcgs.iter().position(|it| it.id == victim.event.cgroup).unwrap_or(0);
    let gap = |it: &Memcg| {
        let limit = it.limit_bytes?;
        let slack = (limit / 64).clamp(SLACK_MIN_BYTES, SLACK_MAX_BYTES);
        let gap = limit.saturating_sub(it.usage_bytes);
        (gap <= slack).then_some(gap)
    };
    let gaps = memcgs.iter().enumerate().filter_map(|(level, it)| Some((gap(it)?, level, it)));
    match gaps.min_by_key(|(gap, level, _)| (*gap, *level)) {
        Some((_, level, memcg)) => Full::Level { memcg, name: level_name(case, memcg, level, own) },
        None => Full::Node,
    }
}

/// Up to the life's own cgroup it is the container's; above, a pod's cgroup is known by its path.
fn level_name(case: &Case<'_>, memcg: &Memcg, level: usize, own: usize) -> &'static str {
    if level <= own {
        return "container";
    }
    let path = case.facts.memory.iter().find(|it| it.id == memcg.id).map(|it| &it.path);
    let name = path.map(|path| wording::file_name(path).0).unwrap_or_default();
    let is_pod = name.starts_with(b"pod") || name.windows(4).any(|it| it == b"-pod");
    if is_pod { "pod" } else { "parent" }
}

fn tell(case: &Case<'_>, victim: &Victim<'_>, all: &[Victim<'_>], killed: Cause) -> Verdict {
    let Victim { event, oom, .. } = victim;
    let id = event.process.id;
    let full = full(case, victim);
    let (cause, confidence) = match full {
        Full::Level { .. } if killed == Cause::OomKilled || at_once(case, id) => {
            (killed, Confidence::Proven)
        }
        Full::Level { .. } => (killed, Confidence::Likely),
        Full::Node => (Cause::OomKilledNode, Confidence::Proven),
        Full::Unknown => (killed, Confidence::Likely),
    };
    let resident = oom.anon_bytes.saturating_add(oom.file_bytes).saturating_add(oom.shmem_bytes);
    let group: Vec<usize> = one_group(victim, all);
    let mut draft = Draft::new(cause, confidence, id)
        .detail("resident_bytes", resident)
        .detail("total_vm_bytes", oom.total_vm_bytes)
        .detail("oom_score_adj", oom.oom_score_adj)
        .known("open_files_limit", oom.open_files_limit)
        .detail("victims", group.len())
        .evidence(
            format!(
                "the OOM killer chose {}: {} resident of {} virtual, asked for by {}",
                case.name(id),
                wording::mib(resident),
                wording::mib(oom.total_vm_bytes),
                case.name_of(&oom.trigger)
            ),
            group.clone(),
        );
    if let Some(end) = case.end(id) {
        draft = draft
            .status(end.status)
            .evidence(format!("{} {}", case.name(id), wording::ended(end.status)), [end.index]);
    }
    let reason = match &full {
        Full::Level { memcg, name } => {
            draft = draft
                .known("limit_bytes", memcg.limit_bytes)
                .detail("usage_bytes", memcg.usage_bytes)
                .detail("memory_cgroup_level", *name)
                .detail("memory_cgroup_id", memcg.id.to_string());
            if let Some(fact) = case.facts.memory.iter().find(|it| it.id == memcg.id) {
                draft = draft.text("memory_cgroup_path", &fact.path);
            }
            let limit = memcg.limit_bytes.map(wording::mib).unwrap_or_default();
            match *name {
                "container" => format!("the container's memory limit of {limit} was full"),
                "pod" => {
                    format!("the pod's memory limit of {limit}, shared by its containers, was full")
                }
                _ => {
                    format!("the memory limit of {limit} of a cgroup above the container was full")
                }
            }
        }
        Full::Node => {
            draft = draft.detail("memory_cgroup_level", "node");
            "the node itself had no memory left, while no memory limit of this container was full"
                .to_owned()
        }
        Full::Unknown => "memory was full (which limit is not known)".to_owned(),
    };
    let silent = silent(case, oom);
    if let Some(silent) = silent {
        draft = draft.detail("wrote_nothing", silent);
    }
    let wrote = if silent == Some(true) {
        ", and nothing had ever been written to stdout or stderr"
    } else {
        ""
    };
    let files = table_of_descriptors(case, victim, resident).filter(|_| silent == Some(true));
    let table = files.map(|limit| format!("; its RLIMIT_NOFILE is {limit}")).unwrap_or_default();
    let others = match group.len() {
        0 | 1 => String::new(),
        count => format!(" with {} more of its cgroup", count - 1),
    };
    let then = if cause == Cause::OomKilledChild {
        let main_end = case.end(case.main).map(|it| wording::ended(it.status)).unwrap_or_default();
        format!("; {} then {main_end}", case.name(case.main))
    } else {
        String::new()
    };
    draft
        .summary(format!(
            "The kernel killed {}{others} because {reason}: it held {} resident of {} virtual memory{wrote}{table}{then}.",
            case.name(id),
            wording::mib(resident),
            wording::mib(oom.total_vm_bytes)
        ))
        .next_step(next_step(&full, files))
        .finish()
}

/// The limit of descriptors, where a table of that size would explain what the process held when it was killed.
fn table_of_descriptors(case: &Case<'_>, victim: &Victim<'_>, resident: u64) -> Option<u64> {
    let Victim { event, oom, .. } = victim;
    let id = event.process.id;
    let began_ns = case.last_exec(id).map_or(id.start_ns, |(_, time_ns, _)| time_ns);
    let is_young = event.time_ns.saturating_sub(began_ns) <= MADE_BY_NS;
    let name = case.program(id).map(|exec| programs::name(exec).0).unwrap_or_default();
    let makes_none = NO_TABLE.contains(&name.as_slice()) || name.starts_with(b"python");
    let reserved = oom.total_vm_bytes / HARDLY_TOUCHED >= resident;
    oom.open_files_limit.filter(|limit| {
        let table = limit.saturating_mul(ENTRY_BYTES);
        let fills = table >= resident && oom.total_vm_bytes >= resident;
        let explains = fills || (reserved && *limit >= LARGE_OPEN_FILES);
        is_young && !makes_none && explains
    })
}

fn next_step(full: &Full<'_>, open_files: Option<u64>) -> String {
    if let Some(limit) = open_files {
        return format!(
            "Lower `ulimit -n` for the container first: a program that sizes a table by {limit} descriptors \
             fills memory before it does anything; raise the memory limit only if it is still reached then."
        );
    }
    match full {
        Full::Level { name: "pod", .. } => {
            "Find which container of the pod grew, and give the pod's containers limits that add up.".to_owned()
        }
        Full::Level { name: "parent", .. } => {
            "Raise the memory limit of that cgroup above the container, or move its other users away.".to_owned()
        }
        Full::Level { .. } | Full::Unknown => {
            "Raise the memory limit if this is what the program needs, else find what fills it (heap profile, \
             cache and pool sizes)."
                .to_owned()
        }
        Full::Node => {
            "Give every pod of the node a memory request near its use, so that it is not overcommitted.".to_owned()
        }
    }
}

/// Kills of the same group in one go; the victim first.
fn one_group(victim: &Victim<'_>, all: &[Victim<'_>]) -> Vec<usize> {
    let grouped = victim.oom.memcgs.iter().any(|it| it.oom_group);
    let others = all.iter().filter(|other| {
        grouped
            && other.index != victim.index
            && other.event.time_ns.abs_diff(victim.event.time_ns) <= ONE_GROUP_NS
    });
    std::iter::once(victim.index).chain(others.map(|it| it.index)).collect()
}

/// Nothing was written before the kill, by the victim or by anyone of the life.
fn silent(case: &Case<'_>, oom: &Oom) -> Option<bool> {
    match (case.wrote_nothing(), oom.written) {
        (Some(nothing), _) => Some(nothing),
        (None, Some(bytes)) => Some(bytes == 0),
        (None, None) => None,
    }
}
