//! Parents and children: supervisors that give up, time limits, daemons, programs that could not be run.

use crate::{
    capture::event::Disposition,
    diagnose::{
        facts::model::{Executable, ExecutableKind, FileState},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::Scene,
        },
    },
    linux::{errno::Errno, signal::Signal},
};

#[test]
fn a_supervisor_whose_child_failed_three_times_passes_its_cause_on() {
    let (mut scene, main) = Scene::running("/usr/bin/supervise /app/server");
    for _ in 0..3 {
        let child = scene.runs(main, "/app/server");
        scene.fails_at(child, "openat", "/etc/app.yaml", Errno::ENOENT).exits(child, 2);
        scene.after_ms(1000);
    }
    scene.says(main, "giving up\n").exits(main, 1);
    let verdict = scene.expect(Cause::FileNotFound, Likely);
    assert!(verdict.summary.contains("/etc/app.yaml"), "{}", verdict.summary);
}

#[test]
fn different_ends_of_helpers_are_not_a_supervisors_reason() {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app.py");
    for code in [1, 0, 1] {
        let child = scene.runs(main, "/usr/bin/git describe");
        scene.exits(child, code);
    }
    scene.after_ms(1500).exits(main, 3);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_time_limit_names_what_it_ended() {
    let (mut scene, main) = Scene::running("/usr/bin/timeout 5 /app/migrate");
    let child = scene.runs(main, "/app/migrate");
    scene.after_ms(5000);
    let limit = scene.of(main).clone();
    scene.sends(&limit, child, Signal::SIGTERM, Disposition::Default);
    scene.dies(child, Signal::SIGTERM).exits(main, 124);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("ended migrate"), "{}", verdict.summary);
    assert!(verdict.summary.contains("after 5.0 s"), "{}", verdict.summary);
}

#[test]
fn status_124_of_the_program_itself_is_no_time_limit() {
    let (mut scene, main) = Scene::running("/usr/bin/timeout 5 /app/migrate");
    let child = scene.runs(main, "/app/migrate");
    scene.exits(child, 124).exits(main, 124);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert_eq!(verdict.blamed, scene.id(child));
}

#[test]
fn a_daemon_went_to_the_background() {
    for twice in [false, true] {
        let (mut scene, main) = Scene::running("/usr/sbin/nginx");
        let first = scene.forks(main);
        let last = if twice { scene.forks(first) } else { first };
        if twice {
            scene.exits(first, 0);
        }
        scene.exits(main, 0).dies(last, Signal::SIGKILL);
        let verdict = scene.expect(Cause::ExitedByItself, Proven);
        assert!(verdict.summary.contains("went to the background"), "{}", verdict.summary);
    }
}

#[test]
fn a_server_whose_children_had_all_ended_did_not_go_to_the_background() {
    let (mut scene, main) = Scene::running("/usr/sbin/nginx");
    let worker = scene.forks(main);
    scene.exits(worker, 0).exits(main, 0);
    let verdict = scene.expect(Cause::ExitedByItself, Proven);
    assert!(!verdict.summary.contains("background"), "{}", verdict.summary);
}

fn file(path: &str, kind: ExecutableKind) -> Executable {
    let file = FileState::Present {
        file_type: "regular".into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        size_bytes: 10,
    };
    Executable { path: path.into(), file, kind, ..Executable::default() }
}

/// A program that runs another by a child, which tells of the error and ends.
fn spawns(errno: Errno, words: &str) -> Scene {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app.py");
    let child = scene.forks(main);
    scene.exec_fails(child, "/app/tool", errno).exits(child, 255);
    if !words.is_empty() {
        scene.says(main, words);
    }
    scene.exits(main, 1);
    scene
}

#[test]
fn a_program_that_a_parent_could_not_run_is_told_by_its_file() {
    let mut scene = spawns(Errno::ENOEXEC, "OSError: [Errno 8] Exec format error: '/app/tool'\n");
    let machine = "aarch64".to_owned();
    let kind =
        ExecutableKind::Elf { machine, native: false, interpreter: None, interpreter_file: None };
    scene.facts.executables.push(file("/app/tool", kind));
    let verdict = scene.expect(Cause::ExecFormatError, Proven);
    assert!(verdict.summary.contains("could not run a program"), "{}", verdict.summary);
    assert!(verdict.summary.contains("aarch64"), "{}", verdict.summary);

    let mut scene = spawns(Errno::ENOENT, "");
    let kind = ExecutableKind::Script {
        interpreter: "/usr/bin/ruby".into(),
        argument: None,
        interpreter_file: FileState::Missing { existing_prefix: "/usr/bin".into() },
    };
    scene.facts.executables.push(file("/app/tool", kind));
    let verdict = scene.expect(Cause::ExecInterpreterMissing, Likely);
    assert!(verdict.summary.contains("/usr/bin/ruby"), "{}", verdict.summary);
}

#[test]
fn a_program_that_was_not_needed_is_no_cause() {
    let scene = spawns(Errno::ENOENT, "no /usr/bin/x here\nlicense expired\n");
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn a_file_with_capabilities_that_the_container_lacks_is_told_so() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/usr/bin/ping", Errno::EPERM).exits(main, 126);
    scene.facts.executables.push(file("/usr/bin/ping", ExecutableKind::Unknown));
    let verdict = scene.expect(Cause::ExecPermissionDenied, Proven);
    assert!(verdict.summary.contains("file capabilities"), "{}", verdict.summary);
    assert!(!verdict.next_step.contains("run as its owner"), "{}", verdict.next_step);
}
