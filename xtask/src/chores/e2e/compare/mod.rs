//! Holds what the tracer says against what Kubernetes says. Pure: it asks nobody.

use super::agents::Told;
use super::pods::{Death, Event, Pod};

/// The reason of the agent's Events.
pub const REASON: &str = "CrashCause";
/// The kubelet's reason for a probe that failed.
const UNHEALTHY: &str = "Unhealthy";
/// The container that dies, in every pod of deploy/crashes.
const DYING: &str = "gateway";
const NO_CRASH: &str = "none";

/// How far one pod's comparison is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Right,
    /// What has yet to come.
    Awaited(String),
    Wrong(String),
}

/// One pod, both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub pod: String,
    pub kubernetes: String,
    pub cause: String,
    pub summary: String,
    pub event: String,
    pub expected: String,
    pub outcome: Outcome,
}

/// Compares one pod; `events` are all of its namespace.
pub fn row(pod: &Pod, told: &[Told], events: &[Event]) -> Row {
    let deaths = pod.deaths();
    let shown = deaths.iter().find(|death| death.container == DYING).or(deaths.first());
    let said = shown.and_then(|death| of(death, told).next());
    let of_group =
        pod.expected_of_group().filter(|cause| said.is_some_and(|it| it.cause == *cause));
    let expected = of_group.or(pod.expected()).unwrap_or("(no annotation)");
    let event = events.iter().find(|event| is_about(event, pod, REASON));
    Row {
        pod: pod.metadata.name.clone(),
        kubernetes: shown.map_or_else(|| pod.status.phase.clone(), |death| status(pod, death)),
        cause: said.map(|told| told.cause.clone()).unwrap_or_default(),
        summary: said.map(|told| told.summary.clone()).unwrap_or_default(),
        event: event.map(|event| event.message.clone()).unwrap_or_default(),
        expected: expected.to_owned(),
        outcome: if expected == NO_CRASH {
            no_crash(pod, &deaths, told, events)
        } else {
            crash(pod, expected, &deaths, told, event)
        },
    }
}

/// What is wrong between ends that the kubelet reported and what was told of them: each must be told once, under its
/// own names.
pub fn unmatched<'a>(deaths: impl IntoIterator<Item = &'a Death>, told: &[Told]) -> Vec<String> {
    let mut wrong = Vec::new();
    for death in deaths {
        let all: Vec<&Told> = of(death, told).collect();
        match all.as_slice() {
            [] => wrong.push(format!("{} of {} is not told", short(death), death.pod)),
            [told] => wrong.extend(misnamed(death, told)),
            _ => wrong.push(format!("{} of {} is told twice", short(death), death.pod)),
        }
    }
    wrong
}

fn crash(
    pod: &Pod,
    expected: &str,
    deaths: &[Death],
    told: &[Told],
    event: Option<&Event>,
) -> Outcome {
    if let Some(wrong) = told_of(pod, told).find(|told| told.is_crash() && told.cause != expected) {
        return Outcome::Wrong(format!("{} is called {}", wrong.container, wrong.cause));
    }
    if let Some(wrong) = told_of(pod, told).find(|told| told.is_crash() && told.container != DYING)
    {
        return Outcome::Wrong(format!("blames container {}", wrong.container));
    }
    let dead: Vec<&Death> = deaths.iter().filter(|death| death.container == DYING).collect();
    let Some(last) = dead.first() else { return Outcome::Awaited("its death".to_owned()) };
    if let Some(wrong) = unmatched(dead.iter().copied(), told).into_iter().next() {
        return Outcome::Awaited(format!("the tracer's word: {wrong}"));
    }
    if of(last, told).any(|told| !told.is_crash()) {
        return Outcome::Wrong(format!("{} is told as no crash", short(last)));
    }
    match event {
        None => Outcome::Awaited(format!("its Event {REASON}")),
        Some(event) if event.kind != "Warning" => {
            Outcome::Wrong(format!("its Event is of type {}", event.kind))
        }
        Some(event) if !event.message.contains(expected) => {
            Outcome::Wrong(format!("its Event names another cause: {}", event.message))
        }
        Some(_) => Outcome::Right,
    }
}

fn no_crash(pod: &Pod, deaths: &[Death], told: &[Told], events: &[Event]) -> Outcome {
    if let Some(wrong) = told_of(pod, told).find(|told| told.is_crash()) {
        return Outcome::Wrong(format!("{} is called {}", wrong.container, wrong.cause));
    }
    if let Some(wrong) = events.iter().find(|event| is_about(event, pod, REASON)) {
        return Outcome::Wrong(format!("has an Event: {}", wrong.message));
    }
    if deaths.is_empty() {
        return Outcome::Awaited("the end of a container".to_owned());
    }
    if let Some(wrong) = unmatched(deaths, told).into_iter().next() {
        return Outcome::Awaited(format!("the tracer's word: {wrong}"));
    }
    let done = pod.status.phase == "Succeeded";
    if !done && !events.iter().any(|event| is_about(event, pod, UNHEALTHY)) {
        return Outcome::Awaited("a probe that fails".to_owned());
    }
    Outcome::Right
}

fn misnamed(death: &Death, told: &Told) -> Option<String> {
    let ours = (&told.namespace, &told.pod, &told.container);
    let theirs = (&death.namespace, &death.pod, &death.container);
    (ours != theirs).then(|| {
        let (namespace, pod, container) = ours;
        format!("{} of {} is told of {namespace}/{pod}/{container}", short(death), death.pod)
    })
}

fn of<'a>(death: &'a Death, told: &'a [Told]) -> impl Iterator<Item = &'a Told> {
    told.iter().filter(|told| told.container_id == death.container_id)
}

fn told_of<'a>(pod: &'a Pod, told: &'a [Told]) -> impl Iterator<Item = &'a Told> {
    let pod = &pod.metadata;
    told.iter().filter(|told| told.namespace == pod.namespace && told.pod == pod.name)
}

fn is_about(event: &Event, pod: &Pod, reason: &str) -> bool {
    event.reason == reason && event.involved_object.uid == pod.metadata.uid
}

/// As `kubectl describe` has it, on one line.
fn status(pod: &Pod, death: &Death) -> String {
    let restarts = match death.restarts {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        count => format!(", {count} restarts"),
    };
    let init = pod.status.init_container_statuses.iter().any(|init| init.name == death.container);
    let which = if init { "init: " } else { "" };
    format!("{which}{}, exit code {}{restarts}", death.reason, death.exit_code)
}

fn short(death: &Death) -> String {
    let id: String = death.container_id.chars().take(12).collect();
    format!("container {} ({id})", death.container)
}

#[cfg(test)]
mod tests;
