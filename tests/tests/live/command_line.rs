//! `tracer exec` as a command: streams, signals, exit codes, what lives on. Knows nothing of how causes are found.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tests::{Act, End, Need, Stage};

use crate::tracer::Tracer;
use crate::verdict::Verdict;

const SHELL: &[Need] = &[Need::Root, Need::Tool("sh")];
const SCRIPT: &str = "echo to stdout; echo to stderr >&2; exit 3";

#[test]
fn stdin_reaches_the_command_and_its_stdout_is_left_alone() -> Result<()> {
    let needs = [Need::Root, Need::Tool("cat")];
    let Some(tracer) = Tracer::here("stdin_reaches_the_command", &needs) else { return Ok(()) };
    let mut child = Command::new(tracer.binary())
        .args(["exec", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().context("stdin is piped")?.write_all(b"through and through")?;
    let done = child.wait_with_output()?;
    assert_eq!(String::from_utf8_lossy(&done.stdout), "through and through");
    assert_eq!(done.status.code(), Some(0));
    Ok(())
}

#[test]
fn json_has_stdout_for_itself() -> Result<()> {
    let Some(tracer) = Tracer::here("json_has_stdout_for_itself", SHELL) else { return Ok(()) };
    let ran = Act::new(["sh", "-c", SCRIPT]).run(&tracer.exec(&["-o", "json"]))?;
    Verdict::parse(&ran.stdout)?.check_schema()?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(stderr.contains("to stdout\n") && stderr.contains("to stderr\n"), "{stderr}");
    Ok(())
}

#[test]
fn an_output_file_leaves_all_streams_alone() -> Result<()> {
    let Some(tracer) = Tracer::here("an_output_file", SHELL) else { return Ok(()) };
    let stage = Stage::new()?;
    let file = stage.path("verdict.json");
    let prefix = tracer.exec(&["-o", "json", "--output-file", &file]);
    let ran = Act::new(["sh", "-c", SCRIPT]).run(&prefix)?;
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "to stdout\n");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "to stderr\n");
    assert_eq!(Verdict::parse(&std::fs::read(file)?)?.cause(), "exited_with_error");
    Ok(())
}

#[test]
fn text_goes_to_stderr_and_has_no_colour_where_there_is_no_terminal() -> Result<()> {
    let Some(tracer) = Tracer::here("text_goes_to_stderr", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let act = Act::new([&stage.path("victim"), "exit", "3", "the last words"]);
    let ran = act.run(&tracer.exec(&[]))?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&ran.stdout));
    assert!(stderr.matches("the last words").count() > 1, "the words are not quoted: {stderr}");
    assert!(!stderr.contains('\u{1b}'), "escape sequences: {stderr:?}");
    Ok(())
}

#[test]
fn a_signal_to_the_tracer_is_passed_on_to_the_command() -> Result<()> {
    let Some(tracer) = Tracer::here("a_signal_to_the_tracer", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let ready = stage.ready("ready")?;
    let fifo = ready.path().to_string_lossy().into_owned();
    let act = Act::new([&stage.path("victim"), "wait-handling", &fifo, "143"]);
    let ran = act
        .meanwhile(move |ended| {
            let said = ready.wait(ended)?;
            Ok(kill_process(parent_of(said.pid)?, Signal::TERM)?)
        })
        .run(&tracer.exec(&["-o", "json"]))?;
    assert!(matches!(ran.end, End::Code(143)), "{:?}", ran.end);
    assert!(Verdict::parse(&ran.stdout)?.contains("SIGTERM"));
    Ok(())
}

#[test]
fn a_child_that_lives_on_is_named_and_left_running() -> Result<()> {
    let Some(tracer) = Tracer::here("a_child_that_lives_on", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let (ready, (told, said)) = (stage.ready("ready")?, std::sync::mpsc::channel());
    let fifo = ready.path().to_string_lossy().into_owned();
    let ran = Act::new([&stage.path("victim"), "linger", &fifo])
        .meanwhile(move |ended| Ok(told.send(ready.wait(ended)?.pid)?))
        .run(&tracer.exec(&["-o", "json"]))?;
    let child = said.recv()?;
    let lives = test_kill_process(child).is_ok();
    kill_process(child, Signal::KILL)?;
    assert!(lives, "the child did not live on");
    assert!(matches!(ran.end, End::Code(3)), "{:?}", ran.end);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(stderr.contains(&child.to_string()), "pid {child} is not named: {stderr}");
    Ok(())
}

#[test]
fn without_root_it_says_so_and_ends_with_125() -> Result<()> {
    let Some(tracer) = Tracer::here("without_root", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let victim = stage.path("victim");
    // On the stage, since other users may not be able to reach the checkout.
    let copied = stage.path("tracer");
    std::fs::copy(tracer.binary(), &copied)?;
    let words = [&victim, "with", "uid=1000", "--", &copied, "exec", "--", &victim, "exit", "0"];
    let ran = Act::new(words).run::<OsString>(&[])?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(matches!(ran.end, End::Code(125)), "{:?}: {stderr}", ran.end);
    assert!(stderr.contains("root"), "{stderr}");
    Ok(())
}

#[test]
fn an_unknown_verb_is_a_usage_error() -> Result<()> {
    let Some(tracer) = Tracer::here("an_unknown_verb", &[]) else { return Ok(()) };
    let done = Command::new(tracer.binary()).arg("no-such-verb").output()?;
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("no-such-verb"));
    Ok(())
}

/// The parent, from the fourth field of /proc/PID/stat (proc(5)); the second may itself hold spaces.
fn parent_of(pid: Pid) -> Result<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let parent = fields.split_whitespace().nth(1).context("no parent in stat")?;
    Pid::from_raw(parent.parse()?).context("the victim has no parent")
}
