//! What counts as right, as not yet there and as wrong.

use super::*;
use crate::chores::e2e::pods::{ContainerStatus, Object, State, Terminated};

fn died(container: &str, id: &str) -> ContainerStatus {
    let end = Terminated {
        container_id: Some(format!("containerd://{id}")),
        exit_code: 139,
        reason: "Error".to_owned(),
        finished_at: None,
    };
    ContainerStatus {
        name: container.to_owned(),
        restart_count: 1,
        state: State { terminated: Some(end), running: None },
        ..ContainerStatus::default()
    }
}

fn pod(expected: &str, statuses: Vec<ContainerStatus>) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = "p".to_owned();
    pod.metadata.namespace = "n".to_owned();
    pod.metadata.uid = "u".to_owned();
    pod.metadata.annotations.insert("macula.io/cause".to_owned(), expected.to_owned());
    pod.status.container_statuses = statuses;
    pod
}

fn told(id: &str, pod: &str, container: &str, cause: &str) -> Told {
    Told {
        container_id: id.to_owned(),
        namespace: "n".to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        cause: cause.to_owned(),
        summary: "s".to_owned(),
    }
}

fn event(reason: &str, message: &str) -> Event {
    Event {
        involved_object: Object { uid: "u".to_owned(), ..Object::default() },
        kind: "Warning".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Event::default()
    }
}

fn check(pod: &Pod, told: &[Told], events: &[Event]) -> String {
    match row(pod, told, events).outcome {
        Outcome::Right => "right".to_owned(),
        Outcome::Awaited(what) => format!("awaited: {what}"),
        Outcome::Wrong(what) => format!("wrong: {what}"),
    }
}

#[test]
fn a_crash_is_right_once_both_sides_and_the_event_are_there() {
    let alive = pod("segfault", vec![]);
    assert_eq!(check(&alive, &[], &[]), "awaited: its death");
    let dead = pod("segfault", vec![died("gateway", "aa")]);
    let awaited = "awaited: the tracer's word: container gateway (aa) of p is not told";
    assert_eq!(check(&dead, &[], &[]), awaited);
    let said = [told("aa", "p", "gateway", "segfault")];
    assert_eq!(check(&dead, &said, &[]), "awaited: its Event CrashCause");
    let event = event("CrashCause", "segfault: s");
    assert_eq!(check(&dead, &said, std::slice::from_ref(&event)), "right");
    assert_eq!(row(&dead, &said, &[event]).kubernetes, "Error, exit code 139, 1 restart");
}

#[test]
fn another_cause_container_or_pod_is_wrong() {
    let dead = pod("segfault", vec![died("gateway", "aa")]);
    let wrong = [told("aa", "p", "gateway", "abort")];
    assert_eq!(check(&dead, &wrong, &[]), "wrong: gateway is called abort");
    let holder = [told("bb", "p", "holder", "segfault")];
    assert_eq!(check(&dead, &holder, &[]), "wrong: blames container holder");
    let death = dead.deaths();
    assert_eq!(
        unmatched(&death, &[told("aa", "q", "gateway", "segfault")]),
        ["container gateway (aa) of p is told of n/q/gateway"]
    );
    let twice = told("aa", "p", "gateway", "segfault");
    assert_eq!(
        unmatched(&death, &[twice.clone(), twice]),
        ["container gateway (aa) of p is told twice"]
    );
    let said = [told("aa", "p", "gateway", "segfault")];
    let other = [event("CrashCause", "abort: s")];
    assert_eq!(check(&dead, &said, &other), "wrong: its Event names another cause: abort: s");
}

#[test]
fn what_is_no_crash_must_be_told_so_and_have_no_event() {
    let mut done = pod("none", vec![died("gateway", "aa")]);
    done.status.phase = "Succeeded".to_owned();
    let said = [told("aa", "p", "gateway", "none")];
    assert_eq!(check(&done, &said, &[]), "right");
    let blamed = [told("aa", "p", "gateway", "exited_by_itself")];
    assert_eq!(check(&done, &blamed, &[]), "wrong: gateway is called exited_by_itself");
    let events = [event("CrashCause", "x")];
    assert_eq!(check(&done, &said, &events), "wrong: has an Event: x");
}

#[test]
fn a_probe_must_have_failed_before_it_counts_as_no_crash() {
    let running = pod("none", vec![died("init", "aa")]);
    let said = [told("aa", "p", "init", "none")];
    assert_eq!(check(&running, &said, &[]), "awaited: a probe that fails");
    assert_eq!(check(&running, &said, &[event("Unhealthy", "Readiness probe failed")]), "right");
}

#[test]
fn a_child_that_the_kernel_killed_with_its_whole_container_is_right_too() {
    let mut dying = pod("oom_killed_child", vec![died("gateway", "1")]);
    let of_group = told("1", "p", "gateway", "oom_killed");
    assert!(matches!(row(&dying, std::slice::from_ref(&of_group), &[]).outcome, Outcome::Wrong(_)));
    let annotation = ("macula.io/cause-of-group".to_owned(), "oom_killed".to_owned());
    dying.metadata.annotations.extend([annotation]);
    let row = row(&dying, &[of_group], &[]);
    assert_eq!(row.expected, "oom_killed");
    assert!(!matches!(row.outcome, Outcome::Wrong(_)), "{row:?}");
}
