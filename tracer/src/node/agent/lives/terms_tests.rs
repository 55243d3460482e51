//! Pods as the API writes them, and ends: which are crashes, and for which reason.

use serde_json::{Value, json};

use super::*;
use crate::{
    capture::event::Disposition::Handled,
    diagnose::verdict::scene::{Scene, Who},
    linux::signal::Signal,
    node::kubernetes::pods::{self, Pod},
};

/// 2026-01-01T00:00:00Z, at which the node of these tests booted.
const BOOT_NS: i64 = 1_767_225_600_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

fn pod(policy: &str) -> Value {
    json!({
        "metadata": {"uid": "u1"},
        "spec": {
            "restartPolicy": policy,
            "initContainers": [{"name": "init"}, {"name": "sidecar", "restartPolicy": "Always"}],
            "containers": [{"name": "gateway", "livenessProbe":
                {"tcpSocket": {"port": 9443}, "initialDelaySeconds": 2, "periodSeconds": 2, "failureThreshold": 2}}],
        },
    })
}

/// Asked for at this second of the node's life.
fn deleted(mut pod: Value, second: u32) -> Value {
    pod["metadata"]["deletionTimestamp"] = format!("2026-01-01T00:01:{second:02}Z").into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 60.into();
    pod
}

fn with_status(mut pod: Value, status: Value) -> Value {
    pod["status"] = status;
    pod
}

fn exits_0(scene: &mut Scene, main: Who) {
    scene.after_ms(9000).exits(main, 0);
}

fn exits_3(scene: &mut Scene, main: Who) {
    scene.after_ms(9000).exits(main, 3);
}

fn is_stopped(scene: &mut Scene, main: Who) {
    let runc = scene.outsider("runc");
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 0);
}

fn is_stopped_and_fails(scene: &mut Scene, main: Who) {
    let runc = scene.outsider("runc");
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 1);
}

/// Cause and reason of the end of this container at second 10.
fn end_of(pod: Value, container: &str, ends: fn(&mut Scene, Who)) -> (String, String) {
    let mut pods = pods::Known::default();
    pods.applied(Pod::read(pod).unwrap(), 10 * SECOND_NS);
    let identity = Identity {
        container_id: "c1".to_owned(),
        container_name: Some(container.to_owned()),
        ..Identity::default()
    };
    let (mut scene, main) = Scene::running("/app/server");
    ends(&mut scene, main);
    let terms = super::terms_of(pods.get("u1"), &identity, BOOT_NS);
    assert_eq!(terms.source, TermsSource::Api);
    scene.terms = terms.terms;
    let verdict = scene.verdict();
    let reason = verdict.details.get("reason").and_then(Value::as_str).unwrap_or("");
    (verdict.cause.name().to_owned(), reason.to_owned())
}

#[test]
fn policy_kind_and_deletion_decide_what_is_a_crash() {
    type Row = (Value, &'static str, fn(&mut Scene, Who), &'static str, &'static str);
    let (always, on_failure, never) = (pod("Always"), pod("OnFailure"), pod("Never"));
    let finished = |pod: Value, second: u32| {
        let at = format!("2026-01-01T00:00:{second:02}Z");
        let state = json!({"terminated": {"exitCode": 0, "finishedAt": at}});
        with_status(pod, json!({"containerStatuses": [{"name": "gateway", "state": state}]}))
    };
    let reason = |pod: &Value, reason: &str| with_status(pod.clone(), json!({"reason": reason}));
    let rows: Vec<Row> = vec![
        (always.clone(), "gateway", exits_0, "exited_by_itself", ""),
        (on_failure.clone(), "gateway", exits_0, "none", ""),
        (never.clone(), "gateway", exits_0, "none", ""),
        (never.clone(), "gateway", exits_3, "exited_with_error", ""),
        (always.clone(), "init", exits_0, "none", ""),
        (always.clone(), "init", exits_3, "exited_with_error", ""),
        (never.clone(), "sidecar", exits_0, "exited_by_itself", ""),
        (always.clone(), "gateway", is_stopped, "stopped_by_runtime", "liveness_probe"),
        (always.clone(), "sidecar", is_stopped, "stopped_by_runtime", "unknown"),
        (on_failure, "gateway", is_stopped_and_fails, "stopped_by_runtime", "liveness_probe"),
        (deleted(always.clone(), 10), "gateway", is_stopped, "none", "pod_deleted"),
        (deleted(always.clone(), 10), "gateway", is_stopped_and_fails, "none", "pod_deleted"),
        (deleted(always.clone(), 10), "gateway", exits_0, "none", "pod_deleted"),
        (deleted(always.clone(), 10), "gateway", exits_3, "exited_with_error", ""),
        (finished(never.clone(), 9), "sidecar", is_stopped, "none", "pod_finished"),
        (finished(always.clone(), 9), "sidecar", is_stopped, "stopped_by_runtime", "unknown"),
        (reason(&always, "Evicted"), "gateway", is_stopped, "stopped_by_runtime", "evicted"),
        (
            reason(&always, "Terminated"),
            "gateway",
            is_stopped,
            "stopped_by_runtime",
            "node_shutdown",
        ),
    ];
    for (pod, container, ends, cause, reason) in rows {
        let end = end_of(pod.clone(), container, ends);
        assert_eq!(end, (cause.to_owned(), reason.to_owned()), "{container} of {pod}");
    }
}

#[test]
fn who_sees_a_deletion_late_by_its_clock_goes_by_when_it_was_heard_of() {
    let mut pods = pods::Known::default();
    pods.applied(Pod::read(pod("Always")).unwrap(), SECOND_NS);
    // The API's clock is half a minute ahead.
    pods.applied(Pod::read(deleted(pod("Always"), 40)).unwrap(), 10 * SECOND_NS);
    let terms = super::terms_of(pods.get("u1"), &Identity::default(), BOOT_NS).terms;
    assert_eq!(terms.wanted.unwrap().since_ns, 10 * SECOND_NS);
}

#[test]
fn without_a_word_of_the_api_a_label_decides() {
    let mut identity = Identity::default();
    let assumed = |identity: &Identity| super::terms_of(None, identity, BOOT_NS);
    assert_eq!(assumed(&identity).terms, Policy::Always.into());
    identity.labels.insert("job-name".to_owned(), "backup".to_owned());
    let terms = assumed(&identity);
    assert_eq!((terms.terms, terms.source), (Policy::OnFailure.into(), TermsSource::Assumed));
}
