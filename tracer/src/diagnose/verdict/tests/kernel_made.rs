//! Signals that no process sent, faults that a handler caught, and who stands behind a sender.

use crate::{
    capture::event::{Disposition, SignalEvent, Status},
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::{Scene, Who},
    },
    linux::{
        errno::Errno,
        signal::{Signal, SignalCode},
    },
};

/// A signal of that code, generated while some other process ran.
fn generated(scene: &mut Scene, who: Who, signal: Signal, code: SignalCode, by: &str) {
    let bystander = scene.outsider(by);
    scene.faults_with(who, signal, 0, |it: &mut SignalEvent| {
        (it.code, it.sender, it.sender_exe) = (code, bystander.clone(), by.into());
    });
}

#[test]
fn a_timer_names_no_sender() {
    for (code, source) in
        [(-2, "a timer of its own"), (-3, "a message queue"), (-5, "a descriptor")]
    {
        let (mut scene, main) = Scene::running("/app/server");
        generated(&mut scene, main, Signal::SIGALRM, SignalCode::Other(code), "runc");
        scene.dies(main, Signal::SIGALRM);
        let verdict = scene.expect(Cause::KilledBySignal, Proven);
        assert!(verdict.summary.contains(source), "{}", verdict.summary);
        assert!(!verdict.summary.contains("runc"), "{}", verdict.summary);
        assert!(!verdict.details.contains_key("sender_pid"));
    }
}

#[test]
fn a_timer_that_raises_sigterm_while_a_runtime_runs_is_no_stop() {
    let (mut scene, main) = Scene::running("/app/server");
    generated(&mut scene, main, Signal::SIGTERM, SignalCode::Other(-2), "runc");
    scene.dies(main, Signal::SIGTERM);
    scene.expect(Cause::KilledBySignal, Proven);
}

#[test]
fn a_process_that_only_calls_itself_a_runtime_is_none() {
    let (mut scene, main) = Scene::running("/app/server");
    let mut impostor = scene.outsider("runc");
    impostor.comm = "runc".into();
    scene.sends(&impostor, main, Signal::SIGTERM, Disposition::Handled);
    if let Some(crate::capture::event::What::Signal(signal)) =
        scene.events.last_mut().map(|it| &mut it.what)
    {
        signal.sender_exe = "python3.11".into();
    }
    scene.exits(main, 143);
    scene.expect(Cause::KilledBySignal, Proven);
}

#[test]
fn an_alarm_that_ran_out_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    generated(&mut scene, main, Signal::SIGALRM, SignalCode::KernelSent, "swapper");
    scene.dies(main, Signal::SIGALRM);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("an alarm that it had set ran out"), "{}", verdict.summary);
}

fn killed_after(user_time_ns: u64, warned: bool, by_itself: bool) -> Scene {
    let (mut scene, main) = Scene::running("/app/server");
    if warned {
        scene.faults_with(main, Signal::SIGXCPU, 0, |it| {
            (it.code, it.disposition) = (SignalCode::KernelSent, Disposition::Ignored);
        });
    }
    if by_itself {
        scene.faults_with(main, Signal::SIGKILL, 0, |it| it.code = SignalCode::KernelSent);
    } else {
        generated(&mut scene, main, Signal::SIGKILL, SignalCode::KernelSent, "init");
    }
    let status = Status { code: None, signal: Some(Signal::SIGKILL), core: false };
    scene.ends(main, status, |exit| exit.user_time_ns = user_time_ns);
    scene
}

#[test]
fn a_kill_at_the_limit_of_cpu_time_names_the_limit() {
    for (user_time_ns, warned) in [(2_004_000_000, false), (3_400_000_000, true)] {
        let verdict =
            killed_after(user_time_ns, warned, true).expect(Cause::KilledBySignal, Proven);
        assert!(verdict.summary.contains("RLIMIT_CPU"), "{}", verdict.summary);
        assert_eq!(verdict.details["limit_name"], "RLIMIT_CPU");
    }
    for (user_time_ns, by_itself) in [(1_500_000_000, true), (2_004_000_000, false)] {
        let verdict = killed_after(user_time_ns, false, by_itself).verdict();
        assert!(!verdict.summary.contains("RLIMIT_CPU"), "{}", verdict.summary);
    }
}

/// A fault that a handler caught, and the signal that it raised then.
fn caught(address: u64, raised: Signal, wait_ms: u64, words: &str) -> Scene {
    let (mut scene, main) = Scene::running("/usr/bin/python3 -X faulthandler /app.py");
    scene.faults_with(main, Signal::SIGSEGV, 1, |it| {
        (it.address, it.disposition) = (Some(address), Disposition::Handled);
    });
    scene.after_ms(wait_ms);
    if !words.is_empty() {
        scene.says(main, words);
    }
    scene.faults_with(main, raised, 0, |it| it.code = SignalCode::Thread).dies(main, raised);
    scene
}

#[test]
fn a_fault_that_a_handler_raised_again_is_the_cause() {
    let scene = caught(0, Signal::SIGSEGV, 5, "Fatal Python error: Segmentation fault\n");
    let verdict = scene.expect(Cause::Segfault, Proven);
    assert!(verdict.summary.contains("null pointer"), "{}", verdict.summary);
    // hs_err of the JVM, and Ruby's [BUG], end by an abort.
    for (wait_ms, words) in [
        (
            900,
            "# A fatal error has been detected by the Java Runtime Environment:\n#  SIGSEGV (0xb) at pc=0x0\n",
        ),
        (40, "app.rb:3: [BUG] Segmentation fault at 0x0000000000000010\n"),
    ] {
        let verdict = caught(0x7f00_0000, Signal::SIGABRT, wait_ms, words).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Segfault, Proven));
        assert!(verdict.summary.contains("ended it by SIGABRT"), "{}", verdict.summary);
    }
    caught(0x7f00_0000, Signal::SIGABRT, 1, "").expect(Cause::Segfault, Likely);
}

#[test]
fn a_fault_that_was_caught_long_before_an_abort_is_not_its_cause() {
    let scene = caught(0, Signal::SIGABRT, 2000, "assertion `n > 0' failed\n");
    scene.expect(Cause::Abort, Proven);
}

#[test]
fn the_script_behind_a_sender_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    let check = scene.runs(main, "/bin/sh -c /healthcheck");
    let kill = scene.runs(check, "/bin/kill 1");
    let sender = scene.of(kill).clone();
    scene.sends(&sender, main, Signal::SIGTERM, Disposition::Handled).exits(main, 143);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("run by `/bin/sh -c /healthcheck`"), "{}", verdict.summary);
    assert_eq!(verdict.details["sender_parent_command"], "/bin/sh -c /healthcheck");
}

#[test]
fn a_builtin_kill_is_named_by_its_script() {
    let (mut scene, main) = Scene::running("/app/server");
    let check = scene.runs(main, "/bin/sh /watchdog.sh");
    let sender = scene.of(check).clone();
    scene.sends(&sender, main, Signal::SIGKILL, Disposition::Default).dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("`/bin/sh /watchdog.sh`"), "{}", verdict.summary);
}

#[test]
fn a_shell_that_misses_a_setting_does_not_miss_itself() {
    for words in ["", "/entry.sh: line 3: DB_HOST: must be set\n"] {
        let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
        for name in ["bash", "ls"] {
            for folder in ["/usr/local/sbin", "/usr/local/bin"] {
                scene.fails_at(shell, "newfstatat", &format!("{folder}/{name}"), Errno::ENOENT);
            }
        }
        let list = scene.runs(shell, "/usr/bin/ls");
        scene.exits(list, 0);
        if !words.is_empty() {
            scene.says(shell, words);
        }
        scene.exits(shell, 127);
        scene.expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_status_of_127_with_another_reason_misses_no_command() {
    let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
    for folder in ["/usr/local/bin", "/usr/bin"] {
        scene.fails_at(shell, "newfstatat", &format!("{folder}/jq"), Errno::ENOENT);
    }
    scene.says(shell, "/entry.sh: line 9: TOKEN: parameter null or not set\n").exits(shell, 127);
    scene.expect_by_words();
}
