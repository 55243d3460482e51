//! Names the cause of a death: rules over a timeline and facts. It must not do I/O, know the clock,
//! the environment, bytes of the kernel or Kubernetes.

mod case;
pub mod cause;
mod death;
mod draft;
mod evidence;
mod rules;
pub mod terms;
mod wording;
mod words;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::{Map, Value};

use case::Case;
pub use cause::{Cause, Confidence};
pub use terms::{Policy, Terms};

use crate::{
    capture::event::{Event, ProcessId},
    contract::Evidence,
    diagnose::{facts::Facts, timeline::Timeline},
    linux::signal::Signal,
};

/// Cause, evidence, confidence and next step of one death.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub cause: Cause,
    pub confidence: Confidence,
    /// One sentence.
    pub summary: String,
    /// Each points at timeline entries by index.
    pub evidence: Vec<Evidence>,
    pub next_step: String,
    /// The process where the failure began.
    pub blamed: ProcessId,
    /// Machine-readable particulars: path, address, limit_bytes, sender, ...
    pub details: Map<String, Value>,
}

/// Why the life ended.
pub fn verdict(timeline: &Timeline, facts: &Facts, terms: &Terms) -> Verdict {
    let case = Case::of_life(timeline, facts, terms);
    let found = rules::OF_A_LIFE.iter().find_map(|rule| rule(&case));
    let verdict = found.unwrap_or_else(|| rules::unknown(&case));
    case.with_context(verdict)
}

/// Whether the container runtime sent a stop signal before the life's end.
pub fn was_stopped(timeline: &Timeline) -> bool {
    let (facts, terms) = (Facts::default(), Terms::default());
    rules::first_stop(&Case::of_life(timeline, &facts, &terms)).is_some()
}

/// Processes that the OOM killer or a fault ended while the container lived on, one verdict each,
/// oldest first. The processes that the life's own verdict blames are not among them.
pub fn incidents(timeline: &Timeline, facts: &Facts) -> Vec<Verdict> {
    let terms = Terms::default();
    let life = Case::of_life(timeline, facts, &terms);
    let end_ns = life.end(life.main).map_or(u64::MAX, |end| end.time_ns);
    let told = verdict(timeline, facts, &terms).blamed;
    let victims: HashSet<ProcessId> = timeline
        .entries
        .iter()
        .filter(|event| event.oom().is_some())
        .map(|event| event.process.id)
        .collect();
    let counts = |event: &&Event| {
        event.exit().is_some_and(|exit| {
            let faulted = exit.status.signal.is_some_and(Signal::is_own_doing);
            event.time_ns < end_ns && (faulted || victims.contains(&event.process.id))
        })
    };
    let ends = timeline.entries.iter().filter(counts);
    ends.map(|event| event.process.id)
        .filter(|id| *id != told && !life.in_chain(*id))
        .filter_map(|id| {
            let case = Case::of_process(timeline, facts, &terms, id);
            let found = rules::OF_A_PROCESS.iter().find_map(|rule| rule(&case))?;
            (found.blamed == id).then(|| case.with_context(found))
        })
        .collect()
}
