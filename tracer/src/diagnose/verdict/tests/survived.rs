//! Failures that a program met, told of, and went on after, until it ended of something else: which of them must not be
//! blamed, and which twin must be.

use crate::{
    capture::event::{Disposition, Stream},
    diagnose::verdict::{
        Cause,
        Confidence::Proven,
        Verdict,
        scene::{Scene, Who},
    },
    linux::{errno::Errno, signal::Signal},
};

fn told(command: &str, what: impl FnOnce(&mut Scene, Who)) -> Verdict {
    let (mut scene, main) = Scene::running(command);
    what(&mut scene, main);
    scene.verdict()
}

#[track_caller]
fn check(verdict: &Verdict, cause: Cause) {
    assert_eq!(verdict.cause, cause, "{}", verdict.summary);
}

const NO_SETTINGS: &str = "log settings: No such file or directory: '/etc/shop/log.json'\n";

/// A program that tells of a missing file, then does something, and says why it ends.
fn without_its_settings(then: impl FnOnce(&mut Scene, Who), last: &str) -> Verdict {
    told("/usr/bin/python3 app.py", |scene, main| {
        scene.after_ms(40).fails_at(main, "openat", "/etc/shop/log.json", Errno::ENOENT);
        then(scene, main);
        scene.says(main, &format!("{NO_SETTINGS}{last}")).exits(main, 1);
    })
}

#[test]
fn a_file_that_was_done_without_is_not_blamed_for_a_later_end() {
    let verdict = without_its_settings(
        |scene, main| {
            scene.later(|after| after.connected = Some(1));
            scene.after_ms(900).fails(main, "sendto", Errno::EPIPE);
        },
        "shop: cannot go on without an audit trail\n",
    );
    check(&verdict, Cause::ExitedWithError);
    assert!(verdict.summary.contains("audit trail"), "{}", verdict.summary);
    // It was refused something else once it had told of the first.
    let verdict = told("/usr/bin/perl agent.pl", |scene, main| {
        scene.fails_at(main, "openat", "/etc/shop/log.json", Errno::ENOENT);
        scene.words(main, Stream::Stdout, NO_SETTINGS);
        scene.fails_at(main, "read", "/run/secrets/token", Errno::EISDIR);
        scene.says(main, "agent: the token is empty\n").exits(main, 21);
    });
    check(&verdict, Cause::ExitedWithError);
    // It ran on for seconds.
    let verdict = without_its_settings(
        |scene, _| {
            scene.after_ms(4_000);
        },
        "lease lost, stepping down\n",
    );
    check(&verdict, Cause::ExitedWithError);
    // It ran on, and spoke of it on the other stream.
    let verdict = told("/usr/bin/perl agent.pl", |scene, main| {
        scene.fails_at(main, "openat", "/etc/shop/log.json", Errno::ENOENT);
        scene.words(main, Stream::Stdout, NO_SETTINGS).after_ms(700);
        scene.says(main, "agent: quota used up\n").exits(main, 9);
    });
    check(&verdict, Cause::ExitedWithError);
}

#[test]
fn a_file_that_ended_a_program_at_once_is_blamed_whatever_it_says_last() {
    for last in ["", "giving up\n", "cannot load settings\n", "see --help for the options\n"] {
        let verdict = without_its_settings(|_, _| {}, last);
        check(&verdict, Cause::FileNotFound);
    }
    let verdict = without_its_settings(|_, _| {}, "");
    assert_eq!(verdict.confidence, Proven);
}

#[test]
fn a_warning_beside_an_error_is_no_reason() {
    let server = |first: &str, last: &str| {
        told("/usr/bin/node app.js", |scene, main| {
            scene.after_ms(2_000);
            scene.fails_to(main, "getsockopt", "127.0.0.1:6395", Errno::ECONNREFUSED);
            scene.after_ms(80).words(main, Stream::Stdout, &format!("{first}\n{last}\n"));
            scene.exits(main, 1);
        })
    };
    let json = r#"{"level":40,"msg":"cache off: connect ECONNREFUSED 127.0.0.1:6395"}"#;
    let late = r#"{"level":50,"msg":"Plugin did not start in time: 'licence'"}"#;
    check(&server(json, late), Cause::ExitedWithError);
    check(
        &server(
            "time=\"x\" level=warning msg=\"connect ECONNREFUSED 127.0.0.1:6395, cache off\"",
            "time=\"x\" level=error msg=\"licence is past its end\"",
        ),
        Cause::ExitedWithError,
    );
    check(
        &server("[WARN] no connection to 127.0.0.1:6395", "[ERROR] licence is past its end"),
        Cause::ExitedWithError,
    );
    let blamed = r#"{"level":50,"msg":"connect ECONNREFUSED 127.0.0.1:6395"}"#;
    check(&server(blamed, r#"{"level":30,"msg":"bye"}"#), Cause::ConnectionRefused);
}

#[test]
fn a_silent_end_long_after_a_refusal_has_no_known_reason() {
    let silent = |wait_ms: u64| {
        told("/usr/bin/node main.js", |scene, main| {
            // A busy node: the start alone took more than a second.
            scene.after_ms(1_200);
            scene.fails_to(main, "getsockopt", "127.0.0.1:8297", Errno::ECONNREFUSED);
            scene.after_ms(wait_ms).exits(main, 78);
        })
    };
    check(&silent(950), Cause::ExitedWithError);
    check(&silent(300), Cause::ConnectionRefused);
    check(&silent(20), Cause::ConnectionRefused);
}

#[test]
fn a_peer_that_was_refused_before_other_files_were_opened_is_no_reason() {
    let opened = |count: u32| {
        told("/usr/lib/erlang/erts/bin/beam.smp", |scene, main| {
            scene.after_ms(100);
            scene.fails_to(main, "getsockopt", "127.0.0.1:4370", Errno::ECONNREFUSED);
            scene.later(|after| after.opened = Some(count)).after_ms(10);
            scene.words(main, Stream::Stdout, "start failed: {shutdown,bad_settings}\n");
            scene.exits(main, 1);
        })
    };
    check(&opened(6), Cause::ExitedWithError);
    check(&opened(0), Cause::ConnectionRefused);
}

#[test]
fn who_writes_to_a_child_that_is_gone_passes_on_how_it_ended() {
    let transfer = |own: Option<Errno>| {
        told("/usr/bin/rsync -e sshfast d/ backup:/", |scene, main| {
            let child = scene.forks(main);
            scene.exec_fails(child, "/usr/bin/sshfast", Errno::ENOENT);
            scene.says(child, "rsync: Failed to exec sshfast: No such file or directory (2)\n");
            scene.exits(child, 14).after_ms(15);
            match own {
                None => {
                    scene.fails(main, "write", Errno::EPIPE);
                    scene
                        .says(main, "rsync: failed to write 4 bytes to socket: Broken pipe (32)\n");
                }
                Some(errno) => {
                    scene.fails_at(main, "openat", "/srv/state", errno);
                    scene.says(main, "rsync: cannot open /srv/state: Permission denied (13)\n");
                }
            }
            scene.exits(main, 14);
        })
    };
    check(&transfer(None), Cause::ExecNotFound);
    // Its own refusal is its own.
    check(&transfer(Some(Errno::EACCES)), Cause::PermissionDenied);
}

#[test]
fn who_signals_its_own_group_is_not_ended_by_the_child_that_fell_first() {
    let trap = |first: bool| {
        told("/bin/bash entry.sh", |scene, shell| {
            let pause = scene.runs(shell, "/usr/bin/sleep 55");
            let job = scene.runs(shell, "/usr/bin/python3 migrate.py");
            scene.says(
                job,
                "Traceback (most recent call last):\n  File \"/srv/app/migrate.py\", line 4, in <module>\n    \
                 raise ValueError(\"no\")\nValueError: revision 12 is not an ancestor of 15\n",
            );
            scene.exits(job, 1);
            let sender = scene.of(shell).clone();
            scene.sends(&sender, pause, Signal::SIGTERM, Disposition::Default);
            scene.sends(&sender, shell, Signal::SIGTERM, Disposition::Handled);
            scene.sends(&sender, shell, Signal::SIGTERM, Disposition::Default);
            if first {
                scene.dies(pause, Signal::SIGTERM).dies(shell, Signal::SIGTERM);
            } else {
                scene.dies(shell, Signal::SIGTERM).dies(pause, Signal::SIGTERM);
            }
        })
    };
    for first in [true, false] {
        let verdict = trap(first);
        check(&verdict, Cause::UncaughtException);
        assert!(verdict.summary.contains("revision 12"), "{}", verdict.summary);
    }
}

#[test]
fn a_silent_client_is_read_by_its_status() {
    let client = |command: &str, says: &str, status: u8| {
        told(command, |scene, main| {
            if !says.is_empty() {
                scene.says(main, says);
            }
            scene.exits(main, status);
        })
    };
    let verdict = client("/usr/bin/curl -s https://feed.shop/x", "", 60);
    check(&verdict, Cause::TlsFailed);
    assert!(verdict.summary.contains("https://feed.shop/x"), "{}", verdict.summary);
    check(&client("/usr/bin/curl -s https://feed.shop/x", "", 35), Cause::TlsFailed);
    check(&client("/usr/bin/wget -q https://feed.shop/x", "", 5), Cause::TlsFailed);
    check(&client("/usr/bin/curl -s https://feed.shop/x", "", 6), Cause::NameResolutionFailed);
    // Statuses of other programs mean something else, and words say more.
    check(&client("/srv/app/feed https://feed.shop/x", "", 60), Cause::ExitedWithError);
    check(&client("/usr/bin/curl -s https://feed.shop/x", "", 22), Cause::ExitedWithError);
    let said = client("/usr/bin/curl https://feed.shop/x", "curl: option -q: is unknown\n", 60);
    check(&said, Cause::ExitedWithError);
}

#[test]
fn a_name_that_no_server_was_asked_for_is_read_from_the_words() {
    let client = |says: &str| {
        told("/usr/bin/redis-cli -h shop", |scene, main| {
            scene.says(main, says).exits(main, 1);
        })
    };
    for says in [
        "Could not connect to Redis at 127.0.0.1\r:7000: Name or service not known\n",
        "curl: (6) Could not resolve host: db.internal\n",
        "dial failed: getaddrinfo ENOTFOUND db.internal\n",
        "error: failed to lookup address information: Temporary failure in name resolution\n",
    ] {
        check(&client(says), Cause::NameResolutionFailed);
    }
    let more =
        "warning: metrics off: Name or service not known\nERROR the licence is past its end\n";
    check(&client(more), Cause::ExitedWithError);
    let later = "metrics: Name or service not known\nERROR invalid licence\n";
    check(&client(later), Cause::ExitedWithError);
}

#[test]
fn a_byte_order_mark_before_the_first_line_is_named() {
    let verdict = told("/bin/sh ./start.sh", |scene, main| {
        scene.exec_fails(main, "./start.sh", Errno::ENOEXEC);
        scene.execs(main, "/bin/sh ./start.sh");
        let child = scene.forks(main);
        scene.exec_fails(child, "\u{feff}#!/bin/bash", Errno::ENOENT);
        scene.says(child, "./start.sh: 1: \u{feff}#!/bin/bash: not found\n").exits(child, 127);
        scene.says(main, "./start.sh: 2: set: Illegal option -o pipefail\n").exits(main, 2);
    });
    check(&verdict, Cause::ExecFormatError);
    assert!(verdict.summary.contains("./start.sh begins with a byte order mark"));
}

#[test]
fn a_program_that_is_looked_for_before_it_is_run_is_no_plain_file() {
    let make = |path: &str| {
        told("/usr/bin/make all", |scene, main| {
            scene.fails_at(main, "newfstatat", path, Errno::ENOENT);
            scene.says(main, &format!("make: {path}: No such file or directory\n")).exits(main, 2);
        })
    };
    check(&make("/usr/local/bin/bash5"), Cause::ExecNotFound);
    check(&make("/srv/app/rules.mk"), Cause::FileNotFound);
}
