//! How parents pass blame on.

use crate::{
    errno::Errno,
    signal::Signal,
    verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::Scene,
    },
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
    scene.sends(&runc, child, Signal::SIGKILL, crate::event::Disposition::Default);
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
