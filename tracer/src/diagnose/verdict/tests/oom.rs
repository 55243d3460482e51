//! Deaths by the OOM killer.

use crate::{
    diagnose::{
        facts::model::MemoryCgroup,
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::Scene,
        },
    },
    linux::signal::Signal,
};

const FULL: (u64, Option<u64>) = (64, Some(64));
const NO_LIMIT: (u64, Option<u64>) = (900, None);

#[test]
fn oom_of_main_names_limit_size_and_silence() {
    let (mut scene, main) = Scene::running("/app/beam");
    scene
        .oom_with(main, &[FULL, NO_LIMIT], |oom| {
            (oom.written, oom.open_files_limit) = (Some(0), Some(1 << 30));
        })
        .dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::OomKilled, Proven);
    for part in [
        "memory limit of 64 MiB",
        "63 MiB resident",
        "4096 MiB virtual",
        "nothing had ever been written",
        "RLIMIT_NOFILE is 1073741824",
    ] {
        assert!(verdict.summary.contains(part), "{part}: {}", verdict.summary);
    }
    assert_eq!(verdict.details["limit_bytes"], 64 << 20);
    assert_eq!(verdict.details["memory_cgroup_level"], "container");
    assert!(verdict.next_step.contains("ulimit -n"));
}

#[test]
fn output_before_the_kill_is_not_called_silence() {
    let (mut scene, main) = Scene::running("/app/beam");
    scene.says(main, "loading\n").oom(main, &[FULL]).dies(main, Signal::SIGKILL);
    assert!(!scene.expect(Cause::OomKilled, Proven).summary.contains("nothing had"));
}

#[test]
fn oom_kill_is_attributed_to_its_pod() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.oom(main, &[(20, Some(64)), (100, Some(100)), NO_LIMIT]).dies(main, Signal::SIGKILL);
    let path = "/kubepods/burstable/pod5f3c".into();
    scene.facts.memory.push(MemoryCgroup { id: 78, path, ..MemoryCgroup::default() });
    let verdict = scene.expect(Cause::OomKilled, Proven);
    assert_eq!(verdict.details["memory_cgroup_level"], "pod");
    assert!(verdict.summary.contains("100 MiB"), "{}", verdict.summary);
}

#[test]
fn a_full_cgroup_that_is_no_pod_is_a_parent() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.oom(main, &[(20, Some(64)), (100, Some(100)), NO_LIMIT]).dies(main, Signal::SIGKILL);
    assert_eq!(scene.verdict().details["memory_cgroup_level"], "parent");
}

#[test]
fn a_kill_with_no_limit_full_is_the_nodes() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.oom(main, &[(20, Some(64)), NO_LIMIT]).dies(main, Signal::SIGKILL);
    scene.expect(Cause::OomKilledNode, Proven);
}

#[test]
fn oom_of_a_child_whose_status_the_shell_passed_on_is_oom_killed() {
    let (mut scene, shell) = Scene::running("/bin/sh -c server");
    let child = scene.runs(shell, "/app/server");
    scene.oom(child, &[FULL]).dies(child, Signal::SIGKILL).exits(shell, 137);
    let verdict = scene.expect(Cause::OomKilled, Proven);
    assert_eq!(verdict.blamed, scene.id(child));
}

#[test]
fn main_that_gives_up_after_its_worker_was_killed_is_oom_killed_child() {
    let (mut scene, main) = Scene::running("/app/master");
    let worker = scene.forks(main);
    scene.oom(worker, &[FULL]).dies(worker, Signal::SIGKILL);
    scene.after_ms(20).exits(main, 1);
    let verdict = scene.expect(Cause::OomKilledChild, Proven);
    assert_eq!(verdict.blamed, scene.id(worker));
}

#[test]
fn main_that_gives_up_a_while_later_likely_did_so_for_its_worker() {
    let (mut scene, main) = Scene::running("/app/master");
    let worker = scene.forks(main);
    scene.oom(worker, &[FULL]).dies(worker, Signal::SIGKILL);
    scene.after_ms(500).exits(main, 1);
    scene.expect(Cause::OomKilledChild, Likely);
}

#[test]
fn a_killed_worker_that_was_replaced_is_an_incident() {
    let (mut scene, main) = Scene::running("/app/master");
    let worker = scene.forks(main);
    scene.oom(worker, &[FULL]).dies(worker, Signal::SIGKILL);
    scene.after_ms(60_000).says(main, "fatal: licence expired\n").exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    let incidents = scene.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].cause, incidents[0].blamed), (Cause::OomKilled, scene.id(worker)));
}

#[test]
fn a_group_kill_is_one() {
    let (mut scene, main) = Scene::running("/app/master");
    let worker = scene.forks(main);
    for victim in [worker, main] {
        scene.oom_with(victim, &[FULL], |oom| oom.memcgs[0].oom_group = true);
    }
    scene.dies(worker, Signal::SIGKILL).dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::OomKilled, Proven);
    assert_eq!(verdict.details["victims"], 2);
    assert_eq!(verdict.blamed, scene.id(main));
}

#[test]
fn oom_comes_before_the_runtimes_later_kill() {
    let (mut scene, main) = Scene::running("/app/server");
    let runc = scene.outsider("runc");
    scene.oom(main, &[FULL]);
    scene.sends(&runc, main, Signal::SIGKILL, crate::capture::event::Disposition::Default);
    scene.dies(main, Signal::SIGKILL);
    scene.expect(Cause::OomKilled, Proven);
}
