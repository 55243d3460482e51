//! Stops by the container runtime.

use crate::{
    capture::event::{
        Disposition::{Default, Handled},
        Status, Stream,
    },
    diagnose::{
        facts::model::Listeners,
        verdict::{
            Cause,
            Confidence::Proven,
            scene::{OUTSIDE, Scene},
        },
    },
    linux::{errno::Errno, signal::Signal},
};

#[test]
fn a_handled_stop_with_status_0_names_sender_and_missing_listener() {
    let (mut scene, main) = Scene::running("/app/beam");
    let runc = scene.outsider("runc");
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 0);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert!(verdict.summary.contains("never listened on TCP"), "{}", verdict.summary);
    assert!(verdict.summary.contains("handled it and exited with status 0"), "{}", verdict.summary);
    assert_eq!(verdict.details["reason"], "unknown");
    assert_eq!(verdict.details["sender_exe"], "runc");
}

#[test]
fn a_port_bound_on_udp_only_is_named() {
    let (mut scene, main) = Scene::running("/app/gateway");
    let runc = scene.outsider("runc");
    scene.binds(main, "udp 0.0.0.0:9443", None).binds(main, "udp 0.0.0.0:0", None);
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Handled).exits(main, 143);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert!(verdict.summary.contains("port 9443 is bound on UDP only"), "{}", verdict.summary);
    assert!(verdict.next_step.contains("tcpSocket"), "{}", verdict.next_step);
}

#[test]
fn a_life_that_waits_without_a_bind_never_became_ready() {
    let (mut scene, main) = Scene::running("/app/beam");
    let runc = scene.outsider("runc");
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Default).threads(main, 12, "futex");
    scene.after_ms(10_000).sends(&runc, main, Signal::SIGKILL, Default).dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    for part in [
        "has no handler for SIGTERM",
        "10.0 s of grace",
        "never became ready: no bind, all 12 threads waiting (futex)",
    ] {
        assert!(verdict.summary.contains(part), "{part}: {}", verdict.summary);
    }
    assert_eq!(verdict.details["reaction"], "ignored");
}

#[test]
fn a_handler_that_takes_too_long_is_outlasted() {
    let (mut scene, main) = Scene::running("/app/server");
    let shim = scene.outsider("containerd-shim");
    scene.listens(main, "tcp 0.0.0.0:8080").sends(&shim, main, Signal::SIGTERM, Handled);
    scene.after_ms(30_000).sends(&shim, main, Signal::SIGKILL, Handled).dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert_eq!(verdict.details["reaction"], "outlasted");
    assert!(verdict.summary.contains("was listening on TCP 8080"), "{}", verdict.summary);
}

#[test]
fn a_stop_from_outside_reaches_a_container_inside_the_tracked_tree() {
    let (mut scene, runc) = Scene::running("/usr/sbin/runc run box");
    scene.of(runc).pid_ns = OUTSIDE;
    let init = scene.forks_container(runc, runc);
    scene.execs(init, "/app/server");
    let killer = scene.outsider("runc");
    scene.sends(&killer, init, Signal::SIGTERM, Handled).exits(init, 0).exits(runc, 0);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert_eq!(verdict.blamed, scene.id(init));
}

#[test]
fn term_from_a_person_is_no_stop_by_the_runtime() {
    let (mut scene, main) = Scene::running("/app/server");
    let person = scene.outsider("bash");
    scene.of(main).container_pid = 9;
    scene.sends(&person, main, Signal::SIGTERM, Default).dies(main, Signal::SIGTERM);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("by bash (pid"), "{}", verdict.summary);
    assert!(verdict.summary.contains("from outside the container"), "{}", verdict.summary);
}

#[test]
fn an_entrypoint_script_named_like_a_runtime_is_no_runtime() {
    let (mut scene, main) = Scene::running("/app/server");
    let script = scene.runs(main, "/docker-entrypoint.sh");
    let sender = scene.of(script).clone();
    scene.of(main).container_pid = 9;
    scene.sends(&sender, main, Signal::SIGTERM, Default).dies(main, Signal::SIGTERM);
    scene.expect(Cause::KilledBySignal, Proven);
}

#[test]
fn an_init_that_its_runtime_clears_away_was_not_stopped() {
    let mut scene = Scene::new();
    let init = scene.init();
    let message = "{\"type\":\"procError\",\"fd\":-1}{\"message\":\"error mounting \\\"/data\\\": no such device\"}";
    scene.words(init, Stream::Init, message);
    let runc = scene.outsider("runc");
    scene.sends(&runc, init, Signal::SIGKILL, Default).dies(init, Signal::SIGKILL);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::ExitedWithError, "{}", verdict.summary);
    assert!(verdict.summary.contains("error mounting \"/data\""), "{}", verdict.summary);
}

#[test]
fn a_runtime_that_gives_a_container_up_tells_why_itself() {
    let mut scene = Scene::new();
    let runtime = scene.init();
    scene.execs(runtime, "/usr/bin/crun run box");
    let init = scene.forks_container(runtime, runtime);
    scene.of(init).runtime_init = true;
    scene.words(init, Stream::Init, "\0");
    let sender = scene.of(runtime).clone();
    scene.sends(&sender, init, Signal::SIGKILL, Default).dies(init, Signal::SIGKILL);
    scene.says(runtime, "cgroups are not supported\n").exits(runtime, 1);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::ExitedWithError, "{}", verdict.summary);
    assert!(verdict.summary.contains("cgroups are not supported"), "{}", verdict.summary);
}

#[test]
fn a_missing_source_of_a_mount_is_no_missing_entrypoint() {
    let mut scene = Scene::new();
    let init = scene.init();
    scene.fails_at(init, "newfstatat", "/srv/secrets", Errno::ENOENT);
    let message = "{\"type\":\"procError\"}{\"message\":\"error mounting: stat /srv/secrets: no such file or directory\"}";
    scene.words(init, Stream::Init, message).exits(init, 1);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::ExitedWithError, "{}", verdict.summary);
    assert!(verdict.summary.contains("/srv/secrets"), "{}", verdict.summary);
}

#[test]
fn of_a_life_that_began_unrecorded_it_is_not_said_that_it_never_listened() {
    let (mut scene, main) = Scene::running("/app/gateway");
    let runc = scene.outsider("runc");
    scene.after_ms(9000).sends(&runc, main, Signal::SIGTERM, Handled);
    let status = Status { code: Some(0), signal: None, core: false };
    scene.ends(main, status, |exit| exit.recorded = false);
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert!(verdict.summary.contains("where it listened is not known"), "{}", verdict.summary);
    let (pid, tcp) = (scene.id(main).pid, vec![8080, 9443]);
    scene.facts.listeners = vec![Listeners { pid, tcp, udp: vec![9443] }];
    let verdict = scene.expect(Cause::StoppedByRuntime, Proven);
    assert!(verdict.summary.contains("was listening on TCP 8080 and 9443"), "{}", verdict.summary);
    assert_eq!(verdict.details["udp_bound"], serde_json::json!([9443]));
}

#[test]
fn a_process_of_a_pod_that_bears_a_runtime_s_name_is_no_runtime() {
    let (mut scene, main) = Scene::running("/app/gateway");
    let mut forger = scene.outsider("runc");
    forger.below_root = Some(true);
    scene.after_ms(9000).sends(&forger, main, Signal::SIGTERM, Handled).exits(main, 0);
    assert_ne!(scene.verdict().cause, Cause::StoppedByRuntime);
}

#[test]
fn a_watched_process_is_a_runtime_only_where_it_stands_around_the_container_and_sees_the_agents_files()
 {
    for (above, is_runtime) in [(Some(false), false), (Some(true), true), (None, true)] {
        let (mut scene, main) = Scene::running("/app/gateway");
        // Of another container of a pod with one PID namespace: no descendant, but in a namespace of its own.
        let mut forger = scene.outsider("containerd-shim-runc-v2");
        (forger.tracked, forger.below_root, forger.above) = (true, Some(true), above);
        scene.after_ms(9000).sends(&forger, main, Signal::SIGTERM, Handled).exits(main, 0);
        let told = scene.verdict().cause == Cause::StoppedByRuntime;
        assert_eq!(told, is_runtime, "{above:?}");
    }
}

#[test]
fn a_descendant_in_a_namespace_of_its_own_is_no_runtime() {
    let (mut scene, main) = Scene::running("/app/gateway");
    let child = scene.runs(main, "/tmp/containerd-shim");
    scene.of(child).pid_ns = OUTSIDE;
    let forger = scene.of(child).clone();
    scene.after_ms(9000).sends(&forger, main, Signal::SIGTERM, Handled).exits(main, 0);
    assert_ne!(scene.verdict().cause, Cause::StoppedByRuntime);
}
