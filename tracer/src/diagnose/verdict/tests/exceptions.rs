//! Exceptions, panics and heap limits, told by outputs of real runtimes: what they name, what they acquit, and what they
//! must not be taken for.

use crate::{
    capture::event::{Disposition, Lost, LostKind, Status, Stream, What, Words},
    diagnose::{
        facts::model::MemoryCgroup,
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::{Scene, Who},
        },
    },
    linux::{
        errno::Errno,
        signal::{Signal, SignalCode},
    },
};

/// What a real program printed.
macro_rules! output {
    ($name:literal) => {
        include_str!(concat!("../words/samples/", $name, ".txt"))
            .split_once("\n--- output\n")
            .expect("an output")
            .1
    };
}

const FAILED: Status = Status { code: Some(1), signal: None, core: false };

fn python() -> (Scene, Who) {
    Scene::running("/usr/bin/python3 /srv/app/main.py")
}

#[test]
fn an_uncaught_exception_names_type_message_and_frame() {
    let (mut scene, main) = python();
    scene.says(main, output!("python_key_error")).exits(main, 1);
    let verdict = scene.expect_exception();
    assert_eq!(verdict.confidence, Proven);
    for (key, value) in [
        ("runtime", "python"),
        ("type", "KeyError"),
        ("message", "'DATABASE_URL'"),
        ("frame", "/srv/app/main.py:3 in load"),
    ] {
        assert_eq!(verdict.details[key], value);
    }
    assert!(verdict.summary.contains("KeyError: 'DATABASE_URL'"), "{}", verdict.summary);
}

#[test]
fn each_runtime_ends_with_its_own_status() {
    for (words, code, kind) in [
        (output!("go_panic_30"), 2, "panic"),
        (output!("jvm_caused_by"), 1, "java.lang.RuntimeException"),
        (output!("node_unhandled_rejection"), 1, "Error"),
        (output!("rust_panic"), 101, "panic"),
        (output!("ruby_key_error"), 1, "KeyError"),
        (output!("php_chain"), 255, "RuntimeException"),
        (output!("perl_method"), 255, "die"),
        (output!("beam_boot_error"), 1, "init terminating in do_boot"),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.says(main, words).exits(main, code);
        let verdict = scene.expect_exception();
        assert_eq!((verdict.confidence, &verdict.details["type"]), (Proven, &kind.into()));
    }
}

#[test]
fn a_status_that_the_program_chose_is_no_uncaught_exception() {
    for words in [output!("python_key_error"), output!("go_panic"), output!("jvm_caused_by")] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.says(main, words).exits(main, 7);
        scene.expect_by_words();
    }
}

#[test]
fn an_exception_that_was_logged_or_ended_a_thread_is_quoted_only() {
    for (words, code, said) in [
        (output!("python_logged_traceback_last"), 1, "ValueError: invalid literal"),
        (output!("jvm_logged"), 1, "For input string"),
        (output!("node_logged_last"), 1, "Cannot read properties of null"),
        (output!("python_thread"), 1, "licence has expired"),
        (output!("ruby_thread"), 1, "licence has expired"),
        (output!("rust_thread_panic"), 101, "licence has expired"),
        (output!("jvm_other_thread"), 1, "licence has expired"),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.says(main, words).exits(main, code);
        let verdict = scene.expect_by_words();
        assert!(verdict.summary.contains(said), "{said}: {}", verdict.summary);
    }
}

#[test]
fn a_deadlock_is_told_as_a_detail() {
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.says(main, output!("go_deadlock_30")).exits(main, 2);
    let verdict = scene.expect_exception();
    assert_eq!(verdict.details["deadlock"], true);
    assert!(verdict.summary.contains("all goroutines are asleep"), "{}", verdict.summary);
}

#[test]
fn the_root_cause_is_the_innermost() {
    let (mut scene, main) = Scene::running("/usr/bin/java Main");
    scene.says(main, output!("jvm_long_chain")).exits(main, 1);
    let verdict = scene.expect_exception();
    assert_eq!(
        verdict.details["root_cause"],
        "java.lang.NumberFormatException: For input string: \"x\""
    );
    assert!(verdict.summary.contains("NumberFormatException"), "{}", verdict.summary);
}

#[test]
fn what_is_not_whole_is_likely_at_most() {
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.says(main, output!("go_panic")).exits(main, 2);
    let mut lossy = scene.clone();
    lossy.events.pop();
    lossy.add(main, What::Lost(Lost { of: LostKind::Calls, count: 3 })).exits(main, 2);
    assert_eq!(lossy.expect_exception().confidence, Likely);

    let whole = output!("go_panic_30");
    let (mut scene, main) = Scene::running("/srv/app/server");
    let bytes = whole[whole.len() - 900..].into();
    let total_bytes = whole.len() as u64;
    let (head, skipped_bytes, discarded) = ("".into(), 0, false);
    let stream = Stream::Stderr;
    let words = Words { stream, head, skipped_bytes, bytes, total_bytes, discarded };
    scene.add(main, What::Words(words)).exits(main, 2);
    let verdict = scene.expect_exception();
    assert_eq!(verdict.confidence, Likely);
    assert!(verdict.summary.contains("its message was not kept"), "{}", verdict.summary);
}

/// Failures that programs meet and do without.
fn done_without(scene: &mut Scene, main: Who, which: usize) {
    match which {
        0 => scene.fails_at(main, "mkdir", "/srv/app/__pycache__", Errno::EROFS),
        1 => scene.fails_at(main, "openat", "/var/cache/app/index", Errno::EROFS),
        2 => scene.fails_at(main, "openat", "/tmp/app.cache", Errno::ENOSPC),
        3 => scene.fails(main, "mmap", Errno::ENOMEM),
        4 => scene.fails_at(main, "openat", "/dev/shm/app", Errno::EMFILE),
        5 => scene.fails_at(main, "openat", "/etc/app/secret", Errno::EACCES),
        6 => scene.fails(main, "setsockopt", Errno::EPERM),
        7 => scene.fails(main, "prlimit64", Errno::EPERM),
        8 => scene.fails_to(main, "connect", "10.0.0.7:6379", Errno::ECONNREFUSED),
        _ => scene.fails(main, "clone3", Errno::EAGAIN),
    };
}

#[test]
fn an_exception_about_something_else_acquits_refusals_and_exhaustion() {
    for which in 0..10 {
        for (words, code) in [
            (output!("python_key_error"), 1),
            (output!("node_type_error"), 1),
            (output!("go_nil_map"), 2),
            (output!("jvm_initializer"), 1),
            (output!("ruby_cause"), 1),
        ] {
            let (mut scene, main) = Scene::running("/srv/app/server");
            done_without(&mut scene, main, which);
            scene.says(main, words).exits(main, code);
            let verdict = scene.expect_exception();
            assert_eq!(verdict.confidence, Proven, "{which}: {}", verdict.summary);
        }
    }
}

#[test]
fn a_complaint_about_something_else_acquits_them_too() {
    for which in 0..10 {
        for words in [
            "Error: DATABASE_URL is not set\n",
            "{\"level\":\"info\",\"msg\":\"starting\"}\n{\"level\":\"fatal\",\"msg\":\"bad settings\",\"err\":\"PORT is not set\"}\n",
            "2024/01/01 10:00:00 unknown flag: --prot\n",
            "licence has expired\n",
        ] {
            let (mut scene, main) = Scene::running("/srv/app/server");
            done_without(&mut scene, main, which);
            scene.says(main, words).exits(main, 1);
            scene.expect_by_words();
        }
    }
}

#[test]
fn a_vague_complaint_acquits_nothing() {
    for (which, cause) in [
        (1, Cause::ReadOnlyFilesystem),
        (2, Cause::DiskFull),
        (4, Cause::FdLimit),
        (8, Cause::ConnectionRefused),
        (9, Cause::PidLimit),
    ] {
        for words in ["fatal: startup failed, exiting\n", "starting\n", "cannot start\n"] {
            let (mut scene, main) = Scene::running("/srv/app/server");
            done_without(&mut scene, main, which);
            scene.says(main, words).exits(main, 1);
            scene.expect(cause, Likely);
        }
    }
}

#[test]
fn an_exception_that_names_the_failed_call_leaves_it_the_cause() {
    for (words, code) in [
        (output!("python_connection_refused"), 1),
        (output!("python_requests"), 1),
        (output!("jvm_connect"), 1),
        (output!("node_connect_refused"), 1),
        (output!("rust_unwrap_io"), 101),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.fails_to(main, "connect", "127.0.0.1:1", Errno::ECONNREFUSED);
        scene.says(main, words).exits(main, code);
        scene.expect(Cause::ConnectionRefused, Proven);
        // Nobody recorded the call: then the exception is all that is known.
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.says(main, words).exits(main, code);
        scene.expect_exception();
    }
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.fails_at(main, "openat", "/srv/app/none.yaml", Errno::ENOENT);
    scene.says(main, output!("go_wrapped_os")).exits(main, 2);
    scene.expect(Cause::FileNotFound, Proven);
    let (mut scene, main) = Scene::running("/usr/bin/ruby main.rb");
    scene.fails_at(main, "openat", "/srv/app/none.yml", Errno::ENOENT);
    scene.says(main, output!("ruby_errno")).exits(main, 1);
    scene.expect(Cause::FileNotFound, Proven);
    let (mut scene, main) = Scene::running("/usr/bin/node main.js");
    scene.binds(main, "tcp 127.0.0.1:18099", Some(Errno::EADDRINUSE));
    scene.says(main, output!("node_listen_taken")).exits(main, 1);
    scene.expect(Cause::BindAddressInUse, Proven);
}

#[test]
fn what_came_up_while_a_failure_was_handled_leaves_it_likely() {
    let (mut scene, main) = python();
    scene.fails_at(main, "openat", "/srv/app/none.json", Errno::ENOENT);
    scene.says(main, output!("python_chained_context")).exits(main, 1);
    scene.expect(Cause::FileNotFound, Likely);
}

#[test]
fn a_port_that_was_done_without_is_no_cause_of_an_exception() {
    let (mut scene, main) = python();
    scene.binds(main, "tcp 0.0.0.0:9100", Some(Errno::EADDRINUSE));
    scene.says(main, output!("python_key_error")).exits(main, 1);
    assert_eq!(scene.verdict().cause, Cause::UncaughtException);
}

#[test]
fn a_traceback_that_shows_a_source_does_not_complain_of_it() {
    let (mut scene, main) = python();
    scene.fails_at(main, "newfstatat", "/srv/app/main.py", Errno::ENOTDIR);
    scene.says(main, output!("python_key_error")).exits(main, 1);
    scene.expect_exception();
}

#[test]
fn a_path_in_words_is_no_complaint_of_it() {
    for (call, path, errno, words) in [
        (
            "unlink",
            "/run/app.sock",
            Errno::ENOENT,
            "listening at /run/app.sock\nlicence has expired\n",
        ),
        ("openat", "/etc/app.conf", Errno::ENOENT, "loaded /etc/app.conf\nlicence has expired\n"),
        ("openat", "/srv/app/m.conf", Errno::ENOTDIR, "Error found at /srv/app/m.conf:2.\n"),
        (
            "openat",
            "/srv/app/m.conf",
            Errno::ENOTDIR,
            "syntax error in /srv/app/m.conf on line 3\n",
        ),
        (
            "openat",
            "/etc/app.yaml",
            Errno::ENOTDIR,
            "failed to parse /etc/app.yaml: mapping expected\n",
        ),
        ("openat", "/etc/app.key", Errno::ENOENT, "/etc/app.key: Permission denied\n"),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.fails_at(main, call, path, errno).says(main, words).exits(main, 1);
        scene.expect_by_words();
    }
}

#[test]
fn a_line_that_complains_of_the_path_proves_it_and_a_mention_does_not() {
    for (words, confidence) in [
        ("cannot open /etc/app.conf\n", Proven),
        ("/etc/app.conf is missing\n", Proven),
        ("settings file: /etc/app.conf\n", Likely),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene
            .fails_at(main, "openat", "/etc/app.conf", Errno::ENOENT)
            .says(main, words)
            .exits(main, 1);
        scene.expect(Cause::FileNotFound, confidence);
    }
}

#[test]
fn a_cache_that_the_program_continues_without_is_no_cause() {
    for words in [
        "cache 10.0.0.7:6379: connection refused, continuing without\nPORT is not set\n",
        "[WARN] 10.0.0.7:6379: Connection refused\n[ERROR] PORT is not set\n",
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.fails_to(main, "connect", "10.0.0.7:6379", Errno::ECONNREFUSED);
        scene.says(main, words).exits(main, 1);
        let verdict = scene.expect_by_words();
        assert!(
            verdict.summary.contains("\"PORT is not set") || verdict.summary.contains("\"[ERROR]"),
            "{}",
            verdict.summary
        );
    }
}

#[test]
fn the_heap_limit_of_node_is_named_and_is_no_abort() {
    let (mut scene, main) = Scene::running("/usr/bin/node --max-old-space-size=30 main.js");
    scene.says(main, output!("node_heap_limit"));
    scene.faults_with(main, Signal::SIGABRT, 0, |it| it.code = SignalCode::Thread);
    scene.dies(main, Signal::SIGABRT);
    let limit_bytes = Some(512 << 20);
    scene.facts.memory.push(MemoryCgroup { limit_bytes, ..MemoryCgroup::default() });
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.confidence), (Cause::HeapExhausted, Proven));
    assert_eq!(verdict.details["limit_bytes"], 30 << 20);
    assert_eq!(verdict.details["container_limit_bytes"], 512 << 20);
    for part in ["30 MiB (set on its command line)", "512 MiB", "heap out of memory"] {
        assert!(verdict.summary.contains(part), "{part}: {}", verdict.summary);
    }
    assert_eq!(scene.without_words().verdict().cause, Cause::Abort);
}

#[test]
fn heap_limits_of_other_runtimes_are_named() {
    for (command, words, code, limit) in [
        ("/usr/bin/java -Xmx20m Main", output!("jvm_heap"), 1, Some(20 << 20)),
        ("/usr/bin/java Main", output!("jvm_heap_env"), 1, Some(24 << 20)),
        ("/usr/bin/java Main", output!("jvm_heap"), 1, None),
        (
            "/usr/bin/java -XX:MaxMetaspaceSize=12m Main",
            output!("jvm_metaspace"),
            1,
            Some(12 << 20),
        ),
        ("/usr/bin/java Main", output!("jvm_direct_memory"), 1, Some(4 << 20)),
        ("/usr/bin/java -Xmx20m Main", output!("jvm_heap_exit"), 3, Some(20 << 20)),
        ("/usr/bin/php main.php", output!("php_memory_limit"), 255, Some(16 << 20)),
    ] {
        let (mut scene, main) = Scene::running(command);
        scene.says(main, words).exits(main, code);
        let verdict = scene.verdict();
        assert_eq!(
            (verdict.cause, verdict.confidence),
            (Cause::HeapExhausted, Proven),
            "{}",
            verdict.summary
        );
        assert_eq!(verdict.details.get("limit_bytes").and_then(|it| it.as_u64()), limit);
    }
}

#[test]
fn what_only_sounds_like_a_heap_limit_is_none() {
    let thread = "Exception in thread \"main\" java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached\n\tat Main.main(Main.java:3)\n";
    let (mut scene, main) = Scene::running("/usr/bin/java Main");
    scene.fails(main, "clone3", Errno::EAGAIN).says(main, thread).exits(main, 1);
    scene.expect(Cause::PidLimit, Proven);
    let (mut scene, main) = Scene::running("/usr/bin/java Main");
    scene.says(main, output!("jvm_array_limit")).exits(main, 1);
    scene.expect_exception();
    let (mut scene, main) = Scene::running("/srv/app/main");
    scene.says(main, output!("native_assert"));
    scene.faults_with(main, Signal::SIGABRT, 0, |it| it.code = SignalCode::Thread);
    scene.dies(main, Signal::SIGABRT);
    scene.expect(Cause::Abort, Proven);
}

#[test]
fn an_abort_tells_type_and_message() {
    let (mut scene, main) = Scene::running("/srv/app/main");
    scene.says(main, output!("native_terminate"));
    scene.faults_with(main, Signal::SIGABRT, 0, |it| it.code = SignalCode::Thread);
    scene.dies(main, Signal::SIGABRT);
    let verdict = scene.expect(Cause::Abort, Proven);
    assert_eq!(verdict.details["type"], "std::runtime_error");
    assert_eq!(verdict.details["message"], "no realm is configured");
}

#[test]
fn a_parent_with_an_exception_of_its_own_passes_no_blame_on() {
    let (mut scene, main) = python();
    let git = scene.runs(main, "/usr/bin/git describe");
    scene.exits(git, 1).says(main, output!("python_key_error")).exits(main, 1);
    assert_eq!(scene.expect_exception().blamed, scene.id(main));
    let words = "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 2, in <module>\nsubprocess.CalledProcessError: Command '['migrate']' returned non-zero exit status 1.\n";
    let (mut scene, main) = python();
    let migrate = scene.runs(main, "/usr/bin/migrate");
    scene.says(migrate, "schema is newer than this program\n").exits(migrate, 1);
    scene.says(main, words).exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.blamed), (Cause::ExitedWithError, scene.id(migrate)));
}

#[test]
fn a_fatal_line_on_stdout_counts() {
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.says(main, "deprecated setting x\n");
    scene.words(
        main,
        Stream::Stdout,
        "2024-01-01 INFO starting\n2024-01-01 FATAL PORT is not set\n",
    );
    scene.ends(main, FAILED, |_| {});
    let verdict = scene.expect_by_words();
    assert!(verdict.summary.contains("\"2024-01-01 FATAL PORT is not set"), "{}", verdict.summary);
}

#[test]
fn the_most_telling_line_is_quoted_first_and_a_usage_text_never_alone() {
    for (words, first) in [
        (output!("go_flag_usage"), "\"flag provided but not defined: -prot\""),
        (
            output!("python_argparse"),
            "\"app: error: the following arguments are required: --port\"",
        ),
        (output!("python_click_usage"), "\"Error: Missing option '--port'.\""),
        (output!("npm_missing_script"), "\"npm error Missing script: \"start\"\""),
        (output!("nginx_emerg"), "[emerg] 18790#18790: unknown directive \"lissen\""),
        (output!("log_pino"), "\"cannot start: Error: PORT is not set"),
        ("Usage: app FILE\n  -h  this text\n", "\"(a usage text alone) Usage: app FILE\""),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.says(main, words).exits(main, 6);
        let verdict = scene.expect_by_words();
        assert!(verdict.summary.contains(first), "{first}: {}", verdict.summary);
    }
}

#[test]
fn an_error_that_is_said_of_another_object_names_no_other_failure() {
    for (words, code) in [
        (output!("beam_app_start"), 1),
        ("open /etc/app/settings.yaml: no such file or directory\n", 1),
        ("[Errno 2] No such file or directory: 'settings.toml'\n", 1),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.fails_at(main, "newfstatat", "/srv/app/..ez", Errno::ENOENT);
        scene.says(main, words).exits(main, code);
        assert_ne!(scene.verdict().cause, Cause::FileNotFound, "{words}");
    }
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.fails_to(main, "connect", "127.0.0.1:8125", Errno::ECONNREFUSED);
    scene.says(main, "cannot reach db:5432: Connection timed out\n").exits(main, 1);
    assert!(
        scene.verdict().confidence != Proven || scene.verdict().cause == Cause::ExitedWithError
    );
    // Of two refusals the one that is named.
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.fails_to(main, "connect", "10.0.0.9:5432", Errno::ECONNREFUSED);
    scene.fails_to(main, "connect", "127.0.0.1:8125", Errno::ECONNREFUSED);
    scene.says(main, "dial tcp 10.0.0.9:5432: connection refused\n").exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionRefused, Proven);
    assert_eq!(verdict.details["port"], 5432);
}

#[test]
fn a_refusal_may_be_said_of_the_file_it_was_for() {
    for (call, path, errno, words, cause) in [
        (
            "openat",
            "/data/.state.tmp7",
            Errno::EROFS,
            "cannot save /data/state.json: Read-only file system\n",
            Cause::ReadOnlyFilesystem,
        ),
        (
            "openat",
            "/data/x.tmp",
            Errno::ENOSPC,
            "write /data/x: no space left on device\n",
            Cause::DiskFull,
        ),
        (
            "mkdir",
            "/data/a",
            Errno::ENOENT,
            "cannot create /data/a/b: No such file or directory\n",
            Cause::FileNotFound,
        ),
    ] {
        let (mut scene, main) = Scene::running("/srv/app/server");
        scene.fails_at(main, call, path, errno).says(main, words).exits(main, 1);
        assert_eq!(scene.verdict().cause, cause, "{}", scene.verdict().summary);
    }
}

#[test]
fn a_bare_error_is_of_no_lookup_that_was_made_for_a_try() {
    let words = output!("rust_anyhow");
    let (mut scene, main) = Scene::running("/srv/app/server");
    scene.fails_at(main, "openat", "/srv/app/none.toml", Errno::ENOENT);
    scene.fails_at(main, "openat", "/usr/lib/x86_64-linux-gnu/libc.so.6.dwp", Errno::ENOENT);
    scene.fails_at(main, "newfstatat", "/srv/app/.git", Errno::ENOENT);
    scene.says(main, words).exits(main, 1);
    assert_eq!(scene.verdict().details["path"], "/srv/app/none.toml");
}

#[test]
fn a_dump_that_was_asked_for_is_no_panic() {
    let dump = output!("go_panic_30");
    let (mut scene, main) = Scene::running("/srv/app/server");
    let sender = scene.outsider("kill");
    scene.sends(&sender, main, Signal::SIGQUIT, Disposition::Handled);
    let total_bytes = dump.len() as u64;
    let bytes = dump[dump.len() - 900..].into();
    let (head, skipped_bytes, discarded) = ("".into(), 0, false);
    let stream = Stream::Stderr;
    let words = Words { stream, head, skipped_bytes, bytes, total_bytes, discarded };
    scene.add(main, What::Words(words)).exits(main, 2);
    assert_ne!(scene.verdict().cause, Cause::UncaughtException);
}

#[test]
fn a_panic_that_names_no_reason_has_that_of_the_error_logged_right_above() {
    let panic = |logged: &str, text: &str| {
        let (mut scene, main) = Scene::running("/usr/bin/prometheus");
        scene.fails_at(main, "openat", "/data/queries.active", Errno::EACCES);
        let words = format!(
            "{logged}panic: {text}\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:613 +0x6a93\n"
        );
        scene.says(main, &words).exits(main, 2);
        scene.verdict().cause
    };
    let logged = "level=error msg=\"Error opening query log file\" file=/data/queries.active err=\"open /data/queries.active: permission denied\"\n";
    assert_eq!(panic(logged, "Unable to create mmap-ed active query log"), Cause::PermissionDenied);
    // A bug of the program, something else that it could not do, and nothing logged.
    for (logged, text) in [
        (logged, "runtime error: index out of range [3] with length 3"),
        (logged, "could not reach the leader"),
        (
            "level=info msg=\"open /data/queries.active: permission denied\"\n",
            "Unable to create query log",
        ),
    ] {
        assert_eq!(panic(logged, text), Cause::UncaughtException, "{text}");
    }
}

#[test]
fn an_abort_whose_words_name_a_failed_call_is_caused_by_it() {
    let aborts = |words: &str| {
        let (mut scene, main) = Scene::running("/usr/lib/postgres");
        scene.fails_at(main, "pwrite64", "/data/base/1/2691", Errno::ENOSPC);
        scene.says(main, words);
        scene.faults_with(main, Signal::SIGABRT, -6, |it| it.code = SignalCode::Thread);
        scene.dies(main, Signal::SIGABRT);
        scene.verdict().cause
    };
    for words in [
        "FATAL:  could not extend file \"base/1/2691\": No space left on device\nPANIC:  cannot abort transaction 1\n",
        "F0101 10:00:00.000000 1 store.cc:3] Check failed: write /data/base/1/2691: No space left on device\n",
        "terminate called after throwing an instance of 'std::filesystem::filesystem_error'\n  what():  cannot write [/data/base/1/2691]: No space left on device\n",
    ] {
        assert_eq!(aborts(words), Cause::DiskFull, "{words}");
    }
    assert_eq!(aborts("assertion failed: a == b\n"), Cause::Abort);
}
