//! Deaths by a fault of the program itself.

use anyhow::Result;

use crate::death::Exit::{Code, Core, Signal};
use crate::{Act, Death, Need, Stage};

const SHELL: &[Need] = &[Need::Root, Need::Tool("sh")];

pub const DEATHS: &[Death] = &[
    Death::new("segfault_null", "segfault", Signal("SIGSEGV"), null).proven().says(&["0x0"]),
    Death::new("segfault_wild", "segfault", Signal("SIGSEGV"), wild).proven().says(&["dead000"]),
    Death::new("segfault_in_thread", "segfault", Signal("SIGSEGV"), in_thread)
        .proven()
        .says(&["dead000"]),
    Death::new("segfault_with_core", "segfault", Core("SIGSEGV"), with_core)
        .proven()
        .says(&["core"])
        .needs(&[Need::Root, Need::CoreFile]),
    Death::new("segfault_behind_shell", "segfault", Code(139), behind_shell)
        .proven()
        .says(&["dead000", "victim"])
        .needs(SHELL),
    Death::new("bus_truncated_map", "bus_error", Signal("SIGBUS"), truncated_map).proven(),
    Death::new("illegal_opcode", "illegal_instruction", Signal("SIGILL"), illegal).proven(),
    Death::new("processor_too_old", "cpu_too_old", Code(127), processor_too_old)
        .proven()
        .says(&["needs_newer_cpu", "beyond x86-64-v4"]),
    Death::new("divided_by_zero", "arithmetic_fault", Signal("SIGFPE"), divided).proven(),
    Death::new("seccomp_killed", "seccomp_violation", Signal("SIGSYS"), seccomp_killed)
        .proven()
        .says(&["ptrace"]),
    Death::new("seccomp_trapped", "seccomp_violation", Signal("SIGSYS"), seccomp_trapped)
        .proven()
        .says(&["ptrace"]),
    Death::new("aborted", "abort", Signal("SIGABRT"), aborted).proven().says(&["SIGABRT"]),
];

fn null(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "segfault", "0"]))
}

fn wild(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "segfault", "0xdead000"]))
}

fn in_thread(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "segfault-thread", "0xdead000"]))
}

fn with_core(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    let act =
        Act::new([&victim, "with", "core=1000000000", "--", &victim, "segfault", "0xdead000"]);
    Ok(act.cwd(stage.folder()))
}

fn behind_shell(stage: &Stage) -> Result<Act> {
    let line = format!("{} segfault 0xdead000; exit $?", stage.path("victim"));
    Ok(Act::new(["sh", "-c", &line]))
}

fn truncated_map(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "bus", &stage.path("mapped")]))
}

fn illegal(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "illegal"]))
}

fn processor_too_old(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("needs_newer_cpu")]))
}

fn divided(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "divide"]))
}

fn seccomp_killed(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "seccomp-kill"]))
}

fn seccomp_trapped(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "seccomp-trap"]))
}

fn aborted(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "abort"]))
}
