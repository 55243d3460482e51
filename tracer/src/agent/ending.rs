//! From a life that is over, or a process that was killed, to what is told of it. It must not do I/O: facts and time are
//! passed in.

use serde_json::json;

use super::{
    container::{Container, Known},
    loops::{Again, Loops, Place},
    teller::Told,
};
use crate::{
    crash::{CrashObject, ExitStatus},
    event::{Event, ProcessId, What},
    facts::Facts,
    identity::Identity,
    render::{Detail, Style, crash_object, crash_text},
    timeline::Timeline,
    verdict::{Cause, Confidence, Policy, Verdict, incidents, verdict},
};

/// A life's end.
pub struct Ending {
    pub told: Told,
    pub exit: ExitStatus,
    /// Arguments of the main process's last exec.
    pub command: Vec<String>,
    pub memory_limit_bytes: Option<u64>,
}

/// Labels of the pods of a Job; the first is the older spelling (batch/v1).
const JOB_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

/// The end of a life, as a crash, or with cause `none`. `revision` counts how often it is told.
pub fn of_life(
    known: &Known,
    timeline: &Timeline,
    facts: &Facts,
    loops: &mut Loops,
    revision: u32,
) -> Ending {
    let policy = assumed_policy(&known.identity);
    let verdict = verdict(timeline, facts, policy);
    let is_crash = verdict.cause != Cause::None;
    let again = place(&known.identity).map(|place| {
        if is_crash {
            return loops.crashed(place, verdict.cause.name());
        }
        loops.ended_well(&place);
        Again::default()
    });
    let mut object = object_of(known, timeline, facts, &verdict);
    object.crash.revision = revision;
    let details = &mut object.crash.details;
    details.insert("restart_policy".to_owned(), policy_name(policy).into());
    details.insert("policy".to_owned(), "assumed".into());
    if let Some(again) = again.filter(|again| again.crashes > 1) {
        let same = again.previous_cause.as_deref() == Some(verdict.cause.name());
        details.insert(
            "crash_loop".to_owned(),
            json!({
                "crashes": again.crashes,
                "previous_cause": again.previous_cause,
                "same_cause": same,
            }),
        );
    }
    Ending {
        exit: object.exit.clone(),
        command: command(timeline),
        memory_limit_bytes: facts.memory.first().and_then(|cgroup| cgroup.limit_bytes),
        told: told(object, timeline, &verdict, None),
    }
}

/// Takes back what was told of a life's end by its path alone: it is none that is watched. Nothing of what happened in
/// it is said any more.
pub fn withdrawn(
    known: &Known,
    timeline: &Timeline,
    facts: &Facts,
    revision: u32,
    why: &str,
) -> Told {
    let summary = format!("What was told of this container's end is withdrawn: {why}.");
    let verdict = Verdict {
        cause: Cause::None,
        confidence: Confidence::None,
        summary: summary.clone(),
        evidence: Vec::new(),
        next_step: "Nothing is wrong.".to_owned(),
        blamed: timeline.main,
        details: [("withdrawn".to_owned(), true.into())].into_iter().collect(),
    };
    let mut object = object_of(known, timeline, facts, &verdict);
    object.crash.revision = revision;
    object.timeline = Some(Vec::new());
    Told { text: format!("{summary}\n"), ..told(object, timeline, &verdict, None) }
}

/// Processes among `victims` that were killed while the life goes on.
pub fn of_processes(
    known: &Known,
    timeline: &Timeline,
    facts: &Facts,
    victims: &[ProcessId],
) -> Vec<Told> {
    incidents(timeline, facts)
        .into_iter()
        .filter(|verdict| victims.contains(&verdict.blamed))
        .map(|verdict| {
            let mut object = object_of(known, timeline, facts, &verdict);
            let blamed = verdict.blamed;
            object.crash.scope = "process".to_owned();
            object.crash.id = format!("{}-{}", known.identity.short_id(), blamed.pid);
            told(object, timeline, &verdict, Some(blamed))
        })
        .collect()
}

/// The timeline of what is held of a container; `None` if no process of it is known.
pub fn timeline(container: &Container) -> Option<Timeline> {
    let mut timeline = Timeline::build(container.history.events()).ok()?;
    if let Some(main) = container.main {
        timeline.main = main;
    }
    Some(timeline)
}

fn object_of(known: &Known, timeline: &Timeline, facts: &Facts, verdict: &Verdict) -> CrashObject {
    CrashObject {
        container: known.container.clone(),
        k8s: known.k8s.clone(),
        ..crash_object(known.identity.short_id(), timeline, facts, verdict)
    }
}

fn told(
    object: CrashObject,
    timeline: &Timeline,
    verdict: &Verdict,
    process: Option<ProcessId>,
) -> Told {
    Told {
        text: crash_text(timeline, verdict, Style::Coloured, Detail::Folded),
        cause: verdict.cause.name(),
        is_line: verdict.cause != Cause::None || object.crash.revision > 1,
        object,
        process,
    }
}

/// Without the API: a Job's pods are those that may end well.
fn assumed_policy(identity: &Identity) -> Policy {
    let is_job = JOB_LABELS.iter().any(|label| identity.labels.contains_key(*label));
    if is_job { Policy::OnFailure } else { Policy::Always }
}

fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Always => "Always",
        Policy::OnFailure => "OnFailure",
        Policy::Never => "Never",
    }
}

fn place(identity: &Identity) -> Option<Place> {
    let (pod_uid, container) = (identity.pod_uid.clone()?, identity.container_name.clone()?);
    Some(Place { pod_uid, container })
}

fn command(timeline: &Timeline) -> Vec<String> {
    let of_main = |event: &&Event| event.process.id == timeline.main;
    let args = timeline.entries.iter().rev().filter(of_main).find_map(|event| match &event.what {
        What::Exec(exec) => Some(&exec.args),
        What::Found(found) => Some(&found.args),
        _ => None,
    });
    args.into_iter().flatten().map(|argument| argument.to_json_string()).collect()
}
