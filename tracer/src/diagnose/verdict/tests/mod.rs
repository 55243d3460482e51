//! Verdicts on scenes: each cause as it is and with output capture off, and the noise that must not fool a rule.

mod acquitted;
mod calls;
mod exceptions;
mod exec;
mod families;
mod kernel_made;
mod lookups;
mod network;
mod noise;
mod oom;
mod passed_on;
mod privileges;
mod processor;
mod reach;
mod reasons;
mod signals;
mod stopped;
mod strangers;
mod survived;
mod terms;
mod undone;
mod unusable;

use super::{Cause, Confidence::Proven, Policy, scene::Scene};

#[test]
fn status_0_of_a_server_is_an_exit_by_itself() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.after_ms(50).exits(main, 0);
    let verdict = scene.expect(Cause::ExitedByItself, Proven);
    assert!(verdict.summary.contains("without having written anything"), "{}", verdict.summary);
}

#[test]
fn status_0_of_a_job_is_no_crash() {
    for policy in [Policy::OnFailure, Policy::Never] {
        let (mut scene, main) = Scene::running("/app/migrate");
        scene.terms.policy = policy;
        scene.exits(main, 0);
        assert_eq!(scene.verdict().cause, Cause::None);
    }
}

#[test]
fn a_silent_status_3_is_an_exit_with_an_error() {
    let (mut scene, main) = Scene::running("/bin/sh -c true");
    scene.exits(main, 3);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert!(
        verdict.summary.contains("exited with status 3; it wrote nothing"),
        "{}",
        verdict.summary
    );
}

#[test]
fn last_words_are_quoted_where_nothing_proves_more() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.says(main, "starting\nlicense expired\n").exits(main, 1);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert!(verdict.summary.contains("license expired"), "{}", verdict.summary);
    assert_eq!(verdict.details["exit_code"], 1);
}

#[test]
fn an_end_that_was_not_recorded_has_no_cause() {
    let (scene, _) = Scene::running("/app/server");
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::None);
    assert!(verdict.summary.contains("not recorded"));
}
