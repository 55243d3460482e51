//! Files that are there but cannot be used, locks, limits, calls that are not there; and the same errors where programs live
//! with them.

use crate::{
    capture::event::Object,
    diagnose::{
        facts::model::{LockFact, LockHolder, Mount, WatchFact, WatchHolder},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::{Scene, Who},
        },
    },
    linux::{errno::Errno, signal::Signal},
};

const O_CREAT_EXCL: u64 = 0o301;

fn at(scene: &mut Scene, who: Who, call: &'static str, path: &str, errno: Errno, flags: u64) {
    let object = Object::Path { path: path.into(), truncated: false };
    scene.call(who, call, errno, object, [0, 0, flags, 0, 0]);
}

/// On a descriptor, whose file the recorder named.
fn on(scene: &mut Scene, who: Who, call: &'static str, path: &str, errno: Errno, second: u64) {
    let object = Object::File { path: path.into(), truncated: false };
    scene.call(who, call, errno, object, [3, second, 0, 0, 0]);
}

#[test]
fn a_folder_where_a_file_is_needed_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    on(&mut scene, main, "read", "/etc/app/config.yaml", Errno::EISDIR, 0);
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::IsADirectory, Likely);
    assert!(verdict.next_step.contains("subPath"), "{}", verdict.next_step);
    // Python looks for itself, so that no call fails.
    let (mut scene, main) = Scene::running("/usr/bin/python3 app.py");
    let line = "IsADirectoryError: [Errno 21] Is a directory: '/etc/app/Config.yaml'";
    scene.says(main, &format!("Traceback (most recent call last):\n{line}\n")).exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.confidence), (Cause::IsADirectory, Likely));
    assert_eq!(verdict.details["path"], "/etc/app/Config.yaml");
}

#[test]
fn a_folder_that_was_not_to_be_a_file_is_no_reason() {
    let (mut scene, main) = Scene::running("/bin/cleaner");
    scene.fails_at(main, "unlinkat", "/cache/a", Errno::EISDIR).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    let (mut scene, main) = Scene::running("/bin/cleaner");
    scene.fails_at(main, "openat", "/cache/a", Errno::EISDIR);
    scene.says(main, "fatal: no licence\n").exits(main, 1);
    scene.expect_by_words();
}

#[test]
fn a_lock_that_somebody_holds_names_who() {
    let (mut scene, main) = Scene::running("/app/db");
    on(&mut scene, main, "flock", "/data/db.lock", Errno::EAGAIN, 6);
    scene.facts.locks.push(LockFact {
        path: "/data/db.lock".into(),
        holders: vec![LockHolder { pid: Some(7), comm: "db".into(), command: "/app/db".into() }],
    });
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::LockHeld, Likely);
    assert!(verdict.summary.contains("held by /app/db (pid 7)"), "{}", verdict.summary);
}

#[test]
fn a_pid_file_of_an_earlier_life_is_a_lock() {
    let (mut scene, main) = Scene::running("/app/db");
    at(&mut scene, main, "openat", "/data/app.pid", Errno::EEXIST, O_CREAT_EXCL);
    scene.says(main, "pid file /data/app.pid exists: File exists\n").exits(main, 1);
    scene.expect(Cause::LockHeld, Proven);
}

#[test]
fn locks_that_were_tried_again_and_names_that_were_taken_are_no_reason() {
    let (mut scene, main) = Scene::running("/app/db");
    on(&mut scene, main, "fcntl", "/data/db", Errno::EAGAIN, 6);
    scene.after_ms(20).fails_at(main, "openat", "/etc/app.conf", Errno::EACCES).exits(main, 1);
    scene.expect(Cause::PermissionDenied, Likely);
    // mkdir -p, and a free name for a temporary file.
    let (mut scene, main) = Scene::running("/app/db");
    scene.fails_at(main, "mkdir", "/var/lock", Errno::EEXIST);
    at(&mut scene, main, "openat", "/tmp/tmp1", Errno::EEXIST, O_CREAT_EXCL);
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    // Not a lock's errno: a read that would wait.
    let (mut scene, main) = Scene::running("/app/db");
    scene.fails(main, "read", Errno::EAGAIN).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_mounted_file_cannot_be_replaced() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "rename", "/etc/app/conf.tmp", Errno::EBUSY);
    scene.says(main, "rename /etc/app/conf.tmp /etc/app/conf: Device or resource busy\n");
    for mount_point in ["/", "/etc/hosts", "/etc/app/conf"] {
        scene.facts.mounts.push(Mount { mount_point: mount_point.into(), ..Mount::default() });
    }
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::MountPointBusy, Proven);
    assert_eq!(verdict.details["mount_point"], "/etc/app/conf");
    let mut unknown = scene.clone();
    unknown.facts.mounts.clear();
    unknown.expect(Cause::MountPointBusy, Likely);
}

#[test]
fn busy_devices_are_no_mount_points() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/data/x", Errno::EBUSY).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_program_that_is_written_cannot_be_executed() {
    let (mut scene, shell) = Scene::running("/bin/sh /run.sh");
    let child = scene.forks(shell);
    scene.exec_fails(child, "/app/tool", Errno::ETXTBSY).exits(child, 126);
    scene.says(shell, "/run.sh: 1: /app/tool: Text file busy\n").exits(shell, 126);
    scene.expect(Cause::TextFileBusy, Proven);
}

#[test]
fn arguments_that_are_too_long_stop_an_exec() {
    let (mut scene, shell) = Scene::running("/bin/sh /run.sh");
    let child = scene.forks(shell);
    scene.exec_fails(child, "/bin/echo", Errno::E2BIG).exits(child, 126);
    scene.says(shell, "/run.sh: 1: echo: Argument list too long\n").exits(shell, 126);
    let verdict = scene.expect(Cause::ArgumentsTooLong, Proven);
    assert!(verdict.next_step.contains("enableServiceLinks"), "{}", verdict.next_step);
    let mut init = Scene::new();
    let main = init.init();
    init.exec_fails(main, "/app/server", Errno::E2BIG).exits(main, 1);
    init.expect(Cause::ArgumentsTooLong, Proven);
}

#[test]
fn a_struct_that_is_too_big_for_the_kernel_is_no_long_argument() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "sched_setattr", Errno::E2BIG).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_rename_to_another_volume_fails_unless_it_was_copied_instead() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "rename", "/tmp/upload", Errno::EXDEV);
    let mut copied = scene.clone();
    scene.says(main, "rename /tmp/upload: Invalid cross-device link\n").exits(main, 1);
    scene.expect(Cause::CrossDevice, Proven);
    copied.fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT).exits(main, 1);
    copied.expect(Cause::FileNotFound, Likely);
}

#[test]
fn paths_that_the_kernel_cannot_follow() {
    for errno in [Errno::ENAMETOOLONG, Errno::ELOOP] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/data/link", errno).exits(main, 1);
        scene.expect(Cause::PathInvalid, Likely);
    }
    let (mut scene, main) = Scene::running("/app/server");
    let path = format!("unix /run/{}.sock", "x".repeat(120));
    scene.binds(main, &path, Some(Errno::EINVAL)).exits(main, 1);
    scene.expect(Cause::PathInvalid, Proven);
}

#[test]
fn a_link_that_was_not_to_be_followed_is_an_answer() {
    let (mut scene, main) = Scene::running("/app/server");
    at(&mut scene, main, "openat", "/data/link", Errno::ELOOP, 0o400_000);
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_volume_that_fails_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/data/db", Errno::ESTALE);
    scene.facts.mounts.push(Mount {
        mount_point: "/data".into(),
        fs_type: "nfs4".into(),
        source: "nas:/export".into(),
        ..Mount::default()
    });
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::VolumeFailed, Likely);
    assert!(verdict.summary.contains("/data (nfs4 of nas:/export)"), "{}", verdict.summary);
}

#[test]
fn sockets_and_terminals_are_no_volumes() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "getpeername", Errno::ENOTCONN).fails(main, "shutdown", Errno::ENOTCONN);
    on(&mut scene, main, "read", "/dev/pts/0", Errno::EIO, 0);
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_user_without_watches_is_told_who_has_them() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "inotify_init1", Errno::EMFILE);
    scene.facts.watches = Some(WatchFact {
        uid: 1000,
        instances: 128,
        watches: 300,
        max_instances: Some(128),
        max_watches: Some(8192),
        complete: true,
        holders: vec![WatchHolder { pid: 9, comm: "node".into(), instances: 100, watches: 1 }],
    });
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::WatchLimit, Likely);
    assert_eq!(verdict.details["limit_name"], "fs.inotify.max_user_instances");
    assert!(verdict.summary.contains("node (pid 9) has 100"), "{}", verdict.summary);
}

#[test]
fn a_program_that_does_without_watches_does_not_end_of_it() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "inotify_add_watch", "/etc/app", Errno::ENOSPC);
    scene.says(main, "fatal: no licence\n").exits(main, 1);
    scene.expect_by_words();
}

#[test]
fn a_file_that_may_not_grow_ends_by_error_or_signal() {
    let (mut scene, main) = Scene::running("/app/server");
    on(&mut scene, main, "write", "/data/log", Errno::EFBIG, 0);
    scene.exits(main, 1);
    scene.expect(Cause::FileSizeLimit, Likely);
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults(main, Signal::SIGXFSZ, 128, None).dies(main, Signal::SIGXFSZ);
    scene.expect(Cause::FileSizeLimit, Proven);
}

#[test]
fn a_reader_that_went_away_ends_its_writer() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.call(main, "write", Errno::EPIPE, Object::None, [1, 0, 0, 0, 0]);
    let mut ignored = scene.clone();
    scene.faults(main, Signal::SIGPIPE, 128, None).dies(main, Signal::SIGPIPE);
    let verdict = scene.expect(Cause::BrokenPipe, Proven);
    assert!(verdict.summary.contains("stdout"), "{}", verdict.summary);
    ignored.exits(main, 1);
    ignored.expect(Cause::BrokenPipe, Likely);
    let (mut scene, main) = Scene::running("/app/server");
    let other = scene.outsider("bash");
    scene.sends(&other, main, Signal::SIGPIPE, crate::capture::event::Disposition::Default);
    scene.dies(main, Signal::SIGPIPE);
    scene.expect(Cause::KilledBySignal, Proven);
}

#[test]
fn a_call_that_is_not_there_is_named_unless_it_is_one_that_everybody_tries() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "bpf", Errno::ENOSYS).exits(main, 1);
    let verdict = scene.expect(Cause::CallUnsupported, Likely);
    assert_eq!(verdict.details["syscall"], "bpf");
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "rseq", Errno::ENOSYS).fails(main, "clone3", Errno::ENOSYS).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "bpf", Errno::ENOSYS).binds(main, "tcp 0.0.0.0:80", None).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}
