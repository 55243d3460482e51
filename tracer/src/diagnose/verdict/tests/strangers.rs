//! What programs that nobody knew beforehand say and do before they end: which of it is a reason, and which is not. Each
//! case has siblings of other programs and a twin that must not be blamed.

use crate::{
    capture::event::{Disposition, Object, Stream},
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        Verdict,
        scene::{Scene, Who},
    },
    linux::{errno::Errno, signal::Signal},
};

const O_WRONLY_CREAT: u64 = 0o101;

fn told(command: &str, what: impl FnOnce(&mut Scene, Who)) -> Verdict {
    let (mut scene, main) = Scene::running(command);
    what(&mut scene, main);
    scene.verdict()
}

#[track_caller]
fn check(verdict: &Verdict, cause: Cause) {
    assert_eq!(verdict.cause, cause, "{}", verdict.summary);
}

/// A shell whose child failed, and that said this itself before it ended.
fn after_child(child_status: u8, shell_says: &str, status: u8) -> Verdict {
    told("/bin/bash ./entrypoint.sh", |scene, shell| {
        let child = scene.runs(shell, "/usr/bin/mkdir /data/cache");
        scene.fails_at(child, "mkdir", "/data/cache", Errno::ENOENT).exits(child, child_status);
        if !shell_says.is_empty() {
            scene.says(shell, shell_says);
        }
        scene.exits(shell, status);
    })
}

#[test]
fn a_shell_that_cannot_go_on_with_its_own_script_does_not_pass_on_its_child() {
    for says in [
        "./entrypoint.sh: line 5: REDIS_HOST: unbound variable\n",
        "./entrypoint.sh: 5: REDIS_HOST: parameter not set\n",
        "./entrypoint.sh: line 9: syntax error: unexpected end of file\n",
        "./entrypoint.sh: line 3: 1/0: division by 0 (error token is \"0\")\n",
    ] {
        check(&after_child(1, says, 1), Cause::ExitedWithError);
    }
    // With nothing of the kind said, equal statuses pass the blame on.
    check(&after_child(1, "", 1), Cause::FileNotFound);
}

#[test]
fn a_child_whose_complaint_was_thrown_away_was_expected_to_fail() {
    let shell = |to_nobody: bool, status: u8| {
        told("/bin/bash ./start.sh", |scene, shell| {
            let child = scene.runs(shell, "/usr/bin/ls /opt/plugins");
            scene.fails_at(child, "openat", "/opt/plugins", Errno::ENOENT);
            let words = "ls: cannot access '/opt/plugins': No such file or directory\n";
            if to_nobody {
                scene.says_to_nobody(child, words);
            } else {
                scene.says(child, words);
            }
            scene.exits(child, 2).exits(shell, status);
        })
    };
    let verdict = shell(true, 1);
    check(&verdict, Cause::ExitedWithError);
    assert!(!verdict.summary.contains("/opt/plugins"), "{}", verdict.summary);
    // `set -e` ends with the very status, whatever became of the complaint; and one that was heard counts.
    check(&shell(true, 2), Cause::FileNotFound);
    check(&shell(false, 1), Cause::FileNotFound);
}

#[test]
fn what_a_process_threw_away_is_not_among_its_last_words() {
    let verdict = told("/bin/sh ./entry.sh", |scene, main| {
        scene.says_to_nobody(main, "./entry.sh: 3: warm-cache: not found\n");
        scene.words(main, Stream::Stdout, "MODE is batch, but must be web\n").exits(main, 64);
    });
    assert!(verdict.summary.contains("must be web"), "{}", verdict.summary);
    assert!(!verdict.summary.contains("warm-cache"), "{}", verdict.summary);
}

#[test]
fn a_script_that_says_more_went_on_after_what_failed() {
    let script = |command: &str, more: &str| {
        told(command, |scene, main| {
            scene.fails_at(main, "openat", "/etc/check.conf", Errno::ENOENT);
            scene.says(main, "./check.sh: 3: cannot open /etc/check.conf: No such file\n");
            if !more.is_empty() {
                scene.words(main, Stream::Stdout, more);
            }
            scene.exits(main, 4);
        })
    };
    let verdict = script("/bin/dash ./check.sh", "3 of 9 replicas are behind\n");
    check(&verdict, Cause::ExitedWithError);
    assert!(verdict.summary.contains("replicas are behind"), "{}", verdict.summary);
    check(&script("/bin/dash ./check.sh", ""), Cause::FileNotFound);
    check(&script("/bin/dash ./check.sh", "giving up\n"), Cause::FileNotFound);
}

#[test]
fn the_next_address_of_a_name_acquits_the_first_where_something_else_is_complained_of() {
    let client = |reached: bool, more: &str| {
        told("/usr/bin/psql", |scene, main| {
            scene.fails_to(main, "connect", "[::1]:8099", Errno::ECONNREFUSED);
            scene.later(|after| after.same_port_reached = reached);
            let refused =
                "error: connection to \"localhost\" (::1), port 8099 failed: Connection refused\n";
            scene.says(main, &format!("{refused}{more}")).exits(main, 2);
        })
    };
    for more in [
        "connection to \"localhost\" (127.0.0.1), port 8099 failed: received invalid response\n",
        "Connecting to 127.0.0.1:8099... connected.\nERROR 404: File not found.\n",
    ] {
        check(&client(true, more), Cause::ExitedWithError);
    }
    check(&client(false, ""), Cause::ConnectionRefused);
}

#[test]
fn a_warning_by_its_class_is_no_complaint() {
    let python = |line: &str| {
        told("/usr/bin/python3 -m pytest", |scene, main| {
            scene.fails_at(main, "openat", "/app/state/nodeids", Errno::ENOENT);
            scene.says(main, line).exits(main, 1);
        })
    };
    for line in [
        "x.py:387: PytestCacheWarning: could not create path /app/state/nodeids\nFAILED test_a\n",
        "x.py:3: UserWarning: cannot read /app/state/nodeids\nERROR: 1 check failed\n",
    ] {
        check(&python(line), Cause::ExitedWithError);
    }
    check(&python("error: could not read /app/state/nodeids\n"), Cause::FileNotFound);
}

#[test]
fn what_was_only_looked_for_must_be_said_to_be_missing() {
    let convert = |call: &'static str, line: &str| {
        told("/usr/bin/convert a.pdf invoice.png", |scene, main| {
            scene.fails_at(main, call, "invoice.png", Errno::ENOENT);
            scene.says(main, line).exits(main, 1);
        })
    };
    for line in [
        "convert: operation not allowed by the policy `PDF' @ error/constitute.c/426.\nconvert: no images defined `invoice.png' @ error/convert.c/3234.\n",
        "error: output invoice.png would be empty\n",
    ] {
        check(&convert("newfstatat", line), Cause::ExitedWithError);
    }
    check(&convert("newfstatat", "convert: cannot find invoice.png\n"), Cause::FileNotFound);
}

#[test]
fn a_name_with_an_ending_more_is_no_missing_file() {
    let unzip = |words: &str, first: bool| {
        told("/usr/bin/unzip -q app.war", |scene, main| {
            if first {
                scene.fails_at(main, "newfstatat", "app.war", Errno::ENOENT);
            }
            scene.fails_at(main, "newfstatat", "app.war.ZIP", Errno::ENOENT);
            scene.says(main, words).exits(main, 9);
        })
    };
    let words = "unzip: cannot find zipfile directory in one of app.war or\n app.war.zip, and cannot find app.war.ZIP, period.\n";
    check(&unzip(words, false), Cause::ExitedWithError);
    check(
        &unzip("unzip:  cannot find or open app.war, app.war.zip or app.war.ZIP.\n", true),
        Cause::FileNotFound,
    );
}

#[test]
fn a_bare_word_of_a_sentence_is_no_path() {
    let ant = |line: &str| {
        told("/usr/bin/java org.apache.tools.ant.launch.Launcher", |scene, main| {
            scene.fails_at(main, "newfstatat", "/etc/shop", Errno::ENOENT);
            scene.says(main, line).exits(main, 1);
        })
    };
    check(
        &ant("BUILD FAILED\nTarget \"publish\" does not exist in the project \"shop\".\n"),
        Cause::ExitedWithError,
    );
    check(&ant("cannot read shop: No such file or directory\n"), Cause::FileNotFound);
}

#[test]
fn a_lock_by_a_folder_that_cannot_be_replaced_is_held() {
    let borg = |call: &'static str, path: &str, words: &str| {
        told("/usr/bin/borg create", |scene, main| {
            scene.fails_at(main, call, path, Errno::ENOTEMPTY).says(main, words).exits(main, 2);
        })
    };
    let words = "Failed to create/acquire the lock /repo/lock.exclusive (timeout).\n";
    check(&borg("rename", "/repo/lock.exclusive.a1b2.tmp", words), Cause::LockHeld);
    check(&borg("rename", "/repo/index.tmp", words), Cause::ExitedWithError);
    check(
        &borg("rename", "/repo/lock.exclusive.a1b2.tmp", "no such archive: daily\n"),
        Cause::ExitedWithError,
    );
}

#[test]
fn jobs_beside_the_failed_one_may_end_later() {
    let make = |says: &str| {
        told("/usr/bin/make -j2 all", |scene, make| {
            let assets = scene.runs(make, "/bin/sh -c assets");
            let curl = scene.runs(make, "/usr/bin/curl http://127.0.0.1:9200");
            scene.fails_to(curl, "connect", "127.0.0.1:9200", Errno::ECONNREFUSED).exits(curl, 7);
            scene.says(make, says).after_ms(700).exits(assets, 0).exits(make, 2);
        })
    };
    check(&make("make: *** [Makefile:5: seed] Error 7\n"), Cause::ConnectionRefused);
    check(&make("make: *** No rule to make target 'x'.  Stop.\n"), Cause::ExitedWithError);
}

#[test]
fn who_repeats_what_its_child_wrote_did_not_raise_it() {
    let trace = "Traceback (most recent call last):\n  File \"/app/load.py\", line 2, in <module>\n    open(p)\nFileNotFoundError: [Errno 2] No such file or directory: '/app/b.csv'\n";
    let parallel = |own: &str| {
        told("/usr/bin/perl /usr/bin/parallel", |scene, perl| {
            let job = scene.runs(perl, "/usr/bin/python3 load.py");
            scene.fails_at(job, "openat", "/app/b.csv", Errno::ENOENT).says(job, trace);
            scene.exits(job, 1).says(perl, own).exits(perl, 1);
        })
    };
    check(&parallel(trace), Cause::FileNotFound);
    let other = "Traceback (most recent call last):\n  File \"/app/run.py\", line 9, in <module>\n    go()\nKeyError: 'REGION'\n";
    check(&parallel(other), Cause::UncaughtException);
}

#[test]
fn status_0_after_a_fatal_line_is_no_good_end() {
    let celery = |words: &str| {
        told("/usr/bin/python3 -m celery", |scene, main| {
            scene.fails_to(main, "connect", "127.0.0.1:5672", Errno::ECONNREFUSED);
            scene.says(main, words).exits(main, 0);
        })
    };
    let verdict = celery(
        "[2026-01-01 10:00:00,243: CRITICAL/MainProcess] Unrecoverable error: ConnectionRefusedError(111, 'Connection refused')\n",
    );
    check(&verdict, Cause::ConnectionRefused);
    assert_eq!(verdict.confidence, Likely);
    let quoted = celery("ERROR:root:consumer stopped, giving up\n");
    check(&quoted, Cause::ExitedByItself);
    assert!(quoted.summary.contains("consumer stopped"), "{}", quoted.summary);
    // A refusal that it lived with, and an end that nothing explains.
    check(&celery("cache is down, going on without\n"), Cause::ExitedByItself);
}

#[test]
fn a_refusal_is_meant_by_words_that_only_programs_of_that_kind_use() {
    let client = |words: &str| {
        told("/usr/bin/client", |scene, main| {
            scene.fails_to(main, "connect", "127.0.0.1:4730", Errno::ECONNREFUSED);
            scene.says(main, words).after_ms(2000).exits(main, 4);
        })
    };
    for words in [
        "ldap_sasl_bind(SIMPLE): Can't contact LDAP server (-1)\n",
        "Unable to bootstrap from the cluster\n",
        "the job server is not available\n",
    ] {
        let verdict = client(words);
        check(&verdict, Cause::ConnectionRefused);
        assert_eq!(verdict.confidence, Likely, "{words}");
    }
    check(&client("no currency for tenant 7\n"), Cause::ExitedWithError);
}

#[test]
fn a_second_socket_on_a_port_of_its_own_is_not_needed() {
    let server = |own: bool| {
        told("/usr/sbin/mini_httpd", |scene, main| {
            if own {
                scene.binds(main, "tcp [::]:8081", None);
            }
            scene.binds(main, "tcp 0.0.0.0:8081", Some(Errno::EADDRINUSE));
            scene.fails_at(main, "chdir", "/var/www/shop", Errno::ENOENT);
            scene.says(main, "bind: Address already in use\nchdir: No such file or directory\n");
            scene.exits(main, 1);
        })
    };
    check(&server(true), Cause::FileNotFound);
    assert_ne!(server(false).cause, Cause::ExitedWithError);
}

#[test]
fn what_is_looked_for_after_the_complaint_belongs_to_the_end() {
    let cmake = |complaint: &str| {
        told("/usr/bin/cmake -B build", |scene, main| {
            if !complaint.is_empty() {
                scene.says(main, complaint);
            }
            scene.fails_at(main, "rename", "/app/build/Cache.txt.tmp", Errno::ENOENT);
            scene.exits(main, 1);
        })
    };
    check(&cmake("CMake Error: could not find a package \"ShopCore\"\n"), Cause::ExitedWithError);
    check(&cmake(""), Cause::FileNotFound);
    // Some say what they are about to find out.
    check(&cmake("cannot open /app/build/Cache.txt.tmp\n"), Cause::FileNotFound);
}

#[test]
fn a_file_that_the_command_line_names_is_meant_by_a_complaint_of_none() {
    let webhook = |words: &str| {
        told("/usr/bin/webhook -hooks /etc/hooks.json", |scene, main| {
            scene.fails_at(main, "openat", "/etc/hooks.json", Errno::ENOENT);
            scene.says(main, words).exits(main, 1);
        })
    };
    let verdict = webhook("couldn't load any hooks from file!\naborting execution\n");
    check(&verdict, Cause::FileNotFound);
    assert_eq!(verdict.confidence, Likely);
    check(&webhook("could not parse /etc/other.json: bad token\n"), Cause::ExitedWithError);
}

#[test]
fn an_answer_that_nothing_is_mapped_refuses_no_memory() {
    for (call, cause) in [
        ("mincore", Cause::ExitedWithError),
        ("msync", Cause::ExitedWithError),
        ("madvise", Cause::ExitedWithError),
        ("brk", Cause::MemoryAllocationFailed),
    ] {
        let verdict = told("/usr/lib/lisp.run", |scene, main| {
            scene.call(main, call, Errno::ENOMEM, Object::None, [0; 5]).exits(main, 1);
        });
        check(&verdict, cause);
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_the_file_that_was_to_be_made() {
    let sqlite = |path: &str, flags: u64| {
        told("/usr/bin/python3 manage.py migrate", |scene, main| {
            let object = Object::Path { path: path.into(), truncated: false };
            scene.call(main, "openat", Errno::EACCES, object, [u64::MAX, 0, flags, 0, 0]);
            scene.says(main, "Traceback (most recent call last):\n  File \"/app/m.py\", line 2, in <module>\n    connect()\ndjango.db.utils.OperationalError: unable to open database file\n");
            scene.exits(main, 1);
        })
    };
    check(&sqlite("/data/shop", O_WRONLY_CREAT), Cause::PermissionDenied);
    check(&sqlite("/data/shop.sqlite3", 0), Cause::PermissionDenied);
    check(&sqlite("/data/key.pem", 0), Cause::UncaughtException);
}

#[test]
fn ssh_tells_why_what_speaks_through_it_ended() {
    let git = |status: u8| {
        told("/usr/bin/git clone git@git.shop:api.git", |scene, git| {
            let ssh = scene.runs(git, "/usr/bin/ssh git@git.shop");
            scene.says(ssh, "ssh: Could not resolve hostname git.shop\n").exits(ssh, status);
            scene.says(git, "fatal: Could not read from remote repository.\n").exits(git, 128);
        })
    };
    let quotes = |verdict: &Verdict| verdict.summary.contains("resolve hostname");
    assert!(quotes(&git(255)), "{}", git(255).summary);
    assert!(!quotes(&git(1)), "{}", git(1).summary);
}

#[test]
fn a_limit_that_was_refused_is_named_as_such() {
    let memcached = |words: &str| {
        told("/usr/bin/memcached -c 4096", |scene, main| {
            scene.call(main, "prlimit64", Errno::EPERM, Object::None, [0, 7, 1, 0, 0]);
            scene.says(main, words).exits(main, 71);
        })
    };
    check(&memcached("failed to set rlimit for open files.\n"), Cause::PermissionDenied);
    check(&memcached("failed to read the config\n"), Cause::ExitedWithError);
}

#[test]
fn a_program_that_was_looked_for_along_path_could_not_be_run() {
    let git = |folders: &[&str]| {
        told("/usr/bin/git commit", |scene, main| {
            for folder in folders {
                let path = format!("{folder}/nano-shop");
                scene.fails_at(main, "newfstatat", &path, Errno::ENOENT);
            }
            scene.says(main, "error: cannot run nano-shop: No such file or directory\n");
            scene.exits(main, 1);
        })
    };
    let verdict = git(&["/usr/local/bin", "/usr/bin", "/bin"]);
    check(&verdict, Cause::ExecNotFound);
    assert!(verdict.summary.contains("nano-shop"), "{}", verdict.summary);
    check(&git(&["/etc/shop"]), Cause::FileNotFound);
}

#[test]
fn a_warning_by_its_level_is_no_complaint_where_an_error_follows() {
    let fastify = |level: u32, wait_ms: u64| {
        told("/usr/bin/node app.js", |scene, main| {
            scene.fails_to(main, "connect", "127.0.0.1:6395", Errno::ECONNREFUSED);
            let cache = format!(
                "{{\"level\":{level},\"msg\":\"cache off: connect ECONNREFUSED 127.0.0.1:6395\"}}\n"
            );
            let plugin = "{\"level\":50,\"msg\":\"plugin did not start in time\"}\n";
            scene.says(main, &format!("{cache}{plugin}")).after_ms(wait_ms).exits(main, 1);
        })
    };
    check(&fastify(40, 1500), Cause::ExitedWithError);
    check(&fastify(40, 5), Cause::ExitedWithError);
    check(&fastify(50, 5), Cause::ConnectionRefused);
}

#[test]
fn a_protocol_that_is_not_tls_is_none_of_its_failures() {
    let client = |line: &str| {
        told("/usr/bin/python3 app.py", |scene, main| {
            let trace = format!(
                "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in <module>\n    go()\n{line}\n"
            );
            scene.says(main, &trace).exits(main, 1);
        })
    };
    check(
        &client("ValueError: unsupported protocol; expected HTTP/1.1: HTTP/1.0 404 Not here"),
        Cause::UncaughtException,
    );
    check(
        &client("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
        Cause::TlsFailed,
    );
}

#[test]
fn a_child_that_the_shell_ended_itself_is_not_why_it_ended() {
    let (mut scene, shell) = Scene::running("/bin/bash all.sh");
    let first = scene.runs(shell, "/usr/bin/python3 inbox.py");
    let second = scene.runs(shell, "/usr/bin/python3 mail.py");
    scene.exits(first, 1).says(shell, "a worker left (1), stopping the rest\n");
    let sender = scene.of(shell).clone();
    scene.sends(&sender, second, Signal::SIGTERM, Disposition::Default);
    scene.dies(second, Signal::SIGTERM).exits(shell, 1);
    assert_ne!(scene.verdict().cause, Cause::KilledBySignal, "{}", scene.verdict().summary);
}

const BAD_AMOUNT: &str = "Traceback (most recent call last):\n  File \"/srv/app/app.py\", line 17, in <module>\n    total += Decimal(row)\ndecimal.InvalidOperation: [<class 'decimal.ConversionSyntax'>]\n";

#[test]
fn an_exception_below_a_logged_refusal_tells_of_itself() {
    let refused = |above: &str, trace: &str| {
        let (mut scene, main) = Scene::running("/usr/bin/python3");
        scene.fails_to(main, "connect", "10.0.0.8:6379", Errno::ECONNREFUSED);
        scene.after_ms(500).says(main, &format!("{above}{trace}")).exits(main, 1);
        scene.verdict()
    };
    let error = "2026-11-29 16:00:01 ERROR redis failed: [Errno 111] Connection refused\n";
    let warning = "2026-11-29 16:00:02 WARNING continuing with the in-memory cache\n";
    let went_on = refused(&format!("{error}{warning}"), BAD_AMOUNT);
    assert_ne!(went_on.cause, Cause::ConnectionRefused, "{}", went_on.summary);
    assert!(went_on.summary.contains("InvalidOperation"), "{}", went_on.summary);
    // Whether the line right above belongs to it nobody can tell.
    let beside = refused(error, BAD_AMOUNT);
    assert!(
        beside.cause == Cause::ExitedWithError || beside.confidence != Proven,
        "{}",
        beside.summary
    );
    let own = "Traceback (most recent call last):\n  File \"/srv/app/app.py\", line 9, in <module>\nConnectionRefusedError: [Errno 111] Connection refused\n";
    assert_eq!(refused(error, own).cause, Cause::ConnectionRefused);
}

#[test]
fn a_parent_that_names_the_signal_of_its_child_passes_blame_on() {
    for (words, blamed) in [
        ("make: *** [Makefile:5: table] Floating point exception\n", true),
        ("supervisor: rates died of SIGFPE\n", true),
        ("worker 3 was terminated abruptly\n", false),
        ("rates: no rates for today\n", false),
    ] {
        let (mut scene, main) = Scene::running("/usr/bin/make");
        let child = scene.runs(main, "/srv/app/rates");
        scene.dies(child, Signal::SIGFPE).says(main, words).exits(main, 2);
        let verdict = scene.verdict();
        assert_eq!(verdict.cause != Cause::ExitedWithError, blamed, "{words}: {}", verdict.summary);
    }
}

#[test]
fn xargs_tells_by_its_status_how_its_commands_ended() {
    for (status, code, blamed) in
        [(123, 1, true), (124, 255, true), (123, 255, false), (1, 4, false)]
    {
        let (mut scene, main) = Scene::running("/usr/bin/xargs");
        let first = scene.runs(main, "/srv/app/resize");
        scene.says(first, "resize: a.png has no pixels\n").exits(first, code);
        let second = scene.runs(main, "/srv/app/resize");
        scene.exits(second, 0).exits(main, status);
        let summary = scene.verdict().summary;
        assert_eq!(summary.starts_with("resize"), blamed, "{status} {code}: {summary}");
    }
}

#[test]
fn a_shell_that_speaks_for_itself_after_a_hidden_child_is_not_that_childs_end() {
    let (mut scene, main) = Scene::running("/bin/sh");
    let cat = scene.runs(main, "/bin/cat");
    scene.fails_at(cat, "openat", "in/b.png.meta", Errno::ENOENT);
    scene.says_to_nobody(cat, "cat: in/b.png.meta: No such file or directory\n").exits(cat, 1);
    scene.says(main, "thumbnail: in/b.png: not a PNG file\n").exits(main, 1);
    let verdict = scene.expect_by_words();
    assert!(verdict.summary.contains("not a PNG"), "{}", verdict.summary);
}

#[test]
fn a_trap_that_ends_its_own_group_ends_of_what_failed_right_before() {
    for (later_ms, wanted) in [(5, Cause::UncaughtException), (900, Cause::KilledBySignal)] {
        let (mut scene, main) = Scene::running("/bin/bash");
        let child = scene.runs(main, "/usr/bin/python3");
        scene.says(child, BAD_AMOUNT).exits(child, 1).after_ms(later_ms);
        let shell = scene.of(main).clone();
        scene.sends(&shell, main, Signal::SIGTERM, Disposition::Default);
        scene.dies(main, Signal::SIGTERM);
        let verdict = scene.verdict();
        assert_eq!(verdict.cause, wanted, "{later_ms}: {}", verdict.summary);
    }
}

#[test]
fn what_a_shell_threw_away_long_before_its_end_it_counted_on() {
    for (later_ms, wanted) in [(3_000, Cause::ExitedWithError), (1, Cause::FileNotFound)] {
        let (mut scene, main) = Scene::running("/bin/bash");
        scene.fails_at(main, "openat", "/etc/agent/agent.env", Errno::ENOENT);
        scene.says_to_nobody(main, "/etc/agent/agent.env: No such file or directory\n");
        scene.after_ms(later_ms).exits(main, 1);
        assert_eq!(scene.verdict().cause, wanted, "{later_ms}");
    }
}

#[test]
fn a_complaint_that_begins_with_its_place_is_quoted() {
    let (mut scene, main) = Scene::running("/usr/sbin/named");
    scene.says(main, "/etc/named.conf:3: bad secret 'bad base64 encoding'\nloading configuration: failure\nexiting (due to fatal error)\n");
    let verdict = scene.exits(main, 1).expect_by_words();
    assert!(verdict.summary.contains("bad secret"), "{}", verdict.summary);
}

#[test]
fn a_supervisor_that_a_child_asked_to_stop_ends_of_what_had_failed_before() {
    for (command, again, blamed) in [
        ("/usr/bin/supervisord", false, true),
        ("/usr/bin/supervisord", true, false),
        ("/bin/sh", false, false),
    ] {
        let (mut scene, main) = Scene::running(command);
        let listener = scene.runs(main, "/srv/app/listener");
        let web = scene.runs(main, "/srv/app/web");
        scene.fails_at(web, "openat", "/srv/app/tenants.json", Errno::ENOENT);
        scene.says(web, "cannot open /srv/app/tenants.json: No such file or directory\n");
        scene.exits(web, 1);
        if again {
            scene.after_ms(500).runs(main, "/srv/app/web");
        }
        scene.after_ms(1_000);
        let asking = scene.of(listener).clone();
        scene.sends(&asking, main, Signal::SIGTERM, Disposition::Handled).after_ms(20);
        scene.exits(listener, 0).exits(main, 0);
        let verdict = scene.verdict();
        let found = verdict.cause == Cause::FileNotFound;
        assert_eq!(found, blamed, "{command} {again}: {}", verdict.summary);
    }
}

#[test]
fn a_logger_that_names_its_place_does_not_complain() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.says(
        main,
        "fatal: realm has no key\n2026/01/02 10:00:00 /src/app/main.go:33: shutting down\n",
    );
    let verdict = scene.exits(main, 1).expect_by_words();
    assert!(verdict.summary.contains("realm has no key"), "{}", verdict.summary);
}
