//! Faults, seccomp, abort and signals from others.

use crate::{
    capture::event::{Delivery, Disposition, Status},
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::Scene,
    },
    linux::{
        errno::Errno,
        signal::{Signal, SignalCode},
    },
};

#[test]
fn a_fault_names_its_address() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults(main, Signal::SIGSEGV, 1, Some(0x10)).dies(main, Signal::SIGSEGV);
    let verdict = scene.expect(Cause::Segfault, Proven);
    assert!(verdict.summary.contains("null pointer (address 0x10)"), "{}", verdict.summary);
}

#[test]
fn of_two_faults_of_a_program_with_a_handler_the_last_counts() {
    let (mut scene, main) = Scene::running("/app/server");
    for address in [0xdead_0000, 0xbeef_0000] {
        scene.faults(main, Signal::SIGSEGV, 1, Some(address));
    }
    scene.dies(main, Signal::SIGSEGV);
    assert_eq!(scene.expect(Cause::Segfault, Proven).details["fault_address"], "0xbeef0000");
}

#[test]
fn a_core_dump_is_told() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults(main, Signal::SIGBUS, 2, Some(0x7f00_0000));
    let status = Status { code: None, signal: Some(Signal::SIGBUS), core: true };
    scene.ends(main, status, |_| {});
    assert_eq!(scene.expect(Cause::BusError, Proven).details["core"], true);
}

#[test]
fn a_thread_that_is_not_the_leader_is_told() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults(main, Signal::SIGSEGV, 1, Some(0x10));
    scene.events.last_mut().expect("a fault").process.tid += 7;
    scene.dies(main, Signal::SIGSEGV);
    assert!(scene.expect(Cause::Segfault, Proven).summary.contains("not its first"));
}

#[test]
fn illegal_instructions_and_divisions_have_causes_of_their_own() {
    for (signal, code, cause) in [
        (Signal::SIGILL, 2, Cause::IllegalInstruction),
        (Signal::SIGFPE, 1, Cause::ArithmeticFault),
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.faults(main, signal, code, Some(0x40_1000)).dies(main, signal);
        scene.expect(cause, Proven);
    }
}

#[test]
fn a_seccomp_kill_names_the_system_call() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults_with(main, Signal::SIGSYS, 1, |it| it.syscall = Some((165, "mount")));
    scene.dies(main, Signal::SIGSYS);
    let verdict = scene.expect(Cause::SeccompViolation, Proven);
    assert!(verdict.summary.contains("mount"), "{}", verdict.summary);
}

#[test]
fn an_abort_quotes_last_words_and_the_failure_before() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails(main, "mmap", Errno::ENOMEM).says(main, "assertion `x' failed\n");
    scene.faults_with(main, Signal::SIGABRT, 0, |it| it.code = SignalCode::Thread);
    scene.dies(main, Signal::SIGABRT);
    let verdict = scene.expect(Cause::Abort, Proven);
    assert!(verdict.summary.contains("assertion `x' failed"), "{}", verdict.summary);
    assert!(verdict.summary.contains("mmap had failed with ENOMEM"), "{}", verdict.summary);
}

#[test]
fn an_abort_of_a_containers_main_process_is_one_though_another_signal_ends_it() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.says(main, "assertion `x' failed\n");
    scene.faults_with(main, Signal::SIGABRT, 0, |it| {
        (it.code, it.result) = (SignalCode::Thread, Delivery::Ignored);
    });
    scene.faults(main, Signal::SIGSEGV, 128, None).dies(main, Signal::SIGSEGV);
    let verdict = scene.expect(Cause::Abort, Proven);
    assert!(verdict.summary.contains("SIGSEGV ended it instead"), "{}", verdict.summary);
}

#[test]
fn a_fault_after_an_abort_that_was_handled_is_a_fault() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults_with(main, Signal::SIGABRT, 0, |it| {
        (it.code, it.disposition) = (SignalCode::Thread, Disposition::Handled);
    });
    scene.faults(main, Signal::SIGSEGV, 1, Some(0x10)).dies(main, Signal::SIGSEGV);
    scene.expect(Cause::Segfault, Proven);
}

#[test]
fn a_fault_signal_that_somebody_sent_is_no_fault() {
    for signal in [Signal::SIGSEGV, Signal::SIGABRT] {
        let (mut scene, main) = Scene::running("/app/server");
        let person = scene.outsider("bash");
        scene.sends(&person, main, signal, Disposition::Default).dies(main, signal);
        scene.expect(Cause::KilledBySignal, Proven);
    }
}

#[test]
fn a_fault_turned_into_a_status_is_likely_the_fault() {
    let (mut scene, main) = Scene::running("/app/goserver");
    scene.faults_with(main, Signal::SIGSEGV, 1, |it| {
        (it.address, it.disposition) = (Some(0), Disposition::Handled);
    });
    scene.says(main, "panic: runtime error: invalid memory address or nil pointer dereference\n");
    scene.exits(main, 2);
    scene.expect(Cause::Segfault, Likely);
}

#[test]
fn a_handled_term_from_outside_that_is_no_runtime_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    let person = scene.outsider("kill");
    scene.sends(&person, main, Signal::SIGTERM, Disposition::Handled).exits(main, 143);
    scene.expect(Cause::KilledBySignal, Proven);
}

#[test]
fn a_signal_whose_sender_was_lost_is_still_a_signal() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("not recorded"), "{}", verdict.summary);
}

#[test]
fn a_crashed_helper_is_an_incident_while_main_lives_on() {
    let (mut scene, main) = Scene::running("/app/server");
    let helper = scene.runs(main, "/app/helper");
    scene.faults(helper, Signal::SIGSEGV, 1, Some(0)).dies(helper, Signal::SIGSEGV);
    scene.after_ms(5000).exits(main, 0);
    let incidents = scene.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].cause, Cause::Segfault);
}

#[test]
fn a_kill_after_an_ignored_term_tells_both() {
    let (mut scene, main) = Scene::running("/app/server");
    let person = scene.outsider("kill");
    scene.sends(&person, main, Signal::SIGTERM, Disposition::Ignored);
    scene.after_ms(5000).sends(&person, main, Signal::SIGKILL, Disposition::Default);
    scene.dies(main, Signal::SIGKILL);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert!(verdict.summary.contains("ignores SIGTERM"), "{}", verdict.summary);
    assert_eq!(verdict.details["reaction"], "ignored");
}

#[test]
fn a_handler_that_raises_the_signal_again_does_not_hide_its_sender() {
    let (mut scene, main) = Scene::running("/usr/bin/python3 /app/main.py");
    let operator = scene.outsider("kill");
    scene.sends(&operator, main, Signal::SIGINT, Disposition::Handled);
    let own = scene.of(main).clone();
    scene.sends(&own, main, Signal::SIGINT, Disposition::Default).dies(main, Signal::SIGINT);
    let verdict = scene.expect(Cause::KilledBySignal, Proven);
    assert_eq!(verdict.details["sender_comm"], "kill", "{}", verdict.summary);
}
