//! Commands that never run: the file, its interpreter, its mode or its format.

use anyhow::Result;
use rustix::mount::MountFlags;

use crate::death::Exit::{Code, NotRun};
use crate::{Act, Death, Need, Stage};

const SHELL: &[Need] = &[Need::Root, Need::Tool("sh")];

pub const DEATHS: &[Death] = &[
    Death::new("exec_path_missing", "exec_not_found", NotRun(127), path_missing)
        .proven()
        .says(&["ENOENT"]),
    Death::new("exec_not_in_path", "exec_not_found", NotRun(127), not_in_path)
        .proven()
        .says(&["no-such-server", "PATH"]),
    Death::new("exec_unknown_to_shell", "exec_not_found", Code(127), unknown_to_shell)
        .likely()
        .says(&["no-such-server"])
        .needs(SHELL),
    Death::new("exec_behind_wrapper_missing", "exec_not_found", Code(127), behind_wrapper_missing)
        .says(&["ENOENT"]),
    Death::new("exec_loader_missing", "exec_interpreter_missing", NotRun(127), loader_missing)
        .proven()
        .says(&["/lib/ld-musl-nowhere.so.1"]),
    Death::new("exec_shebang_missing", "exec_interpreter_missing", NotRun(127), shebang_missing)
        .proven()
        .says(&["/usr/bin/no-such-interpreter"]),
    Death::new("exec_shebang_crlf", "exec_interpreter_missing", NotRun(127), shebang_crlf)
        .proven()
        .says(&["/bin/sh", "CRLF"])
        .needs(SHELL),
    Death::new("exec_without_x_bit", "exec_permission_denied", NotRun(126), without_x_bit)
        .proven()
        .says(&["EACCES", "0644"]),
    Death::new("exec_x_bit_in_shell", "exec_permission_denied", Code(126), x_bit_in_shell)
        .likely()
        .needs(SHELL),
    Death::new("exec_noexec_mount", "exec_permission_denied", NotRun(126), noexec_mount)
        .proven()
        .says(&["EACCES", "noexec"]),
    Death::new("exec_closed_folder", "exec_permission_denied", Code(126), closed_folder)
        .says(&["EACCES", "1000"]),
    Death::new("exec_foreign_machine", "exec_format_error", NotRun(126), foreign_machine)
        .proven()
        .says(&["ENOEXEC", "aarch64"]),
    Death::new("exec_garbage", "exec_format_error", NotRun(126), garbage)
        .proven()
        .says(&["ENOEXEC"]),
];

fn path_missing(stage: &Stage) -> Result<Act> {
    let path = stage.path("no-such-server");
    Ok(Act::new([&path]).says(&path))
}

fn not_in_path(_: &Stage) -> Result<Act> {
    Ok(Act::new(["no-such-server"]))
}

fn unknown_to_shell(_: &Stage) -> Result<Act> {
    Ok(Act::new(["sh", "-c", "no-such-server --port 9443"]))
}

fn behind_wrapper_missing(stage: &Stage) -> Result<Act> {
    let path = stage.path("no-such-server");
    Ok(Act::new([&stage.path("victim"), "with", "--", &path]).says(&path))
}

fn loader_missing(stage: &Stage) -> Result<Act> {
    let path = stage.path("loader_gone");
    Ok(Act::new([&path]).says(&path))
}

fn shebang_missing(stage: &Stage) -> Result<Act> {
    let path = stage.file("start", "#!/usr/bin/no-such-interpreter -u\n", 0o755)?;
    Ok(Act::new([&path]).says(&path))
}

fn shebang_crlf(stage: &Stage) -> Result<Act> {
    let path = stage.file("start.sh", "#!/bin/sh\r\nexit 0\r\n", 0o755)?;
    Ok(Act::new([&path]).says(&path))
}

fn without_x_bit(stage: &Stage) -> Result<Act> {
    let path = stage.file("start.sh", "#!/bin/sh\nexit 0\n", 0o644)?;
    Ok(Act::new([&path]).says(&path))
}

fn x_bit_in_shell(stage: &Stage) -> Result<Act> {
    let path = stage.file("start.sh", "#!/bin/sh\nexit 0\n", 0o644)?;
    Ok(Act::new(["sh", "-c", &path]).says(&path))
}

fn noexec_mount(stage: &Stage) -> Result<Act> {
    stage.tmpfs("data", MountFlags::NOEXEC, "size=4m")?;
    let path = stage.copy("hello", "data/server")?;
    Ok(Act::new([&path]).says(&path))
}

// Root may search any folder, so the command must have become another user before it is looked up.
fn closed_folder(stage: &Stage) -> Result<Act> {
    stage.subfolder("closed", 0o700)?;
    let path = stage.copy("hello", "closed/server")?;
    Ok(Act::new([&stage.path("victim"), "with", "uid=1000", "--", &path]).says(&path))
}

fn foreign_machine(stage: &Stage) -> Result<Act> {
    let path = stage.path("foreign");
    Ok(Act::new([&path]).says(&path))
}

fn garbage(stage: &Stage) -> Result<Act> {
    let path = stage.file("server", "\u{1}\u{2}no program at all\n", 0o755)?;
    Ok(Act::new([&path]).says(&path))
}
