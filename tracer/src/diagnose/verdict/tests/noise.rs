//! What must not fool a rule: probes, retries, failures that were handled.

use crate::{
    capture::event::Disposition,
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::Scene,
    },
    linux::{errno::Errno, signal::Signal},
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
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.confidence), (Cause::UncaughtException, Proven));
    assert!(verdict.summary.contains("SyntaxError: invalid syntax"), "{}", verdict.summary);
    assert_eq!(scene.without_words().verdict().cause, Cause::ExitedWithError);
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

#[test]
fn a_file_that_was_done_without_is_no_cause_of_another_complaint() {
    for call in ["openat", "newfstatat"] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, call, "/etc/app/optional.yaml", Errno::ENOENT);
        scene.says(main, "license expired\n").exits(main, 4);
        let verdict = scene.expect_by_words();
        assert!(verdict.summary.contains("license expired"), "{}", verdict.summary);
    }
}

#[test]
fn a_file_opened_shortly_before_another_complaint_is_mentioned_in_the_evidence() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/etc/app/optional.yaml", Errno::ENOENT);
    scene.says(main, "cannot start\n").exits(main, 4);
    let evidence = scene.expect_by_words().evidence;
    assert!(evidence.iter().any(|it| it.text.contains("/etc/app/optional.yaml")), "{evidence:?}");
}

#[test]
fn words_spoken_before_a_lookup_do_not_speak_against_it() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.says(main, "starting\n");
    scene.fails_at(main, "openat", "/etc/app/server.yaml", Errno::ENOENT).exits(main, 4);
    scene.expect(Cause::FileNotFound, Likely);
}

#[test]
fn a_failure_that_the_words_wave_off_is_no_cause() {
    for words in [
        "warning: /etc/app/opt.yaml: No such file or directory\nlicense expired\n",
        "/etc/app/opt.yaml: No such file or directory, using defaults\nlicense expired\n",
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, "openat", "/etc/app/opt.yaml", Errno::ENOENT);
        scene.says(main, words).exits(main, 1);
        scene.expect_by_words();
    }
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_to(main, "connect", "127.0.0.1:9411", Errno::ECONNREFUSED);
    scene.says(main, "tracing disabled: 127.0.0.1:9411: Connection refused\nlicense expired\n");
    scene.exits(main, 1);
    scene.expect_by_words();
}

#[test]
fn a_failure_named_long_before_the_end_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/etc/app/opt.yaml", Errno::ENOENT).after_ms(12_000);
    scene.says(main, "/etc/app/opt.yaml: No such file or directory\nlicense expired\n");
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_complaint_after_the_one_that_names_a_failure_leaves_it_likely() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_to(main, "connect", "127.0.0.1:9411", Errno::ECONNREFUSED);
    scene.says(main, "127.0.0.1:9411: Connection refused\nfatal: bad license\n").exits(main, 1);
    scene.expect(Cause::ConnectionRefused, Likely);
}

#[test]
fn a_refusal_before_an_unrelated_exception_is_no_cause() {
    let words = "Traceback (most recent call last):\nValueError: invalid literal\n";
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app/main.py");
    scene.fails_at(main, "openat", "/etc/shadow", Errno::EACCES);
    scene.says(main, words).exits(main, 1);
    scene.expect_exception();
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app/main.py");
    scene.fails_to(main, "connect", "10.0.0.1:5432", Errno::ECONNREFUSED);
    scene.says(main, words).exits(main, 1);
    scene.expect_exception();
}

#[test]
fn a_refused_connect_before_words_about_something_else_is_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/kubectl gett");
    scene.fails_to(main, "connect", "127.0.0.1:8080", Errno::ECONNREFUSED);
    scene.says(main, "Error: unknown command \"gett\"\n").exits(main, 1);
    scene.expect_by_words();
}

#[test]
fn what_was_only_looked_for_is_no_cause_without_words() {
    for (call, path) in [
        ("newfstatat", "/usr/lib/python3.11/dist-packages"),
        ("access", "/etc/app/feature"),
        ("openat", "/root/.curlrc"),
        ("openat", "/usr/bin/php.ini"),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.fails_at(main, call, path, Errno::ENOENT).exits(main, 1);
        scene.expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_file_looked_for_in_every_folder_above_is_no_cause() {
    let (mut scene, main) = Scene::running("/usr/bin/node /srv/app/main.js");
    for folder in ["/srv/app", "/srv", ""] {
        scene.fails_at(main, "openat", &format!("{folder}/package.json"), Errno::ENOENT);
    }
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_bare_word_is_no_name_of_a_file() {
    let (mut scene, main) = Scene::running("/usr/bin/make");
    scene.fails_at(main, "newfstatat", "all", Errno::ENOENT);
    scene.says(main, "make: *** [Makefile:2: all] Error 3\n").exits(main, 2);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_bind_for_which_another_port_did_is_no_cause() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp 0.0.0.0:9443", Some(Errno::EADDRINUSE));
    scene.listens(main, "tcp 0.0.0.0:9555").says(main, "license expired\n").exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_shell_that_gave_its_own_reason_is_blamed_itself() {
    let (mut scene, shell) = Scene::running("/bin/sh /entry.sh");
    let probe = scene.runs(shell, "/bin/cat /etc/optional");
    scene.fails_at(probe, "openat", "/etc/optional", Errno::ENOENT).exits(probe, 1);
    scene.says(shell, "license expired\n").exits(shell, 3);
    let verdict = scene.expect_by_words();
    assert_eq!(verdict.blamed, scene.id(shell));
}

#[test]
fn a_null_pointer_that_a_runtime_caught_is_no_cause_of_status_1() {
    let (mut scene, main) = Scene::running("/usr/bin/java -jar app.jar");
    scene.faults_with(main, Signal::SIGSEGV, 1, |it| {
        (it.address, it.disposition) = (Some(0), Disposition::Handled);
    });
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn modules_that_were_only_looked_for_are_no_missing_library() {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app/main.py");
    for package in ["json", "re"] {
        let path = format!("/usr/lib/python3.11/{package}/__init__.so");
        scene.fails_at(main, "newfstatat", &path, Errno::ENOENT);
    }
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_library_that_a_later_folder_may_have_had_is_not_missing() {
    let (mut scene, main) = Scene::running("/usr/bin/java -jar app.jar");
    for folder in ["/usr/lib/jvm/java-17/lib/x86_64/y", "/usr/lib/jvm/java-17/lib/x86_64"] {
        scene.fails_at(main, "openat", &format!("{folder}/libnet.so"), Errno::ENOENT);
    }
    scene.exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}
