//! Failed calls that acquit themselves: by their arguments, or by what the process did afterwards.

use crate::{
    capture::event::{Object, Stream, What},
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::{Scene, Who},
    },
    linux::errno::Errno,
};

type Call = (&'static str, Errno, Option<&'static str>, [u64; 5]);

/// Calls that programs make and do without.
const ATTEMPTS: [Call; 18] = [
    ("kill", Errno::EPERM, None, [1, 0, 0, 0, 0]),
    ("tgkill", Errno::EPERM, None, [1, 1, 0, 0, 0]),
    ("mmap", Errno::ENOMEM, None, [0, 1 << 30, 3, 0x4_0022, u64::MAX]),
    ("shmget", Errno::ENOMEM, None, [0, 1 << 21, 0o4000 | 0o1600, 0, 0]),
    ("shmget", Errno::EPERM, None, [0, 1 << 21, 0o4000 | 0o1600, 0, 0]),
    ("setsockopt", Errno::EPERM, None, [5, 1, 33, 0, 4]),
    ("setsockopt", Errno::EPERM, None, [5, 1, 32, 0, 4]),
    ("setsockopt", Errno::EPERM, None, [5, 1, 36, 0, 4]),
    ("prlimit64", Errno::EPERM, None, [0, 7, 0x7fff, 0, 0]),
    ("setrlimit", Errno::EPERM, None, [7, 0x7fff, 0, 0, 0]),
    ("openat", Errno::EPERM, Some("/data/big.db"), [u64::MAX, 0, 0o1_000_000, 0, 0]),
    ("openat", Errno::ENOTDIR, Some("/app/conf"), [u64::MAX, 0, 0o200_000, 0, 0]),
    ("mkdir", Errno::EROFS, Some("/app/pkg/__pycache__"), [0; 5]),
    ("openat", Errno::EACCES, Some("/app/__pycache__/m.cpython-311.pyc.1234"), [0, 0, 0o101, 0, 0]),
    ("openat", Errno::ENOSPC, Some("/home/app/.cache/pip/x"), [0, 0, 0o101, 0, 0]),
    ("mkdir", Errno::EROFS, Some("/tmp/hsperfdata_app"), [0; 5]),
    ("openat", Errno::EROFS, Some("/home/app/.python_history"), [0, 0, 0o101, 0, 0]),
    ("openat", Errno::EACCES, Some("/root/.bashrc"), [0; 5]),
];

fn make(scene: &mut Scene, who: Who, (call, errno, path, args): Call) {
    let object = path.map_or(Object::None, |it| Object::Path { path: it.into(), truncated: false });
    scene.call(who, call, errno, object, args);
}

#[test]
fn what_a_program_only_tried_is_no_cause_of_a_silent_end() {
    for attempt in ATTEMPTS {
        let (mut scene, main) = Scene::running("/app/server");
        make(&mut scene, main, attempt);
        scene.exits(main, 3);
        let verdict = scene.verdict();
        assert_eq!(verdict.cause, Cause::ExitedWithError, "{attempt:?}: {}", verdict.summary);
        assert!(!verdict.next_step.contains("CAP_"), "{attempt:?}: {}", verdict.next_step);
    }
}

#[test]
fn the_same_calls_with_other_arguments_are_needs() {
    for (need, cause) in [
        (("kill", Errno::EPERM, None, [1, 15, 0, 0, 0]), Cause::PermissionDenied),
        (("mmap", Errno::ENOMEM, None, [0, 1 << 30, 3, 0x22, 0]), Cause::MemoryAllocationFailed),
        (("setsockopt", Errno::EPERM, None, [5, 0, 19, 0, 4]), Cause::PermissionDenied),
        (("openat", Errno::EPERM, Some("/data/big.db"), [0; 5]), Cause::PermissionDenied),
        (("openat", Errno::ENOTDIR, Some("/app/conf/x"), [0; 5]), Cause::FileNotFound),
        (("mkdir", Errno::EROFS, Some("/var/cache/nginx/body"), [0; 5]), Cause::ReadOnlyFilesystem),
        (("openat", Errno::EACCES, Some("/app/config.yaml"), [0; 5]), Cause::PermissionDenied),
        (("openat", Errno::ENOSPC, Some("/data/wal"), [0, 0, 0o101, 0, 0]), Cause::DiskFull),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        make(&mut scene, main, need);
        scene.exits(main, 3);
        scene.expect(cause, Likely);
    }
}

#[test]
fn words_that_name_an_attempt_make_it_a_cause() {
    for (attempt, words, cause) in [
        (
            ("mkdir", Errno::EROFS, Some("/app/.npm/_cacache"), [0; 5]),
            "npm error EROFS: read-only file system, mkdir '/app/.npm/_cacache'\n",
            Cause::ReadOnlyFilesystem,
        ),
        (
            ("mlockall", Errno::EPERM, None, [3, 0, 0, 0, 0]),
            "fatal: cannot lock memory: Operation not permitted\n",
            Cause::PermissionDenied,
        ),
        (
            ("openat", Errno::ENOENT, Some("/dev/ttyUSB0"), [0; 5]),
            "could not open port /dev/ttyUSB0: No such file or directory\n",
            Cause::FileNotFound,
        ),
        (
            ("io_uring_setup", Errno::EPERM, None, [32, 0, 0, 0, 0]),
            "io_uring_setup failed: Operation not permitted\n",
            Cause::PermissionDenied,
        ),
        (
            ("prlimit64", Errno::EPERM, None, [0, 7, 0x7fff, 0, 0]),
            "ulimit: open files: cannot modify limit: Operation not permitted\n",
            Cause::PermissionDenied,
        ),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        make(&mut scene, main, attempt);
        scene.says(main, words).exits(main, 3);
        let verdict = scene.verdict();
        assert_eq!((verdict.cause, verdict.confidence), (cause, Proven), "{}", verdict.summary);
    }
}

#[test]
fn words_about_something_else_do_not_mean_an_attempt() {
    let (mut scene, main) = Scene::running("/app/server");
    make(&mut scene, main, ("setsockopt", Errno::EPERM, None, [5, 1, 33, 0, 4]));
    scene.says(main, "chown /data: Operation not permitted\n").exits(main, 3);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn to_ask_whether_a_process_is_there_is_never_a_cause() {
    let (mut scene, main) = Scene::running("/bin/sh /check.sh");
    make(&mut scene, main, ("kill", Errno::EPERM, None, [1, 0, 0, 0, 0]));
    scene.says(main, "sh: 1: kill: Operation not permitted\n").exits(main, 4);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn probes_that_were_overwritten_do_not_make_a_refusal_doubtful_but_refusals_do() {
    for (others, confidence) in [(Errno::ENOENT, Proven), (Errno::EACCES, Likely)] {
        let (mut scene, main) = Scene::running("/usr/bin/python3 /app.py");
        for number in 0..12 {
            let object =
                Object::Path { path: format!("/probe/{number}").as_str().into(), truncated: false };
            let idle = if others == Errno::EACCES { "readlink" } else { "openat" };
            scene.call(main, idle, others, object, [0; 5]);
        }
        scene.fails_at(main, "mkdir", "/data/state", Errno::EACCES);
        scene.add(main, What::CallsForgotten(300));
        scene.says(main, "start failed: permission denied\n").exits(main, 1);
        let verdict = scene.expect(Cause::PermissionDenied, confidence);
        assert_eq!(verdict.details["path"], "/data/state");
    }
}

#[test]
fn a_refusal_after_which_the_process_served_is_no_cause() {
    for (call, errno) in
        [("chown", Errno::EPERM), ("mkdir", Errno::EROFS), ("openat", Errno::EMFILE)]
    {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, call, "/data/x", errno).listens(main, "tcp 0.0.0.0:8080");
        scene.exits(main, 1);
        scene.expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_refusal_after_which_a_program_was_run_is_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/supervisor");
    scene.fails_at(main, "chown", "/data/x", Errno::EPERM);
    let child = scene.runs(main, "/app/server");
    scene.after_ms(20).exits(child, 0).exits(main, 3);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_taken_port_for_which_the_process_had_others_is_no_cause_of_a_later_end() {
    // Metrics refused with a warning, the service itself up before or after.
    for service_first in [true, false] {
        let (mut scene, main) = Scene::running("/app/server");
        if service_first {
            scene.listens(main, "tcp 0.0.0.0:8080");
        }
        scene.binds(main, "tcp 0.0.0.0:9100", Some(Errno::EADDRINUSE));
        if !service_first {
            scene.binds(main, "udp 0.0.0.0:9443", None);
        }
        scene.after_ms(9000).exits(main, 1);
        scene.expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_second_port_whose_refusal_ends_the_process_at_once_is_likely_the_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.listens(main, "tcp 0.0.0.0:8080");
    scene.binds(main, "tcp 0.0.0.0:8443", Some(Errno::EADDRINUSE)).exits(main, 1);
    scene.expect(Cause::BindAddressInUse, Likely);
}

#[test]
fn the_other_family_did_where_one_is_off() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp [::1]:8080", Some(Errno::EADDRNOTAVAIL));
    scene.listens(main, "tcp 127.0.0.1:8080").after_ms(20).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_taken_port_long_before_words_about_something_else_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp 0.0.0.0:9100", Some(Errno::EADDRINUSE)).after_ms(9000);
    scene.says(main, "license expired\n").exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::ExitedWithError, "{}", verdict.summary);
}

#[test]
fn a_refusal_is_as_near_to_the_end_as_the_process_is_slow() {
    // On a busy node everything took twenty times as long.
    for slowness in [1, 20] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.after_ms(30 * slowness).fails_at(main, "mkdir", "/data/x", Errno::EROFS);
        scene.after_ms(10 * slowness).exits(main, 1);
        scene.expect(Cause::ReadOnlyFilesystem, Likely);
    }
    let (mut scene, main) = Scene::running("/app/server");
    scene.after_ms(30).fails_at(main, "mkdir", "/data/x", Errno::EROFS);
    scene.after_ms(1500).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn nothing_is_proven_where_records_were_lost_or_never_made() {
    let scene = |lost: bool| {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT);
        scene.says(main, "cannot open /etc/app.conf: No such file or directory\n").exits(main, 1);
        match lost {
            true => scene.add(
                main,
                What::Lost(crate::capture::event::Lost {
                    of: crate::capture::event::LostKind::Bind,
                    count: 1,
                }),
            ),
            false => {
                if let Some(What::Exit(exit)) = scene.events.last_mut().map(|it| &mut it.what) {
                    exit.recorded = false;
                }
                &mut scene
            }
        };
        scene
    };
    for lost in [true, false] {
        scene(lost).expect(Cause::FileNotFound, Likely);
    }
}

#[test]
fn the_bare_text_of_an_error_does_not_tell_two_refusals_apart() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/data/a", Errno::EACCES);
    scene.fails_at(main, "openat", "/data/b", Errno::EACCES);
    scene.says(main, "start failed: permission denied\n").exits(main, 1);
    scene.expect(Cause::PermissionDenied, Likely);
}

#[test]
fn a_usage_text_alone_acquits_what_was_tried_before() {
    for (call, path, errno) in [
        ("chown", "/etc/hostname", Errno::EPERM),
        ("openat", "/var/log/app.log", Errno::EROFS),
        ("openat", "/etc/app.conf", Errno::ENOENT),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, call, path, errno);
        scene.says(main, "usage: server --role web|worker\n").exits(main, 2);
        assert_eq!(scene.verdict().cause, Cause::ExitedWithError, "{call}");
    }
    // Beside a reason a usage text changes nothing.
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/etc/app.conf", Errno::EACCES);
    scene.says(main, "cannot open /etc/app.conf: Permission denied\nusage: server FILE\n");
    assert_eq!(scene.exits(main, 2).verdict().cause, Cause::PermissionDenied);
}

#[test]
fn a_library_that_was_said_to_be_done_without_is_no_reason() {
    let missing = |words: &str| {
        let (mut scene, main) = Scene::running("/usr/bin/python3 app.py");
        for folder in ["/lib/x86_64-linux-gnu", "/usr/lib"] {
            let path = format!("{folder}/libnccl.so.2");
            scene.fails_at(main, "openat", &path, Errno::ENOENT);
        }
        scene.says(main, words).exits(main, 1);
        scene.verdict()
    };
    for words in [
        "no libnccl.so.2 - running on the CPU\nTraceback (most recent call last):\n  File \"/app.py\", line 3, in <module>\n    raise RuntimeError(\"x\")\nRuntimeError: model file has 3 tensors, expected 4\n",
        "libnccl.so.2 not found, using slow path\nfatal: model file is corrupt\n",
        "loading weights\nerror: checkpoint is of version 9\n",
    ] {
        assert_ne!(missing(words).cause, Cause::SharedLibraryMissing, "{words}");
    }
    for words in [
        "app: cannot load libnccl.so.2\n",
        "Traceback (most recent call last):\n  File \"/app.py\", line 3, in <module>\n    ctypes.CDLL(\"libnccl.so.2\")\nOSError: libnccl.so.2: cannot open shared object file: No such file or directory\n",
        "error: plugin could not be loaded\n",
    ] {
        assert_eq!(missing(words).cause, Cause::SharedLibraryMissing, "{words}");
    }
}

#[test]
fn what_an_interpreter_looks_for_as_a_module_is_no_library() {
    let (mut scene, main) = Scene::running("/usr/bin/lua5.4 app.lua");
    for folder in ["/usr/share/lua/5.4", "/usr/lib/lua/5.4", "."] {
        for name in ["cjson.lua", "cjson.so"] {
            scene.fails_at(main, "openat", &format!("{folder}/{name}"), Errno::ENOENT);
        }
    }
    let words = "lua5.4: app.lua:1: module 'cjson' not found:\n\tno field package.preload['cjson']\n\tno file '/usr/share/lua/5.4/cjson.lua'\n\tno file './cjson.so'\nstack traceback:\n\t[C]: in function 'require'\n";
    scene.says(main, words).exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::ExitedWithError, "{}", verdict.summary);
    assert!(verdict.summary.contains("module 'cjson' not found"), "{}", verdict.summary);
}

#[test]
fn a_fatal_line_about_a_setting_acquits_a_file_that_was_missed_before() {
    for last in [
        "FATAL: unrecognized setting 'max-cache-entires' in \"app.conf\"\n",
        "Nov 29 03:01:42 msg=\"Fatal error\" error=\"Trying to set unknown setting 'max-cache-entires'\" prio=\"Critical\"\n",
        "[emerg] invalid value \"maybe\" in \"daemon\"\n",
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/etc/app/recursor.conf", Errno::ENOENT);
        let words =
            format!("unable to open /etc/app/recursor.conf: No such file or directory\n{last}");
        scene.says(main, &words).exits(main, 1);
        assert_eq!(scene.verdict().cause, Cause::ExitedWithError, "{last}");
    }
    for last in ["FATAL: cannot start\n", "FATAL: could not read settings\n"] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/etc/app/recursor.conf", Errno::ENOENT);
        let words =
            format!("unable to open /etc/app/recursor.conf: No such file or directory\n{last}");
        scene.says(main, &words).exits(main, 1);
        assert_eq!(scene.verdict().cause, Cause::FileNotFound, "{last}");
    }
}

#[test]
fn a_name_with_a_byte_that_is_no_text_is_still_named_and_a_protocol_is_not_quoted() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.words(main, Stream::Stdout, "\u{1}\\x81\\xff#md5\\x84\n");
    scene.says(main, "no licence\n").exits(main, 1);
    let verdict = scene.verdict();
    assert!(verdict.summary.contains("no licence"), "{}", verdict.summary);
    let (mut scene, main) = Scene::running("/app/server");
    scene.says(main, "cannot open\nd\\xffe: in use\n").exits(main, 1);
    let verdict = scene.verdict();
    assert!(verdict.summary.contains("in use"), "{}", verdict.summary);
}
