//! Refused connections and names that did not resolve.

use crate::{
    capture::event::Object,
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::Scene,
    },
    linux::errno::Errno,
};

#[test]
fn a_refused_connect_names_its_peer() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_to(main, "connect", "10.0.0.1:5432", Errno::ECONNREFUSED);
    scene.says(main, "db: connection refused\n").exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionRefused, Proven);
    assert_eq!(
        (&verdict.details["address"], &verdict.details["port"]),
        (&"10.0.0.1".into(), &5432.into())
    );
}

#[test]
fn an_error_told_later_belongs_to_the_pending_connect_of_its_socket() {
    let (mut scene, main) = Scene::running("/app/goserver");
    scene.fails_to(main, "connect", "10.0.0.1:5432", Errno::EINPROGRESS);
    scene.call(main, "getsockopt", Errno::ECONNREFUSED, Object::None, [9, 1, 4, 0, 0]);
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionRefused, Likely);
    assert!(verdict.summary.contains("10.0.0.1:5432"), "{}", verdict.summary);
    assert_eq!(verdict.evidence[0].timeline.len(), 2);
}

#[test]
fn a_pending_connect_alone_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/goserver");
    scene.fails_to(main, "connect", "10.0.0.1:5432", Errno::EINPROGRESS).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_name_that_does_not_exist_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None).dns(main, "db.example", Some((3, 0)));
    scene.says(main, "lookup db.example: no such host\n").exits(main, 1);
    let verdict = scene.expect(Cause::NameResolutionFailed, Proven);
    assert!(
        verdict.summary.contains("db.example: the name server answered NXDOMAIN"),
        "{}",
        verdict.summary
    );
}

#[test]
fn a_name_that_was_found_after_its_search_list_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.default.svc", Some((3, 0))).dns(main, "db", Some((0, 1)));
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_name_server_that_refuses_is_no_refused_connection() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None);
    scene.fails_to(main, "recvfrom", "10.96.0.10:53", Errno::ECONNREFUSED).exits(main, 1);
    let verdict = scene.expect(Cause::NameResolutionFailed, Likely);
    assert!(verdict.summary.contains("db.example"), "{}", verdict.summary);
}

#[test]
fn a_question_asked_twice_without_an_answer_was_not_resolved() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None).after_ms(5000).dns(main, "db.example", None);
    scene.after_ms(5000).exits(main, 1);
    let verdict = scene.expect(Cause::NameResolutionFailed, Likely);
    assert!(verdict.summary.contains("never answered"), "{}", verdict.summary);
}

#[test]
fn a_refused_question_is_known_by_its_descriptor() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None).call(
        main,
        "recvfrom",
        Errno::ECONNREFUSED,
        Object::None,
        [0; 5],
    );
    scene
        .says(main, "cannot resolve db.example: Temporary failure in name resolution\n")
        .exits(main, 1);
    let verdict = scene.expect(Cause::NameResolutionFailed, Proven);
    assert_eq!(verdict.details["question"], "db.example");
}

#[test]
fn a_question_without_an_answer_right_before_the_end_names_the_configured_server() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None);
    scene
        .says(main, "cannot resolve db.example: Temporary failure in name resolution\n")
        .exits(main, 1);
    scene.facts.name_servers.push("127.0.0.1".into());
    let verdict = scene.expect(Cause::NameResolutionFailed, Proven);
    assert!(
        verdict.summary.contains("db.example: the name server at 127.0.0.1"),
        "{}",
        verdict.summary
    );
}

#[test]
fn words_that_only_name_a_host_do_not_say_that_it_was_not_found() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dns(main, "db.example", None);
    scene.says(main, "connected to db.example\nlicence expired\n").exits(main, 1);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}
