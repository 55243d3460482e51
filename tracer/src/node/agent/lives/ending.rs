//! From a life that is over, or a process that was killed, to what is reported of it. It must not do I/O: facts and time are
//! passed in.

use serde_json::{Value, json};

use super::{
    container::{Attribution, Container},
    loops::{ContainerOfPod, Loops, Recurrence},
    report::Report,
    terms::{SourcedTerms, policy_name},
};
use crate::{
    capture::event::{Event, ProcessId},
    contract::{CrashLoop, CrashObject, ExitStatus, crash_object},
    diagnose::{
        facts::Facts,
        timeline::Timeline,
        verdict::{Cause, Confidence, Verdict, incidents, verdict},
    },
    node::identity::Identity,
    render::{Detail, Style, crash_text},
};

/// A life's end.
pub struct Ending {
    pub report: Report,
    pub exit: ExitStatus,
    /// Arguments of the main process's last exec.
    pub command: Vec<String>,
    pub memory_limit_bytes: Option<u64>,
}

impl Ending {
    /// The end itself was not recorded.
    fn is_unknown(&self) -> bool {
        self.exit.code.is_none() && self.exit.signal.is_none()
    }

    pub fn is_crash(&self) -> bool {
        self.report.cause != Cause::None.name()
    }
}

/// The end of a life, as a crash, or with cause `none`.
pub fn of_life(
    owner: &Attribution,
    timeline: &Timeline,
    facts: &Facts,
    terms: &SourcedTerms,
    loops: &mut Loops,
) -> Ending {
    let mut ending = judged(owner, timeline, facts, terms);
    // That nobody knows how it ended is news.
    ending.report.is_line |= ending.is_unknown();
    note(&mut ending, &owner.identity, loops);
    ending
}

/// The same end once more, on other terms: `before` is what was reported of it.
pub fn again(
    owner: &Attribution,
    timeline: &Timeline,
    facts: &Facts,
    terms: &SourcedTerms,
    loops: &mut Loops,
    before: &CrashObject,
) -> Ending {
    let mut ending = judged(owner, timeline, facts, terms);
    let was_crash = before.crash.cause != Cause::None.name();
    if was_crash == ending.is_crash() {
        let noted = before.crash.details.get(CrashLoop::KEY).cloned();
        noted.into_iter().for_each(|noted| put_loop(&mut ending, noted));
    } else {
        note(&mut ending, &owner.identity, loops);
    }
    ending
}

fn judged(owner: &Attribution, timeline: &Timeline, facts: &Facts, terms: &SourcedTerms) -> Ending {
    let verdict = verdict(timeline, facts, &terms.terms);
    let mut object = object_of(owner, timeline, facts, &verdict);
    let details = &mut object.crash.details;
    details.insert("restart_policy".to_owned(), policy_name(terms.terms.policy).into());
    details.insert("policy".to_owned(), terms.source.name().into());
    Ending {
        exit: object.exit.clone(),
        command: command(timeline),
        memory_limit_bytes: facts.memory.first().and_then(|cgroup| cgroup.limit_bytes),
        report: report(object, &verdict, None),
    }
}

/// Notes it among the ends of its place.
fn note(ending: &mut Ending, identity: &Identity, loops: &mut Loops) {
    let Some(place) = place(identity) else { return };
    if !ending.is_crash() {
        return loops.ended_well(&place);
    }
    let cause = ending.report.cause;
    let Recurrence { crashes, previous_cause } = loops.crashed(place, cause);
    if crashes > 1 {
        let same = previous_cause.as_deref() == Some(cause);
        put_loop(
            ending,
            json!({"crashes": crashes, "previous_cause": previous_cause, "same_cause": same}),
        );
    }
}

fn put_loop(ending: &mut Ending, noted: Value) {
    ending.report.object.crash.details.insert(CrashLoop::KEY.to_owned(), noted);
}

/// Takes back what was reported of a life's end by its path alone: it is none that is watched. Nothing of what happened in
/// it is said any more.
pub fn withdrawn(
    owner: &Attribution,
    timeline: &Timeline,
    facts: &Facts,
    revision: u32,
    why: &str,
) -> Report {
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
    let mut object = object_of(owner, timeline, facts, &verdict);
    object.crash.revision = revision;
    object.timeline = Some(Vec::new());
    Report { text: format!("{summary}\n"), is_line: true, ..report(object, &verdict, None) }
}

/// Processes among `victims` that were killed while the life goes on.
pub fn of_processes(
    owner: &Attribution,
    timeline: &Timeline,
    facts: &Facts,
    victims: &[ProcessId],
) -> Vec<Report> {
    incidents(timeline, facts)
        .into_iter()
        .filter(|verdict| victims.contains(&verdict.blamed))
        .map(|verdict| {
            let mut object = object_of(owner, timeline, facts, &verdict);
            let blamed = verdict.blamed;
            object.crash.scope = "process".to_owned();
            object.crash.id = format!("{}-{}", owner.identity.short_id(), blamed.pid);
            report(object, &verdict, Some(blamed))
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

fn object_of(
    owner: &Attribution,
    timeline: &Timeline,
    facts: &Facts,
    verdict: &Verdict,
) -> CrashObject {
    CrashObject {
        container: Some(owner.container.clone()),
        k8s: owner.k8s.clone(),
        ..crash_object(owner.identity.short_id(), timeline, facts, verdict)
    }
}

fn report(object: CrashObject, verdict: &Verdict, process: Option<ProcessId>) -> Report {
    Report {
        text: crash_text(&object, Style::Coloured, Detail::Folded),
        cause: verdict.cause.name(),
        is_line: verdict.cause != Cause::None,
        object,
        process,
    }
}

fn place(identity: &Identity) -> Option<ContainerOfPod> {
    let (pod_uid, container) = (identity.pod_uid.clone()?, identity.container_name.clone()?);
    Some(ContainerOfPod { pod_uid, container })
}

fn command(timeline: &Timeline) -> Vec<String> {
    let of_main = |event: &&Event| event.process.id == timeline.main;
    let mut own = timeline.entries.iter().rev().filter(of_main);
    let args = own.find_map(|event| event.program().map(|(_, args)| args));
    args.into_iter().flatten().map(|argument| argument.to_json_string()).collect()
}
