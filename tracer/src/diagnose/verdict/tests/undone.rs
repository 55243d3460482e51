//! Failures that the process made good, or after which it did its work: they are not why it ended.

use crate::{
    capture::event::Status,
    diagnose::verdict::{
        Cause,
        Confidence::{self, Likely},
        scene::Scene,
    },
    linux::errno::Errno,
};

fn cause(scene: &Scene) -> (Cause, Confidence) {
    let verdict = scene.verdict();
    (verdict.cause, verdict.confidence)
}

#[test]
fn a_file_that_was_found_elsewhere_is_not_missing() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/etc/app/app.conf", Errno::ENOENT).exits(main, 1);
    assert_eq!(cause(&scene).0, Cause::FileNotFound, "of a silent program it is the likely reason");
    scene.later(|after| after.made_good = true);
    assert_eq!(cause(&scene).0, Cause::ExitedWithError);
}

#[test]
fn a_file_that_could_only_be_read_is_not_why_it_ended() {
    let (mut scene, main) = Scene::running("/app/server");
    scene
        .fails_at(main, "openat", "/var/lib/app/state.db", Errno::EACCES)
        .later(|after| after.made_good = true)
        .exits(main, 1);
    assert_eq!(cause(&scene).0, Cause::ExitedWithError);
}

#[test]
fn words_that_complain_of_it_all_the_same_are_believed_but_no_proof() {
    let (mut scene, main) = Scene::running("/app/server");
    scene
        .fails_at(main, "openat", "/var/lib/app/state.db", Errno::EACCES)
        .later(|after| after.made_good = true)
        .says(main, "cannot write /var/lib/app/state.db: permission denied\n")
        .exits(main, 1);
    assert_eq!(cause(&scene), (Cause::PermissionDenied, Likely));
}

#[test]
fn a_peer_that_was_reached_in_the_end_is_not_refused() {
    for reached in [true, false] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_to(main, "connect", "10.0.0.7:5432", Errno::ECONNREFUSED);
        scene.later(|after| after.made_good = reached).exits(main, 1);
        let wanted = if reached { Cause::ExitedWithError } else { Cause::ConnectionRefused };
        assert_eq!(cause(&scene).0, wanted);
    }
}

#[test]
fn localhost_that_answers_by_its_other_address_is_not_refused() {
    let (mut scene, main) = Scene::running("/app/server");
    scene
        .fails_to(main, "connect", "[::1]:5432", Errno::ECONNREFUSED)
        .later(|after| after.same_port_reached = true)
        .exits(main, 1);
    assert_eq!(cause(&scene).0, Cause::ExitedWithError);
}

#[test]
fn a_cache_that_is_away_is_no_cause_where_the_database_was_reached_after_it() {
    let (mut scene, main) = Scene::running("/app/server");
    scene
        .fails_to(main, "connect", "10.0.0.8:6379", Errno::ECONNREFUSED)
        .later(|after| after.connected = Some(1))
        .exits(main, 1);
    assert_eq!(cause(&scene).0, Cause::ExitedWithError);
}

#[test]
fn work_after_a_refusal_acquits_it_and_a_few_opens_do_not() {
    for (opened, wanted) in [(200, Cause::ExitedWithError), (3, Cause::ReadOnlyFilesystem)] {
        let (mut scene, main) = Scene::running("/app/server");
        scene
            .fails_at(main, "openat", "/app/state/lease", Errno::EROFS)
            .later(|after| after.opened = Some(opened))
            .exits(main, 1);
        assert_eq!(cause(&scene).0, wanted, "{opened} opens");
    }
}

#[test]
fn a_library_of_another_folder_is_not_missing() {
    for found in [true, false] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/app/lib/libpq.so.5", Errno::ENOENT);
        scene.later(|after| after.made_good = found).exits(main, 127);
        let wanted = if found { Cause::ExitedWithError } else { Cause::SharedLibraryMissing };
        assert_eq!(cause(&scene).0, wanted);
    }
}

#[test]
fn a_folder_that_was_refused_is_why_it_is_missed() {
    for (refused, missed, cause, errno) in [
        ("/data/uploads", "/data/uploads", Cause::ReadOnlyFilesystem, Errno::EROFS),
        ("/data/a", "/data/a/b/c", Cause::PermissionDenied, Errno::EACCES),
        ("/data/cache", "/data/cache/x.db", Cause::DiskFull, Errno::ENOSPC),
    ] {
        let (mut scene, main) = Scene::running("/usr/bin/node app.js");
        scene.fails_at(main, "mkdir", refused, errno);
        scene.fails_at(main, "statx", missed, Errno::ENOENT);
        let words = format!("Error: ENOENT: no such file or directory, mkdir '{missed}'\n");
        scene.says(main, &words).exits(main, 1);
        assert_eq!(scene.verdict().cause, cause, "{missed}");
    }
    // Another folder was refused.
    let (mut scene, main) = Scene::running("/usr/bin/node app.js");
    scene.fails_at(main, "mkdir", "/data/up", Errno::EROFS);
    scene.fails_at(main, "statx", "/data/uploads", Errno::ENOENT);
    scene.says(main, "Error: ENOENT: no such file or directory, open '/data/uploads'\n");
    assert_eq!(scene.exits(main, 1).verdict().cause, Cause::FileNotFound);
}

#[test]
fn a_taken_port_is_proven_only_where_all_that_was_said_is_known() {
    // What it says, what it wrote, what follows of it.
    let cases = [
        ("", Some([0, 0]), Confidence::Proven),
        ("listen EADDRINUSE: address already in use\n", Some([0, 42]), Confidence::Proven),
        // Without output capture it may have gone on without its metrics, and said what else was missing.
        ("", Some([0, 42]), Likely),
        ("", Some([7, 0]), Likely),
        ("", None, Likely),
    ];
    for (words, written, confidence) in cases {
        let (mut scene, main) = Scene::running("/app/server");
        scene.binds(main, "tcp 0.0.0.0:9100", Some(Errno::EADDRINUSE));
        if !words.is_empty() {
            scene.says(main, words);
        }
        let status = Status { code: Some(1), signal: None, core: false };
        scene.ends(main, status, |exit| exit.written = written);
        assert_eq!(cause(&scene), (Cause::BindAddressInUse, confidence), "{words:?} {written:?}");
    }
}
