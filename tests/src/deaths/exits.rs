//! Ends that nothing but the program itself explains, and the noise that must not be taken for a cause.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Bundle, Death, Need, Stage};

const SHELL: &[Need] = &[Need::Root, Need::Tool("sh")];

pub const DEATHS: &[Death] = &[
    Death::new("exit_0", "exited_by_itself", Code(0), exit_0).says(&["0"]),
    Death::new("exit_0_hiding_a_child", "exited_by_itself", Code(0), hiding_a_child)
        .says(&["SIGSEGV"])
        .needs(SHELL),
    Death::new("exit_3_silent", "exited_with_error", Code(3), exit_3_silent).says(&["3"]),
    Death::new("exit_1_with_words", "exited_with_error", Code(1), exit_1_with_words)
        .says(&["realm macula is not configured"]),
    Death::new("wrapper_passes_code_on", "exited_with_error", Code(4), wrapper)
        .says(&["quota is used up", "victim"])
        .needs(SHELL),
    Death::new("interpreter_syntax_error", "uncaught_exception", Code(1), interpreter)
        .says(&["SyntaxError: invalid syntax"]),
    Death::new("perl_syntax_error", "exited_with_error", Code(255), perl)
        .says(&["syntax error"])
        .needs(&[Need::Root, Need::Tool("perl")]),
    Death::new("file_done_without", "exited_with_error", Code(4), file_done_without)
        .says(&["licence period is over"])
        .needs(&[Need::Root, Need::Tool("perl")]),
    Death::new("set_up_refused", "exited_with_error", Code(1), set_up_refused)
        .says(&["could not set the container up", "/no-such-secret"])
        .words(&["/no-such-secret"])
        .needs(&[Need::Root, Need::Tool("runc")]),
    Death::new("bind_retried", "exited_with_error", Code(1), bind_retried)
        .says(&["configuration has no realm"]),
    Death::new("child_failure_handled", "exited_with_error", Code(3), child_failure_handled)
        .says(&["licence period is over"]),
];

fn exit_0(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "exit", "0"]))
}

fn hiding_a_child(stage: &Stage) -> Result<Act> {
    let line = format!("{} segfault 0; true", stage.path("victim"));
    Ok(Act::new(["sh", "-c", &line]))
}

fn exit_3_silent(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "exit", "3"]))
}

fn exit_1_with_words(stage: &Stage) -> Result<Act> {
    let words = "fatal: realm macula is not configured";
    Ok(Act::new([&stage.path("victim"), "exit", "1", words]))
}

fn wrapper(stage: &Stage) -> Result<Act> {
    let line = format!("{} exit 4 'quota is used up'; exit $?", stage.path("victim"));
    Ok(Act::new(["sh", "-c", &line]))
}

fn interpreter(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "interpret", &stage.path("modules")]))
}

fn perl(_: &Stage) -> Result<Act> {
    Ok(Act::new(["perl", "-e", "use strict; my $port = ;"]))
}

// What failed last before the end is not what it ends of.
fn file_done_without(stage: &Stage) -> Result<Act> {
    let path = stage.path("optional.toml");
    let program = format!(
        "open(F, '<', '{path}') or warn \"warning: {path}: $!, using defaults\\n\"; print STDERR \"licence period is over\\n\"; exit 4"
    );
    Ok(Act::new(["perl", "-e", &program]))
}

fn set_up_refused(stage: &Stage) -> Result<Act> {
    Bundle::new(stage, "runc", &["/victim", "exit", "0"])?
        .with_mount("/no-such-secret", "/tmp")
        .act()
}

fn bind_retried(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "bind-retry"]))
}

fn child_failure_handled(stage: &Stage) -> Result<Act> {
    let licence = stage.path("licence");
    Ok(Act::new([&stage.path("victim"), "handle-child", &licence]))
}
