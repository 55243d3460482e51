//! Refused privileges: which capability a call lacked is told by its arguments, and advised only where it is proven.

use crate::{
    capture::event::{Object, Status},
    diagnose::{
        facts::model::{FileState, Mount, PathFact},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            Verdict,
            scene::Scene,
        },
    },
    linux::errno::Errno,
};

const FAILED: Status = Status { code: Some(1), signal: None, core: false };

/// A refused call of a process without capabilities, after which it ended with these words.
fn refused(call: &'static str, args: [u64; 5], words: &str) -> Verdict {
    let (mut scene, main) = Scene::running("/app/server");
    scene.of(main).uid = 0;
    scene.call(main, call, Errno::EPERM, Object::None, args);
    if !words.is_empty() {
        scene.says(main, words);
    }
    scene.exits(main, 1);
    scene.verdict()
}

#[test]
fn a_capability_is_named_by_the_arguments() {
    for (call, args, capability) in [
        ("socket", [17, 3, 0, 0, 0], "CAP_NET_RAW"),
        ("socket", [2, 3 | 0o2_000_000, 1, 0, 0], "CAP_NET_RAW"),
        ("setsockopt", [5, 0, 19, 0, 4], "CAP_NET_ADMIN"),
        ("unshare", [0x2000_0000, 0, 0, 0, 0], "CAP_SYS_ADMIN"),
        ("mknod", [0, 0o020_666, 0, 0, 0], "CAP_MKNOD"),
        ("ioctl", [5, 0x4004_54ca, 0, 0, 0], "CAP_NET_ADMIN"),
        ("ioctl", [5, 0x890b, 0, 0, 0], "CAP_NET_ADMIN"),
        ("kill", [7, 15, 0, 0, 0], "CAP_KILL"),
    ] {
        let verdict = refused(call, args, "");
        assert_eq!(verdict.details["capability"], capability, "{call}: {}", verdict.summary);
    }
}

#[test]
fn a_call_that_needs_no_capability_is_not_said_to_lack_one() {
    for (call, args) in [
        ("socket", [1, 1, 0, 0, 0]),
        ("socket", [2, 2, 1, 0, 0]),
        ("setsockopt", [5, 1, 20, 0, 16]),
        ("unshare", [0x400, 0, 0, 0, 0]),
        ("unshare", [0x1000_0000 | 0x0002_0000, 0, 0, 0, 0]),
        ("clone", [0x50f00, 0, 0, 0, 0]),
        ("clone3", [0x7f00_0000, 88, 0, 0, 0]),
        ("mknod", [0, 0o010_600, 0, 0, 0]),
    ] {
        let verdict = refused(call, args, "");
        assert!(!verdict.details.contains_key("capability"), "{call}: {}", verdict.summary);
        assert!(!verdict.next_step.contains("CAP_"), "{call}: {}", verdict.next_step);
    }
}

#[test]
fn a_capability_is_advised_only_where_words_name_its_lack() {
    let verdict = refused("chroot", [0; 5], "chroot: Operation not permitted\n");
    assert_eq!(verdict.confidence, Proven, "{}", verdict.summary);
    assert!(verdict.next_step.contains("add SYS_CHROOT"), "{}", verdict.next_step);
    let verdict = refused("chroot", [0; 5], "");
    assert_eq!(verdict.confidence, Likely);
    assert!(!verdict.next_step.contains("add "), "{}", verdict.next_step);
}

#[test]
fn a_container_that_is_not_root_is_told_what_an_added_capability_needs() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "chroot", Errno::EPERM);
    scene.says(main, "chroot: Operation not permitted\n").exits(main, 1);
    let verdict = scene.expect(Cause::PermissionDenied, Proven);
    assert!(verdict.next_step.contains("setcap"), "{}", verdict.next_step);
}

#[test]
fn a_thread_refused_by_an_old_filter_is_told_so() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.of(main).seccomp = true;
    scene.call(main, "clone3", Errno::EPERM, Object::None, [0x7f00_0000, 88, 0, 0, 0]);
    scene.says(main, "pthread_create: Operation not permitted\n").exits(main, 1);
    let verdict = scene.verdict();
    assert!(verdict.summary.contains("glibc 2.34"), "{}", verdict.summary);
    assert_eq!(verdict.details["refused_by"], "seccomp");
}

#[test]
fn root_refused_by_a_filter_is_not_told_to_change_modes() {
    let (mut scene, main) = Scene::running("/app/server");
    (scene.of(main).uid, scene.of(main).seccomp) = (0, true);
    scene.fails_at(main, "statx", "/etc/app.conf", Errno::EPERM);
    scene.ends(main, FAILED, |exit| exit.cap_effective = u64::MAX);
    let verdict = scene.verdict();
    assert_eq!(verdict.details["refused_by"], "seccomp", "{}", verdict.summary);
    assert!(!verdict.next_step.contains("uid 0"), "{}", verdict.next_step);
}

#[test]
fn a_file_that_root_may_not_read_is_no_matter_of_modes() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.of(main).uid = 0;
    scene.fails_at(main, "openat", "/data/key", Errno::EACCES);
    scene.ends(main, FAILED, |exit| exit.cap_effective = u64::MAX);
    let file = FileState::Present {
        file_type: "regular".into(),
        mode: 0o600,
        uid: 1000,
        gid: 1000,
        size_bytes: 1,
    };
    scene.facts.paths.push(PathFact { path: "/data/key".into(), file, ..PathFact::default() });
    let verdict = scene.expect(Cause::PermissionDenied, Likely);
    assert!(verdict.next_step.contains("audit log"), "{}", verdict.next_step);
    let (mount_point, fs_type) = ("/data".into(), "nfs4".into());
    scene.facts.mounts.push(Mount { mount_point, fs_type, ..Mount::default() });
    let verdict = scene.expect(Cause::PermissionDenied, Likely);
    assert!(verdict.next_step.contains("root_squash"), "{}", verdict.next_step);
}

#[test]
fn a_change_of_owner_that_a_server_refuses_is_no_matter_of_capabilities() {
    let (mut scene, main) = Scene::running("/bin/chown -R 1000 /data");
    scene.of(main).uid = 0;
    scene.fails_at(main, "fchownat", "/data", Errno::EPERM);
    scene.ends(main, FAILED, |exit| exit.cap_effective = 1);
    let (mount_point, fs_type) = ("/data".into(), "nfs4".into());
    scene.facts.mounts.push(Mount { mount_point, fs_type, ..Mount::default() });
    let verdict = scene.expect(Cause::PermissionDenied, Likely);
    assert_eq!(verdict.details["refused_by"], "server", "{}", verdict.summary);
    scene.facts.mounts.clear();
    scene.events.pop();
    scene.exits(main, 1);
    assert_eq!(scene.verdict().details["capability"], "CAP_CHOWN");
}

#[test]
fn a_refused_packet_is_no_matter_of_profiles() {
    for (call, errno) in [("connect", Errno::EACCES), ("sendto", Errno::EPERM)] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.of(main).seccomp = true;
        scene.fails_to(main, call, "10.0.0.1:5432", errno).exits(main, 1);
        let verdict = scene.expect(Cause::PermissionDenied, Likely);
        assert_eq!(verdict.details["refused_by"], "network", "{}", verdict.summary);
    }
}

#[test]
fn memory_that_may_not_be_locked_is_a_limit() {
    let verdict = refused("mlockall", [3, 0, 0, 0, 0], "mlockall: Operation not permitted\n");
    assert_eq!(verdict.details["refused_by"], "limit", "{}", verdict.summary);
    assert!(!verdict.next_step.contains("IPC_LOCK"), "{}", verdict.next_step);
}

#[test]
fn a_hard_limit_that_may_not_be_raised_is_no_matter_of_capabilities() {
    let words = "bash: ulimit: open files: cannot modify limit: Operation not permitted\n";
    let verdict = refused("prlimit64", [0, 7, 0x7ffc, 0, 0], words);
    assert!(verdict.summary.contains("hard limit RLIMIT_NOFILE"), "{}", verdict.summary);
    assert!(!verdict.next_step.contains("SYS_RESOURCE"), "{}", verdict.next_step);
}

#[test]
fn what_the_kernel_lacks_is_not_provided_by_an_image() {
    for (path, advice) in [
        ("/proc/sys/net/core/nothing", "has no net.core.nothing"),
        ("/dev/ttyUSB0", "Give the container the device"),
        ("/sys/class/gpio/export", "the kernel's own"),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", path, Errno::ENOENT);
        scene.says(main, &format!("cannot open {path}: No such file or directory\n"));
        scene.exits(main, 1);
        let verdict = scene.verdict();
        assert_eq!(verdict.cause, Cause::FileNotFound, "{}", verdict.summary);
        assert!(verdict.next_step.contains(advice), "{}", verdict.next_step);
    }
}

#[test]
fn a_kernel_setting_that_cannot_be_written_is_set_by_the_pod() {
    let (mut scene, main) = Scene::running("/sbin/sysctl -w net.core.somaxconn=4096");
    scene.fails_at(main, "openat", "/proc/sys/net/core/somaxconn", Errno::EROFS);
    scene.says(main, "sysctl: setting key \"net.core.somaxconn\": Read-only file system\n");
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::ReadOnlyFilesystem, Proven);
    assert!(verdict.next_step.contains("set net.core.somaxconn by"), "{}", verdict.next_step);
}
