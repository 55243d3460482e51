//! How parents pass blame on.

use crate::{
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::Scene,
    },
    linux::{errno::Errno, signal::Signal},
};

#[test]
fn a_shell_that_ends_with_139_passes_on_its_childs_segfault() {
    let (mut scene, shell) = Scene::running("/bin/sh -c server");
    let child = scene.runs(shell, "/app/server");
    scene.faults(child, Signal::SIGSEGV, 1, Some(0)).dies(child, Signal::SIGSEGV);
    scene.exits(shell, 139);
    let verdict = scene.expect(Cause::Segfault, Proven);
    assert_eq!(verdict.blamed, scene.id(child));
    assert!(verdict.evidence.iter().any(|it| it.text.contains("passed on")));
}

#[test]
fn blame_goes_down_through_two_shells() {
    let (mut scene, outer) = Scene::running("/bin/sh -c start");
    let inner = scene.runs(outer, "/bin/bash /start");
    let server = scene.runs(inner, "/app/server");
    scene.fails_at(server, "openat", "/etc/app.conf", Errno::ENOENT);
    scene.exits(server, 7).exits(inner, 7).exits(outer, 7);
    assert_eq!(scene.expect(Cause::FileNotFound, Likely).blamed, scene.id(server));
}

#[test]
fn a_shell_with_a_status_of_its_own_right_after_its_child_is_not_blamed() {
    let (mut scene, shell) = Scene::running("/bin/sh -c server||exit");
    let child = scene.runs(shell, "/app/server");
    scene.faults(child, Signal::SIGSEGV, 1, Some(0)).dies(child, Signal::SIGSEGV);
    scene.exits(shell, 1);
    let verdict = scene.expect(Cause::Segfault, Likely);
    assert_eq!(verdict.blamed, scene.id(child));
}

#[test]
fn the_failing_side_of_a_pipe_is_blamed() {
    let (mut scene, shell) = Scene::running("/bin/bash -o pipefail -c pipe");
    let server = scene.runs(shell, "/app/server");
    let tee = scene.runs(shell, "/usr/bin/tee log");
    scene.says(server, "no licence\n").exits(server, 4).exits(tee, 0).exits(shell, 4);
    assert_eq!(scene.expect(Cause::ExitedWithError, Proven).blamed, scene.id(server));
}

#[test]
fn a_shells_own_redirection_is_its_own_failure() {
    let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
    let child = scene.runs(shell, "/bin/false");
    scene.exits(child, 1);
    scene.fails_at(shell, "openat", "/ro/file", Errno::EROFS).exits(shell, 1);
    let verdict = scene.expect(Cause::ReadOnlyFilesystem, Likely);
    assert_eq!(verdict.blamed, scene.id(shell));
}

#[test]
fn a_shell_that_ends_well_after_a_crashed_child_mentions_it() {
    let (mut scene, shell) = Scene::running("/bin/sh -c server;true");
    let child = scene.runs(shell, "/app/server");
    scene.faults(child, Signal::SIGSEGV, 1, Some(0)).dies(child, Signal::SIGSEGV);
    scene.exits(shell, 0);
    let verdict = scene.expect(Cause::ExitedByItself, Proven);
    assert!(verdict.summary.contains("server (pid"), "{}", verdict.summary);
    assert_eq!(scene.incidents().len(), 1);
}

#[test]
fn a_runtime_killing_the_child_of_a_shell_is_found_through_the_shell() {
    let (mut scene, shell) = Scene::running("/bin/sh -c server");
    let child = scene.runs(shell, "/app/server");
    let runc = scene.outsider("runc");
    scene.sends(&runc, child, Signal::SIGKILL, crate::capture::event::Disposition::Default);
    scene.dies(child, Signal::SIGKILL).exits(shell, 137);
    assert_eq!(scene.expect(Cause::StoppedByRuntime, Proven).blamed, scene.id(child));
}

#[test]
fn a_silent_supervisor_that_gives_up_tells_of_the_child_that_failed() {
    let (mut scene, shell) = Scene::running("/bin/sh /entry.sh");
    let server = scene.runs(shell, "/app/server");
    scene.says(server, "license expired\n").exits(server, 71);
    let pause = scene.runs(shell, "/bin/sleep 1");
    scene.after_ms(1000).exits(pause, 0).exits(shell, 1);
    let verdict = scene.expect(Cause::ExitedWithError, Proven);
    assert_eq!(verdict.blamed, scene.id(shell));
    assert!(verdict.summary.contains("license expired"), "{}", verdict.summary);
}

#[test]
fn a_parent_that_tells_of_its_childs_status_passes_blame_on() {
    for (parent, status, code, words) in [
        ("/usr/bin/make migrate", 1, 2, "make: *** [Makefile:2: migrate] Error 1\n"),
        (
            "/usr/bin/tar xzf a.tgz",
            1,
            2,
            "tar: Child returned status 1\ntar: Error is not recoverable: exiting now\n",
        ),
        ("/usr/bin/initdb -D data", 134, 1, "child process exited with exit code 134\n"),
        ("/usr/bin/ansible x", 3, 1, "ERROR: command failed: exit status 3\n"),
    ] {
        let (mut scene, main) = Scene::running(parent);
        let child = scene.runs(main, "/usr/bin/python3 app.py");
        scene.fails_at(child, "openat", "/etc/shop.ini", Errno::ENOENT);
        scene.says(child, "cannot open /etc/shop.ini: No such file or directory\n");
        scene.exits(child, status).says(main, words).exits(main, code);
        let verdict = scene.verdict();
        assert_eq!(verdict.cause, Cause::FileNotFound, "{words}");
        assert_eq!(verdict.blamed, scene.id(child));
    }
}

#[test]
fn a_parent_that_tells_of_something_else_is_not_acquitted_by_a_child_that_failed() {
    for words in [
        "error: 1 test failed\n",
        "make: *** No rule to make target 'migrate'.  Stop.\n",
        "make: *** [Makefile:2: migrate] Error 127\n",
        "unknown option in line 1\n",
    ] {
        let (mut scene, main) = Scene::running("/usr/bin/make migrate");
        let child = scene.runs(main, "/usr/bin/python3 app.py");
        scene.fails_at(child, "openat", "/etc/shop.ini", Errno::ENOENT);
        scene.exits(child, 1).says(main, words).exits(main, 2);
        let verdict = scene.verdict();
        assert_eq!(verdict.blamed, scene.id(main), "{words}");
    }
}

#[test]
fn a_script_that_waits_between_its_tries_gave_up_after_what_it_tried() {
    let (mut scene, shell) = Scene::running("/bin/sh /entry.sh");
    for _ in 0..3 {
        let server = scene.runs(shell, "/app/server");
        scene.fails_at(server, "openat", "/etc/shop.ini", Errno::ENOENT).exits(server, 1);
        let pause = scene.runs(shell, "/bin/busybox sleep 1");
        scene.after_ms(200).exits(pause, 0);
    }
    scene.says(shell, "too many restarts\n").exits(shell, 1);
    scene.expect(Cause::FileNotFound, Likely);
}

#[test]
fn subshells_that_could_not_connect_are_why_a_script_gave_up() {
    let tries = |count: usize| {
        let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
        for _ in 0..count {
            let subshell = scene.forks(shell);
            scene.fails_to(subshell, "connect", "127.0.0.1:5432", Errno::ECONNREFUSED);
            scene.exits(subshell, 1);
            let pause = scene.runs(shell, "/bin/sleep 0.3");
            scene.after_ms(300).exits(pause, 0);
        }
        scene.says(shell, "database did not come up, giving up\n").exits(shell, 1);
        scene
    };
    tries(3).expect(Cause::ConnectionRefused, Likely);
    // Once is no habit, and the script said why it ended.
    assert_eq!(tries(1).verdict().cause, Cause::ExitedWithError);
}

#[test]
fn a_fork_that_ends_alike_does_not_take_its_parents_own_failure() {
    let (mut scene, main) = Scene::running("/usr/bin/rsync -a /data/export/ /srv");
    let receiver = scene.forks(main);
    scene.fails_at(main, "chdir", "/data/export", Errno::ENOENT).exits(receiver, 23);
    scene.says(main, "rsync: change_dir \"/data/export\" failed: No such file or directory (2)\n");
    scene.exits(main, 23);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.blamed), (Cause::FileNotFound, scene.id(main)));
}

#[test]
fn a_usage_text_is_a_reason_of_its_own() {
    let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
    let touch = scene.runs(shell, "/usr/bin/touch /proc/shop");
    scene.fails_at(touch, "utimensat", "/proc/shop", Errno::ENOENT);
    scene.says(touch, "touch: cannot touch '/proc/shop': No such file or directory\n");
    scene.exits(touch, 1).says(shell, "usage: entry.sh serve|migrate\n").exits(shell, 64);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.blamed), (Cause::ExitedWithError, scene.id(shell)));
}
