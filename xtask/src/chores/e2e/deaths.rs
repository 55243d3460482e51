//! Lets every pod of deploy/crashes die, and compares what Kubernetes says of each with what the tracer says.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::agents;
use super::compare::{self, Outcome, REASON, Row};
use super::kubectl::Kubectl;
use super::pods::{Event, List, Pod};
use super::report::Report;

pub const CRASHES: &str = "macula-crashes";
/// For forty pods on two cores, with the slowest probe's grace.
const LONGEST: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_secs(1);

pub fn compare(kubectl: &Kubectl, manifests: &Path, report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    let applied = kubectl.apply(manifests)?;
    let count = pods_of(&applied);
    report.note(&format!("{count} pods; waiting for each to die and be told"))?;
    let rows = loop {
        let rows = rows(kubectl)?;
        let awaited = rows.iter().filter(|row| matches!(row.outcome, Outcome::Awaited(_))).count();
        let all = rows.len() >= count && awaited == 0;
        if all || begun.elapsed() > LONGEST {
            break rows;
        }
        std::thread::sleep(PAUSE);
    };
    let found = rows.len();
    report.note(&format!("{found} pods after {:.0?}", begun.elapsed()))?;
    let described: Vec<&Row> = rows.iter().filter(|row| row.expected != "none").collect();
    let described = described.iter().map(|row| described_by(kubectl, row)).collect::<Vec<_>>();
    report.compared(rows)?;
    let missing: Vec<String> = described
        .into_iter()
        .filter_map(|came| came.err().map(|error| error.to_string()))
        .collect();
    let came = if missing.is_empty() { Ok("in all".to_owned()) } else { Err(missing.join("; ")) };
    report.check("`kubectl describe pod` shows the cause", came.map_err(anyhow::Error::msg))?;
    let all =
        if found == count { Ok(format!("{count}")) } else { Err(format!("{found}, not {count}")) };
    report.check("pods compared", all.map_err(anyhow::Error::msg))
}

/// All pods of the namespace that say what is expected of them, by name.
pub fn rows(kubectl: &Kubectl) -> Result<Vec<Row>> {
    let told = agents::told(kubectl)?;
    let pods: List<Pod> = kubectl.json(&["-n", CRASHES, "get", "pods"])?;
    let events: List<Event> = kubectl.json(&["-n", CRASHES, "get", "events"])?;
    let expecting = pods.items.iter().filter(|pod| pod.expected().is_some());
    Ok(expecting.map(|pod| compare::row(pod, &told, &events.items)).collect())
}

/// What a person sees who knows nothing of the tracer.
fn described_by(kubectl: &Kubectl, row: &Row) -> Result<()> {
    let text = kubectl.text(&["-n", CRASHES, "describe", "pod", &row.pod])?;
    let line = cause_line(&text).with_context(|| format!("{} has no line {REASON}", row.pod))?;
    ensure!(line.contains(&row.expected), "{} shows: {line}", row.pod);
    Ok(())
}

/// The Event's line: `  Warning  CrashCause  5s (x2 over 9s)  macula-tracer  segfault: ...`
fn cause_line(described: &str) -> Option<&str> {
    let (_, events) = described.split_once("\nEvents:")?;
    events.lines().find(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("Warning") && words.next() == Some(REASON)
    })
}

/// Pods, and Jobs, of which each makes one.
fn pods_of(applied: &Value) -> usize {
    let items = applied["items"].as_array();
    let makes_pod = |item: &&Value| item["kind"] == "Pod" || item["kind"] == "Job";
    items.map_or(0, |items| items.iter().filter(makes_pod).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_among_the_events_alone() {
        let described = "Annotations: Warning CrashCause\nEvents:\n  Type  Reason\n  Normal   Pulled  5s  kubelet  x\n  Warning  CrashCause  5s (x2 over 9s)  macula-tracer  segfault: it died\n";
        assert!(cause_line(described).unwrap().ends_with("segfault: it died"));
        assert_eq!(cause_line("Warning CrashCause\nEvents:  <none>\n"), None);
    }

    #[test]
    fn a_job_counts_as_its_pod() {
        let applied =
            serde_json::json!({"items": [{"kind": "Pod"}, {"kind": "Job"}, {"kind": "Secret"}]});
        assert_eq!(pods_of(&applied), 2);
    }
}
