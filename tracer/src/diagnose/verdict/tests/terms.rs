//! What probes, deletion and the node have to say about an end.

use crate::capture::event::Disposition::{Default, Handled};
use crate::{
    diagnose::verdict::{
        Cause,
        Confidence::{None as Nothing, Proven},
        Policy,
        scene::{Scene, Who},
        terms::{Asks, Port, Probe, Removal, RemovalWhy, Wanted, WantedWhy},
    },
    linux::{signal::Signal, text::Text},
};

const SECOND_NS: u64 = 1_000_000_000;
/// When a scene's container starts.
const START_NS: u64 = SECOND_NS;

fn tcp(port: u16) -> Asks {
    Asks::Tcp(Port { number: Some(port), host: None })
}

/// Due once a life is 4 s old.
fn probe(asks: Asks) -> Option<Probe> {
    Some(Probe { asks, initial_delay_seconds: 2, period_seconds: 2, failure_threshold: 2 })
}

/// A server that is stopped after `ms`, and ends with 0.
fn stopped_after(ms: u64, set_up: impl FnOnce(&mut Scene, Who)) -> (Scene, Who) {
    let (mut scene, main) = Scene::running("/app/server");
    set_up(&mut scene, main);
    let runc = scene.outsider("runc");
    scene.after_ms(ms).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 0);
    (scene, main)
}

fn deleted_at(seconds: u64) -> Option<Wanted> {
    let since_ns = START_NS + seconds * SECOND_NS;
    Some(Wanted { since_ns, why: WantedWhy::Deleted })
}

#[track_caller]
fn says(scene: &Scene, reason: &str, parts: &[&str]) {
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert_eq!(verdict.details["reason"], reason, "{}", verdict.summary);
    for part in parts {
        let text = format!("{} {}", verdict.summary, verdict.next_step);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_probe_of_a_port_without_a_listener_is_named() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    let parts = ["most likely its liveness probe", "TCP port 9443", "was not listening"];
    says(&scene, "liveness_probe", &parts);
    let details = scene.verdict().details;
    let expected = serde_json::json!({
        "kind": "liveness", "asks": "tcp", "port": 9443, "listening": false,
    });
    assert_eq!(details["probe"], expected);
    assert_eq!(details["reason_source"], "inferred");
}

#[test]
fn a_probe_over_tcp_of_a_port_that_is_bound_on_udp_is_told_so() {
    let (mut scene, _) = stopped_after(6000, |scene, main| {
        scene.binds(main, "udp 0.0.0.0:9443", None);
    });
    scene.terms.liveness = probe(tcp(9443));
    let parts = ["asks TCP port 9443", "bound on UDP only", "cannot succeed on a UDP port"];
    says(&scene, "liveness_probe", &parts);
}

#[test]
fn a_probe_that_found_a_listener_got_no_good_answer() {
    let (mut scene, _) = stopped_after(6000, |scene, main| {
        scene.listens(main, "tcp 0.0.0.0:8080");
    });
    let port = Port { number: Some(8080), host: None };
    scene.terms.liveness = probe(Asks::Http { port, path: "/live".to_owned(), tls: false });
    let parts = ["asks HTTP port 8080 for /live", "was listening: no answer came in time"];
    says(&scene, "liveness_probe", &parts);
    assert_eq!(scene.verdict().details["probe"]["listening"], true);
}

#[test]
fn a_listener_on_another_port_is_a_wrong_port() {
    let (mut scene, _) = stopped_after(6000, |scene, main| {
        scene.listens(main, "tcp 0.0.0.0:8081");
    });
    scene.terms.liveness = probe(Asks::Grpc(Port { number: Some(8080), host: None }));
    says(&scene, "liveness_probe", &["gRPC port 8080", "listens on TCP 8081", "the probe's port"]);
}

#[test]
fn until_the_startup_probe_has_succeeded_it_alone_can_have_failed() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    scene.terms.startup = probe(tcp(9444));
    says(&scene, "startup_probe", &["startup probe", "9444", "more time"]);
    scene.terms.started = true;
    says(&scene, "liveness_probe", &["9443"]);
    scene.terms.liveness = None;
    says(&scene, "unknown", &["sent SIGTERM"]);
}

#[test]
fn a_life_too_young_for_its_probe_did_not_fail_it() {
    let (mut scene, _) = stopped_after(1000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    says(&scene, "unknown", &["sent SIGTERM"]);
}

#[test]
fn the_last_run_of_a_probes_command_is_cited() {
    let (mut scene, main) = Scene::running("/app/server");
    let run = scene.runs(main, "/healthy --now");
    scene.exits(run, 1);
    let runc = scene.outsider("runc");
    scene.after_ms(6000).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 0);
    let command = ["/healthy", "--now"].map(Text::from).to_vec();
    scene.terms.liveness = probe(Asks::Command(command));
    let parts = ["runs `/healthy --now`; its last run exited with status 1", "(timeoutSeconds)"];
    says(&scene, "liveness_probe", &parts);
}

#[test]
fn a_stop_in_a_deleted_pod_is_no_crash() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    scene.terms.wanted = deleted_at(6);
    let verdict = scene.expect(Cause::None, Nothing);
    assert!(verdict.summary.contains("its pod was deleted"), "{}", verdict.summary);
    assert_eq!(verdict.details["reason"], "pod_deleted");
    assert!(!verdict.details.contains_key("probe"));
}

#[test]
fn a_stop_long_before_the_pod_was_deleted_is_a_crash() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    scene.terms.wanted = deleted_at(20);
    says(&scene, "liveness_probe", &["9443"]);
}

#[test]
fn who_outlasts_the_grace_of_a_deleted_pod_is_no_crash_and_is_told_so() {
    let (mut scene, main) = Scene::running("/app/server");
    let runc = scene.outsider("runc");
    scene.after_ms(6000).sends(&runc, main, Signal::SIGTERM, Default);
    scene.after_ms(30_000).sends(&runc, main, Signal::SIGKILL, Default).dies(main, Signal::SIGKILL);
    scene.terms.wanted = deleted_at(6);
    let verdict = scene.expect(Cause::None, Nothing);
    assert!(verdict.summary.contains("outlasted its grace period"), "{}", verdict.summary);
    assert!(verdict.next_step.contains("terminationGracePeriodSeconds"), "{}", verdict.next_step);
}

#[test]
fn an_end_in_peace_in_a_deleted_pod_is_no_crash_but_a_failure_is() {
    let ended = |ends: fn(&mut Scene, Who)| {
        let (mut scene, main) = Scene::running("/app/server");
        scene.after_ms(6000);
        ends(&mut scene, main);
        scene.terms.wanted = deleted_at(6);
        scene.verdict().cause
    };
    assert_eq!(ended(|scene, main| drop(scene.exits(main, 0).clone())), Cause::None);
    assert_eq!(ended(|scene, main| drop(scene.exits(main, 3).clone())), Cause::ExitedWithError);
    let by_hook = |scene: &mut Scene, main: Who| {
        let hook = scene.runs(main, "/bin/kill");
        let sender = scene.of(hook).clone();
        scene.sends(&sender, main, Signal::SIGTERM, Handled).exits(main, 143);
    };
    assert_eq!(ended(by_hook), Cause::None);
    let segfault = |scene: &mut Scene, main: Who| {
        scene.faults(main, Signal::SIGSEGV, 1, Some(0)).dies(main, Signal::SIGSEGV);
    };
    assert_eq!(ended(segfault), Cause::Segfault);
}

#[test]
fn a_crash_before_the_deletion_stays_one() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.after_ms(6000).exits(main, 0);
    scene.terms.wanted = deleted_at(20);
    scene.expect(Cause::ExitedByItself, Proven);
}

#[test]
fn a_helper_that_is_stopped_when_the_others_have_finished_is_no_crash() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    let since_ns = START_NS + 5 * SECOND_NS;
    scene.terms.wanted = Some(Wanted { since_ns, why: WantedWhy::Finished });
    let verdict = scene.expect(Cause::None, Nothing);
    assert_eq!(verdict.details["reason"], "pod_finished");
}

#[test]
fn what_the_node_says_of_a_removal_is_quoted_in_one_line() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.liveness = probe(tcp(9443));
    let removal = |why, seen_ns| {
        Some(Removal {
            why,
            seen_ns,
            message: "The node was low on\nresource: memory. ".to_owned(),
        })
    };
    scene.terms.removal = removal(RemovalWhy::Evicted, None);
    let parts = ["evicted its pod (\"The node was low on resource: memory\")"];
    says(&scene, "evicted", &parts);
    scene.terms.removal = removal(RemovalWhy::NodeShutdown, Some(START_NS + 8 * SECOND_NS));
    says(&scene, "node_shutdown", &["was shutting down"]);
    scene.terms.removal = removal(RemovalWhy::DeadlineExceeded, None);
    says(&scene, "deadline_exceeded", &["activeDeadlineSeconds"]);
    // Heard of so late it was not why.
    scene.terms.removal = removal(RemovalWhy::Evicted, Some(START_NS + 60 * SECOND_NS));
    says(&scene, "liveness_probe", &["9443"]);
}

#[test]
fn a_stop_that_ends_with_0_is_no_crash_where_a_life_may_end() {
    let (mut scene, _) = stopped_after(6000, |_, _| {});
    scene.terms.policy = Policy::OnFailure;
    scene.terms.liveness = probe(tcp(9443));
    scene.expect(Cause::None, Nothing);
}
