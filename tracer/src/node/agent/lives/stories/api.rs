//! Lives whose ends wait for the Kubernetes API's word, or are reported better by it.

use serde_json::json;

use super::*;
use crate::{capture::event::Disposition::Handled, linux::signal::Signal};

fn pod() -> Value {
    json!({
        "metadata": {"uid": "u1"},
        "spec": {
            "restartPolicy": "Always",
            "initContainers": [{"name": "migrate"}],
            "containers": [{"name": "app"}, {"name": "proxy"}],
        },
    })
}

fn deleted() -> pods::Change {
    let mut pod = pod();
    pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:30Z".into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    pods::Change::Applied(Box::new(pods::Pod::read(pod).unwrap()))
}

/// The runtime asks the container to end, and it does.
fn is_stopped() -> Scene {
    let (mut scene, main) = Scene::running("/app/server");
    let runc = scene.outsider("runc");
    scene.sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 0);
    scene
}

fn stopped(story: &mut Story) -> Vec<String> {
    story.made(APP);
    story.answer(APP, APP.named());
    story.lives(APP, &is_stopped())
}

#[test]
fn a_stop_waits_for_the_apis_reason() {
    let mut story = Story::of_pod(pod());
    assert_eq!(
        stopped(&mut story),
        ["events of a cgroup exec", "store life a", "events of a signal exit"]
    );
    let said = story.api(deleted());
    assert!(said.contains(&"report life of a: none, revision 1".to_owned()), "{said:?}");
    assert_eq!(story.report().crash.details["reason"], "pod_deleted");
}

#[test]
fn a_stop_without_a_reason_is_reported_after_a_while_and_revised_when_one_comes() {
    let mut story = Story::of_pod(pod());
    stopped(&mut story);
    assert_eq!(story.passes(400), [""; 0]);
    let said = story.passes(200);
    assert!(said.contains(&"report life of a: stopped_by_runtime, revision 1".to_owned()));
    assert_eq!(
        story.api(deleted()),
        ["note: an end is revised", "report life of a: none, revision 2", "store end a: none"]
    );
    assert_eq!(story.api(deleted()), [""; 0]);
}

#[test]
fn an_api_that_fails_is_waited_for_no_longer() {
    let mut story = Story::of_pod(pod());
    stopped(&mut story);
    let said = story.api(pods::Change::Failed("gone".to_owned()));
    assert_eq!(said[0], "note: pods are not listed");
    assert!(said.contains(&"report life of a: stopped_by_runtime, revision 1".to_owned()));
}

#[test]
fn an_init_container_may_end_well_and_may_not_fail() {
    let migrate = |letter, cgroup| Instance { letter, name: "migrate", cgroup };
    let mut story = Story::of_pod(pod());
    let lives = [
        (migrate('d', 80), 3, "exited_with_error"),
        (migrate('e', 81), 0, "none"),
        (migrate('f', 82), 3, "exited_with_error"),
    ];
    for (of, code, cause) in lives {
        story.made(of);
        story.answer(of, of.named());
        story.lives(of, &exits(code));
        let crash = &story.report().crash;
        assert_eq!(crash.cause, cause);
        assert_eq!(crash.details["restart_policy"], "OnFailure");
        assert_eq!(crash.details["policy"], "api");
        // An end that is well ends a loop.
        assert!(!crash.details.contains_key("crash_loop"));
    }
    // A container that should go on has no end that is well.
    story.runs(APP);
    story.lives(APP, &exits(0));
    assert_eq!(story.report().crash.cause, "exited_by_itself");
}
