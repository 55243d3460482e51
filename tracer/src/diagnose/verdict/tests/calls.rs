//! Failed calls on files, ports and limits.

use crate::{
    capture::event::Status,
    diagnose::{
        facts::model::{FileState, Holder, Mount, PathFact, PidsCgroup, PortFact},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::Scene,
        },
    },
    linux::errno::Errno,
};

const FAILED: Status = Status { code: Some(1), signal: None, core: false };

#[test]
fn a_port_that_is_held_names_its_holder() {
    for (address, protocol) in [("tcp 0.0.0.0:9443", "tcp"), ("udp [::]:9443", "udp6")] {
        let (mut scene, main) = Scene::running("/app/gateway");
        scene.binds(main, address, Some(Errno::EADDRINUSE)).after_ms(300).exits(main, 1);
        scene.facts.ports.push(PortFact {
            protocol: protocol.into(),
            port: 9443,
            net_ns: 2,
            holders: vec![Holder {
                address: "0.0.0.0:9443".into(),
                peer: None,
                pid: Some(7),
                comm: "nginx".into(),
                command: "nginx -g daemon off;".into(),
            }],
        });
        let verdict = scene.expect(Cause::BindAddressInUse, Proven);
        assert!(
            verdict.summary.contains("held by nginx -g daemon off; (pid 7)"),
            "{}",
            verdict.summary
        );
        assert_eq!(
            (&verdict.details["port"], &verdict.details["holder_pid"]),
            (&9443.into(), &7.into())
        );
    }
}

#[test]
fn a_listen_on_a_taken_port_is_in_use_too() {
    let (mut scene, main) = Scene::running("/app/gateway");
    scene.binds(main, "tcp 0.0.0.0:9443", None);
    scene.fails(main, "listen", Errno::EADDRINUSE).exits(main, 1);
    scene.expect(Cause::BindAddressInUse, Likely);
}

#[test]
fn a_privileged_port_names_the_capability() {
    let (mut scene, main) = Scene::running("/app/gateway");
    scene.binds(main, "tcp 0.0.0.0:443", Some(Errno::EACCES)).exits(main, 1);
    let verdict = scene.expect(Cause::BindPermissionDenied, Proven);
    assert_eq!(verdict.details["capability"], "CAP_NET_BIND_SERVICE");
    assert!(verdict.summary.contains("ports below 1024"), "{}", verdict.summary);
}

#[test]
fn an_address_of_no_interface_is_unavailable() {
    let (mut scene, main) = Scene::running("/app/gateway");
    scene.binds(main, "tcp 10.9.9.9:80", Some(Errno::EADDRNOTAVAIL)).exits(main, 1);
    scene.expect(Cause::BindAddressUnavailable, Proven);
}

#[test]
fn a_file_that_the_last_words_name_was_not_found() {
    let server = |wait_ms: u64| {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT).after_ms(wait_ms);
        scene.fails_at(main, "openat", "/etc/app.conf.d", Errno::ENOENT);
        scene.says(main, "cannot open /etc/app.conf: No such file or directory\n");
        scene.exits(main, 1);
        scene
    };
    let verdict = server(400).expect(Cause::FileNotFound, Proven);
    assert_eq!(verdict.details["path"], "/etc/app.conf");
    // What came between is not recorded.
    server(4_000).expect(Cause::FileNotFound, Likely);
}

#[test]
fn a_file_looked_for_right_before_the_end_was_likely_not_found() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "access", "/etc/ld.so.preload", Errno::ENOENT);
    scene.fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT);
    scene.fails_at(main, "openat", "/usr/share/locale/en/LC_MESSAGES/libc.mo", Errno::ENOENT);
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::FileNotFound, Likely);
    assert_eq!(verdict.details["path"], "/etc/app.conf");
}

#[test]
fn the_child_that_failed_to_create_the_file_is_cited() {
    let (mut scene, shell) = Scene::running("/bin/sh /start.sh");
    let openssl = scene.runs(shell, "openssl req -keyout '/tls'/key.pem -out '/tls'/cert.pem");
    scene.fails_at(openssl, "openat", "'/tls'/key.pem", Errno::ENOENT);
    let args = [0, 0, 0o101, 0o666, 0];
    let object =
        crate::capture::event::Object::Path { path: "'/tls'/key.pem".into(), truncated: false };
    scene.call(openssl, "openat", Errno::ENOENT, object, args).exits(openssl, 1);
    scene.execs(shell, "/app/gateway");
    scene.fails_at(shell, "openat", "/tls/cert.pem", Errno::ENOENT).exits(shell, 1);
    let verdict = scene.expect(Cause::FileNotFound, Likely);
    assert_eq!(verdict.blamed, scene.id(shell));
    assert!(verdict.summary.contains("openssl (pid"), "{}", verdict.summary);
    assert!(verdict.summary.contains("should have created it"), "{}", verdict.summary);
}

#[test]
fn a_parent_that_misses_what_its_child_did_not_create_is_blamed_itself() {
    let (mut scene, main) = Scene::running("/app/gateway");
    let openssl = scene.runs(main, "/usr/bin/openssl req -out /tls/cert.pem");
    let object =
        crate::capture::event::Object::Path { path: "/tls/cert.pem".into(), truncated: false };
    scene.call(openssl, "openat", Errno::EACCES, object, [0, 0, 0o101, 0, 0]).exits(openssl, 1);
    scene.fails_at(main, "openat", "/tls/cert.pem", Errno::ENOENT).exits(main, 1);
    let verdict = scene.expect(Cause::FileNotFound, Likely);
    assert_eq!(verdict.blamed, scene.id(main));
    assert!(verdict.summary.contains("openat of /tls/cert.pem gave EACCES"), "{}", verdict.summary);
}

#[test]
fn an_unreadable_key_names_mode_owner_and_user() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/tls/key.pem", Errno::EACCES).exits(main, 1);
    let file = FileState::Present {
        file_type: "regular".into(),
        mode: 0o600,
        uid: 0,
        gid: 0,
        size_bytes: 1,
    };
    let fact = PathFact { path: "/tls/key.pem".into(), file, ..PathFact::default() };
    scene.facts.paths.push(fact);
    let verdict = scene.expect(Cause::PermissionDenied, Likely);
    for part in ["/tls/key.pem", "mode 0600", "owner 0:0", "uid 1000"] {
        assert!(verdict.summary.contains(part), "{part}: {}", verdict.summary);
    }
}

#[test]
fn a_closed_folder_above_the_file_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/root/key", Errno::EACCES).exits(main, 1);
    let parents = vec![("/".into(), 0o755, 0, 0), ("/root".into(), 0o700, 0, 0)];
    let fact = PathFact { path: "/root/key".into(), parents, ..PathFact::default() };
    scene.facts.paths.push(fact);
    assert!(
        scene
            .expect(Cause::PermissionDenied, Likely)
            .summary
            .contains("folder /root has mode 0700")
    );
}

#[test]
fn a_refused_call_tells_capability_from_seccomp() {
    for (capabilities, seccomp, by) in
        [(0, true, "capability"), (u64::MAX, true, "seccomp"), (u64::MAX, false, "unknown")]
    {
        let (mut scene, main) = Scene::running("/app/server");
        scene.of(main).seccomp = seccomp;
        scene.fails(main, "mount", Errno::EPERM);
        scene.ends(main, FAILED, |exit| exit.cap_effective = capabilities);
        let verdict = scene.expect(Cause::PermissionDenied, Likely);
        assert_eq!(verdict.details["refused_by"], by);
    }
}

#[test]
fn a_read_only_mount_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/data/x/db", Errno::EROFS).exits(main, 1);
    for (point, read_only) in [("/", false), ("/data", true), ("/dat", false)] {
        let mount = Mount { mount_point: point.into(), read_only, ..Mount::default() };
        scene.facts.mounts.push(mount);
    }
    let verdict = scene.expect(Cause::ReadOnlyFilesystem, Likely);
    assert_eq!(verdict.details["mount_point"], "/data");
}

#[test]
fn a_full_tmpfs_names_its_size() {
    let (mut scene, main) = Scene::running("/app/server");
    let object =
        crate::capture::event::Object::File { path: "/cache/blob".into(), truncated: false };
    scene.call(main, "write", Errno::ENOSPC, object, [3, 0, 0, 0, 0]).exits(main, 1);
    scene.facts.mounts.push(Mount {
        mount_point: "/cache".into(),
        fs_type: "tmpfs".into(),
        size_bytes: Some(1 << 20),
        ..Mount::default()
    });
    let verdict = scene.expect(Cause::DiskFull, Likely);
    assert!(verdict.summary.contains("/cache (tmpfs, 1 MiB)"), "{}", verdict.summary);
}

#[test]
fn the_limit_of_descriptors_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/dev/null", Errno::EMFILE);
    scene.ends(main, FAILED, |exit| exit.limits.open_files = Some(16));
    assert_eq!(scene.expect(Cause::FdLimit, Likely).details["limit"], 16);
}

#[test]
fn a_refused_fork_names_the_limit_that_refused_it() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "clone3", Errno::EAGAIN);
    scene.ends(main, FAILED, |exit| exit.limits.processes = Some(64));
    scene.facts.machine.threads_max = Some(100_000);
    assert_eq!(scene.expect(Cause::PidLimit, Likely).details["limit_name"], "RLIMIT_NPROC");
    let (max, refused) = (Some(8), Some(1));
    scene.facts.pids.push(PidsCgroup { max, refused, ..PidsCgroup::default() });
    let verdict = scene.expect(Cause::PidLimit, Likely);
    assert!(verdict.summary.contains("its cgroup allows 8"), "{}", verdict.summary);
}

#[test]
fn a_refused_mapping_names_size_and_limit() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.call(
        main,
        "mmap",
        Errno::ENOMEM,
        crate::capture::event::Object::None,
        [0, 1 << 30, 0, 0, 0],
    );
    scene.ends(main, FAILED, |exit| exit.limits.address_space_bytes = Some(200 << 20));
    let verdict = scene.expect(Cause::MemoryAllocationFailed, Likely);
    assert!(verdict.summary.contains("mmap of 1024 MiB"), "{}", verdict.summary);
    assert!(verdict.summary.contains("200 MiB (RLIMIT_AS)"), "{}", verdict.summary);
}

#[test]
fn a_refused_mount_is_about_the_privilege_not_its_path() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "mount", "/mnt", Errno::EPERM).exits(main, 1);
    let verdict = scene.expect(Cause::PermissionDenied, Likely);
    assert_eq!(verdict.details["capability"], "CAP_SYS_ADMIN");
}

#[test]
fn a_call_that_no_table_knows_is_never_blamed() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::ENOMEM, Errno::EACCES] {
        for words in ["", "operation not permitted\n", "cannot start\n"] {
            let (mut scene, main) = Scene::running("/app/server");
            scene.fails(main, crate::linux::syscall::UNKNOWN, errno);
            if !words.is_empty() {
                scene.says(main, words);
            }
            let verdict = scene.exits(main, 1).verdict();
            assert_eq!(verdict.cause, Cause::ExitedWithError, "{errno} {words:?}");
            assert!(!verdict.summary.contains("unknown"), "{}", verdict.summary);
        }
    }
}
