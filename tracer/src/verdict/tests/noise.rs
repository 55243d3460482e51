//! What must not fool a rule: probes, retries, failures that were handled.

use crate::{
    errno::Errno,
    signal::Signal,
    verdict::{Cause, Confidence::Proven, scene::Scene},
};

#[test]
fn forty_probes_before_a_syntax_error_are_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app/main.py");
    for number in 0..40 {
        scene.fails_at(
            main,
            "newfstatat",
            &format!("/usr/lib/python3/m{number}.py"),
            Errno::ENOENT,
        );
    }
    scene.says(main, "  File \"/app/main.py\", line 3\nSyntaxError: invalid syntax\n");
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert!(verdict.summary.contains("SyntaxError: invalid syntax"), "{}", verdict.summary);
}

#[test]
fn a_single_probe_before_a_syntax_error_is_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/node /app/main.js");
    scene.fails_at(main, "openat", "/app/package.json", Errno::ENOENT);
    scene.says(main, "SyntaxError: Unexpected token }\n").exits(main, 1);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn a_bind_that_succeeds_on_retry_is_no_cause() {
    for retry in ["tcp 0.0.0.0:9443", "tcp 0.0.0.0:9444"] {
        let (mut scene, main) = Scene::running("/app/gateway");
        scene.binds(main, "tcp 0.0.0.0:9443", Some(Errno::EADDRINUSE));
        scene.after_ms(20).listens(main, retry).after_ms(20).exits(main, 1);
        scene.expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_bind_that_failed_long_ago_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/gateway");
    scene.binds(main, "tcp 0.0.0.0:9100", Some(Errno::EADDRINUSE));
    scene.after_ms(600_000).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_child_whose_failure_was_handled_is_no_cause() {
    let (mut scene, shell) = Scene::running("/bin/sh /entry.sh");
    let probe = scene.runs(shell, "/bin/cat /etc/optional");
    scene.fails_at(probe, "openat", "/etc/optional", Errno::ENOENT).exits(probe, 1);
    let next = scene.runs(shell, "/bin/mkdir -p /data");
    scene.exits(next, 0).exits(shell, 1);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert_eq!(verdict.blamed, scene.id(shell));
}

#[test]
fn a_helper_that_failed_before_main_became_its_program_is_no_cause() {
    let (mut scene, main) = Scene::running("/bin/sh /entry.sh");
    let helper = scene.runs(main, "/bin/grep x /etc/conf");
    scene.exits(helper, 1).execs(main, "/app/server").exits(main, 1);
    assert_eq!(scene.expect(Cause::ExitedWithError, Proven).blamed, scene.id(main));
}

#[test]
fn a_failure_long_before_the_end_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT);
    scene.fails_to(main, "connect", "10.0.0.1:5432", Errno::ECONNREFUSED);
    scene.after_ms(5000).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_crashed_child_whose_parent_went_on_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    let child = scene.runs(main, "/app/helper");
    scene.faults(child, Signal::SIGSEGV, 1, Some(0)).dies(child, Signal::SIGSEGV);
    scene.after_ms(10_000).says(main, "licence expired\n").exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn status_1_of_a_python_parent_is_not_its_childs() {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app.py");
    let git = scene.runs(main, "/usr/bin/git describe");
    scene.exits(git, 1);
    scene.binds(main, "tcp 0.0.0.0:80", Some(Errno::EACCES)).exits(main, 1);
    let verdict = scene.expect(Cause::BindPermissionDenied, Proven);
    assert_eq!(verdict.blamed, scene.id(main));
}

#[test]
fn calls_that_programs_only_try_are_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/node /app/main.js");
    scene.fails(main, "io_uring_setup", Errno::EPERM);
    scene.fails(main, "inotify_add_watch", Errno::ENOSPC);
    scene.fails_at(main, "openat", "/proc/self/oom_score_adj", Errno::EACCES);
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_forked_child_that_failed_at_once_and_was_handled_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    let child = scene.forks(main);
    scene.fails_at(child, "openat", "/app/licence", Errno::ENOENT).exits(child, 1);
    scene.says(main, "no licence, running without it\nlicence period is over\n").exits(main, 3);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn forty_absent_modules_are_no_missing_library() {
    let (mut scene, main) = Scene::running("/app/interpreter");
    for number in 0..12 {
        scene.fails_at(main, "openat", &format!("/lib/m/module_{number}.so"), Errno::ENOENT);
    }
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}
