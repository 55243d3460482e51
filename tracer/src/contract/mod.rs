//! What every output says, as JSON: entries of a timeline, crashes (docs/crash.schema.json). It must not decide anything.

mod crash;
#[cfg(test)]
mod documented;
mod entry;
mod exit_status;
mod explanation;
pub mod kinds;
mod line;
pub mod names;
mod network;
mod of_event;
mod owner;
mod process;
#[cfg(test)]
mod published;
pub mod question;
pub(crate) mod readable;
mod refusal;
mod shown;
mod text;
mod time;

use crate::{
    capture::event::{BootNs, Exit, What as Happened},
    diagnose::{facts::model::Facts, timeline::Timeline, verdict::Verdict},
};

pub use crash::{Crash, CrashLoop, CrashObject, Evidence, SCHEMA};
pub use entry::{Entry, KINDS, Unknown, What};
pub use exit_status::ExitStatus;
pub use explanation::{Change, Changes, Explanation};
pub use line::{CRASH, Gap, Line, Observation};
pub use network::{Endpoint, Network};
pub use of_event::entry;
pub use owner::{Container, K8s};
pub use process::{Creation, Executable, Numbered, Process};
pub use refusal::{Candidate, Reason, Refusal};
pub use shown::{ExplainedCrash, ListedCrash, Names, Shown, ShownExplanation};
pub(crate) use time::rfc3339;

/// The crash object of one life with its whole timeline, revision 1. `container` and `k8s` are left out:
/// whoever knows them fills them in; a list of crashes takes `timeline` out.
///
/// Times come from boot time by `facts.machine.boot_offset_ns`. The crash's time is the end of the main
/// process, or the last entry's where that end was not recorded.
pub fn crash_object(
    id: &str,
    timeline: &Timeline,
    facts: &Facts,
    verdict: &Verdict,
) -> CrashObject {
    let boot_offset_ns = facts.machine.boot_offset_ns;
    let end = main_exit(timeline);
    let last = timeline.entries.last().map_or(timeline.began_ns, |entry| entry.time_ns);
    let death_ns = end.map_or(last, |(time_ns, _)| time_ns);
    CrashObject {
        schema: SCHEMA,
        crash: Crash {
            id: id.to_owned(),
            revision: 1,
            scope: "life".to_owned(),
            time: rfc3339(death_ns, boot_offset_ns),
            cause: verdict.cause.name().to_owned(),
            confidence: verdict.confidence.name().to_owned(),
            summary: verdict.summary.clone(),
            evidence: verdict.evidence.clone(),
            next_step: verdict.next_step.clone(),
            process: Process::whole(verdict.blamed, timeline, boot_offset_ns),
            details: verdict.details.clone(),
        },
        exit: end.map_or_else(ExitStatus::default, |(_, exit)| exit.status.into()),
        process: Process::whole(timeline.main, timeline, boot_offset_ns),
        container: None,
        k8s: None,
        timeline: Some(
            timeline
                .entries
                .iter()
                .map(|event| entry(event, timeline.began_ns, boot_offset_ns))
                .collect(),
        ),
        lost: timeline.lost,
    }
}

fn main_exit(timeline: &Timeline) -> Option<(BootNs, &Exit)> {
    timeline.entries.iter().rev().find_map(|event| match &event.what {
        Happened::Exit(exit) if event.process.id == timeline.main => Some((event.time_ns, exit)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::samples;

    #[test]
    fn a_crash_object_names_the_life_by_its_main_process() {
        let (timeline, facts, verdict) = samples::missing_file();
        let object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        assert_eq!(object.crash.id, "0123456789ab");
        assert_eq!(object.crash.time, "2001-02-03T04:05:06.004100000Z");
        assert_eq!(object.crash.cause, "file_not_found");
        assert_eq!(object.crash.confidence, "proven");
        assert_eq!(object.exit, ExitStatus { code: Some(1), signal: None, core: false });
        assert_eq!(
            serde_json::to_value(&object.process).unwrap(),
            json!({
                "pid": 4242,
                "vpid": 1,
                "parent_pid": 4000,
                "comm": "app",
                "creation": { "time": "2001-02-03T04:05:06.000000000Z" },
                "user": { "id": 1000 },
                "group": { "id": 1000 },
                "cgroup_id": "18446744073709551615",
                "pid_namespace": 4_026_532_000_u32,
                "seccomp": true,
                "executable": {
                    "name": "app",
                    "path": "/usr/bin/app",
                    "device": "8:1",
                    "inode": "123456",
                },
                "command": "app",
                "command_args": ["app", "--config", "/etc/app.yml"],
                "args_truncated": false,
                "args_length": 26,
                "working_directory": "/srv",
            })
        );
        let serialized = serde_json::to_value(&object).unwrap();
        assert!(serialized.get("container").is_none());
        assert!(serialized.get("k8s").is_none());
        assert_eq!(serialized["timeline"].as_array().unwrap().len(), timeline.entries.len());
    }

    #[test]
    fn a_life_whose_end_was_not_recorded_has_no_status() {
        let (mut timeline, facts, verdict) = samples::missing_file();
        timeline.entries.pop();
        let object = crash_object("x", &timeline, &facts, &verdict);
        assert_eq!(object.exit, ExitStatus { code: None, signal: None, core: false });
        assert_eq!(object.crash.time, "2001-02-03T04:05:06.003900000Z");
    }

    #[test]
    fn a_process_that_no_entry_knows_has_its_pid_and_start() {
        let (mut timeline, facts, verdict) = samples::missing_file();
        timeline.processes.clear();
        timeline.entries.clear();
        let object = crash_object("x", &timeline, &facts, &verdict);
        assert_eq!(
            serde_json::to_value(&object.process).unwrap(),
            json!({ "pid": 4242, "creation": { "time": "2001-02-03T04:05:06.000000000Z" } })
        );
    }
}
