//! Programs for newer processors, instructions that end a program by intent, and what only looks like that.

use crate::{
    diagnose::{
        facts::model::{LoaderReport, NeededProcessor},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            Verdict,
            scene::Scene,
        },
    },
    linux::signal::{Signal, SignalCode},
};

/// ILL_ILLOPN (asm-generic/siginfo.h).
const ILL_ILLOPN: i32 = 2;

fn on_processor(flags: &str) -> (Scene, crate::diagnose::verdict::scene::Who) {
    let (mut scene, main) = Scene::running("/app/server");
    scene.facts.machine.cpu_flags = Some(flags.split(' ').map(str::to_owned).collect());
    (scene, main)
}

fn illegal(flags: &str, instruction: &[u8], says: &str) -> Verdict {
    let (mut scene, main) = on_processor(flags);
    scene.faults_with(main, Signal::SIGILL, ILL_ILLOPN, |it| {
        it.address = Some(0x40_1000);
        it.instruction = instruction.to_vec();
    });
    if !says.is_empty() {
        scene.says(main, says);
    }
    scene.dies(main, Signal::SIGILL).verdict()
}

#[test]
fn an_instruction_that_the_processor_lacks_is_named_by_its_extension() {
    const V2: &str = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3";
    for (flags, instruction, extension) in [
        (V2, &[0xc5, 0xfc, 0x58, 0xc1][..], "AVX"),
        ("avx avx2", &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07], "AVX-512"),
        ("ssse3", &[0xf3, 0x48, 0x0f, 0xb8, 0xc1], "POPCNT"),
        ("cx16", &[0x66, 0x0f, 0x38, 0x17, 0xc0], "SSE4"),
    ] {
        let verdict = illegal(flags, instruction, "");
        assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuTooOld, Proven));
        assert!(verdict.summary.contains(extension), "{}", verdict.summary);
    }
}

#[test]
fn an_instruction_that_the_processor_has_is_not_called_too_new() {
    for (flags, instruction) in
        [("avx avx2", &[0xc5, 0xfc, 0x58, 0xc1][..]), ("avx512f", &[0x62, 0xf1, 0x7c]), ("", &[])]
    {
        let verdict = illegal(flags, instruction, "");
        assert_eq!(verdict.cause, Cause::IllegalInstruction, "{}", verdict.summary);
        assert!(verdict.summary.contains("undefined, or"), "{}", verdict.summary);
    }
    // A recording of another machine, or before flags were noted.
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults_with(main, Signal::SIGILL, ILL_ILLOPN, |it| it.instruction = vec![0xc5, 0xfc]);
    scene.dies(main, Signal::SIGILL).expect(Cause::IllegalInstruction, Proven);
}

#[test]
fn ud2_is_an_end_by_intent() {
    let verdict = illegal("cx16", &[0x0f, 0x0b, 0xc5, 0xfc], "");
    assert_eq!(verdict.cause, Cause::IllegalInstruction);
    assert!(verdict.summary.contains("by intent"), "{}", verdict.summary);
    assert!(!verdict.summary.contains("does not have"), "{}", verdict.summary);
}

#[test]
fn a_warning_before_an_illegal_instruction_says_what_was_missing() {
    let says = "WARNING: MongoDB 5.0+ requires a CPU with AVX support, and your current system does not appear to have that!\n";
    let verdict = illegal("cx16", &[], says);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuTooOld, Likely));
    // The same warning, and another end.
    let (mut scene, main) = on_processor("cx16");
    scene.says(main, says).exits(main, 1);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn words_that_ask_for_another_processor_are_a_reason() {
    for words in [
        "This program can only be run on AMD64 processors with v3 microarchitecture support.\n",
        "Fatal glibc error: CPU does not support x86-64-v2\n",
        "/app/server: CPU ISA level is lower than required\n",
        "RuntimeError: NumPy was built with baseline optimizations: \n(X86_V2) but your machine doesn't support:\n(X86_V2).\n",
    ] {
        let (mut scene, main) = on_processor("cx16");
        scene.says(main, words).exits(main, 1);
        assert_eq!(scene.verdict().cause, Cause::CpuTooOld, "{words}");
    }
    for words in ["error: the processor does not answer\n", "cpu limit exceeded\n"] {
        let (mut scene, main) = on_processor("cx16");
        scene.says(main, words).exits(main, 1);
        assert_eq!(scene.verdict().cause, Cause::ExitedWithError, "{words}");
    }
}

#[test]
fn a_level_that_a_file_asks_for_is_compared_with_the_processor() {
    let asks = |levels: u32, says: &str| {
        let (mut scene, main) = on_processor("cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3");
        let processor = vec![NeededProcessor { file: "/usr/lib/libfast.so.1".into(), levels }];
        scene.facts.loader = Some(LoaderReport {
            executable: "/app/server".into(),
            processor,
            ..LoaderReport::default()
        });
        if !says.is_empty() {
            scene.says(main, says);
        }
        scene.exits(main, 127).verdict()
    };
    let said = "/app/server: CPU ISA level is lower than required\n";
    let verdict = asks(0b111, said);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuTooOld, Proven));
    assert!(verdict.summary.contains("libfast.so.1") && verdict.summary.contains("x86-64-v3"));
    let silent = asks(0b111, "");
    assert_eq!((silent.cause, silent.confidence), (Cause::CpuTooOld, Likely));
    assert_ne!(asks(0b11, "").cause, Cause::CpuTooOld);
}

#[test]
fn a_breakpoint_instruction_of_its_own_is_an_abort() {
    for code in [128, 1] {
        let (mut scene, main) = Scene::running("/usr/bin/node app.js");
        scene.faults(main, Signal::SIGTRAP, code, None).dies(main, Signal::SIGTRAP);
        let verdict = scene.expect(Cause::Abort, Proven);
        assert!(verdict.summary.contains("SIGTRAP"), "{}", verdict.summary);
    }
    // Somebody else sent it.
    let (mut scene, main) = Scene::running("/usr/bin/node app.js");
    let sender = scene.outsider("gdb");
    scene.sends(&sender, main, Signal::SIGTRAP, crate::capture::event::Disposition::Default);
    scene.dies(main, Signal::SIGTRAP).expect(Cause::KilledBySignal, Proven);
    assert!(SignalCode::User.names_sender());
}
