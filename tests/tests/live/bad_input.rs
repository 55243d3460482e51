//! What nobody should feed it: enormous arguments, names that are no text, fork bombs, entrypoints that are traps for
//! whoever looks at them afterwards. A clear verdict or a named gap, never a panic, a hang or a wrong cause.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context as _, Result};
use tests::{Act, End, Need, Stage};

use crate::tracer::Tracer;
use crate::verdict::Verdict;

/// The cause of an act under `tracer exec -o json`, and all that was said.
fn verdict(tracer: &Tracer, act: Act, code: i32) -> Result<Verdict> {
    let ran = act.run(&tracer.exec(&["-o", "json"]))?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    let said: String = stderr.chars().take(4096).collect();
    assert!(matches!(ran.end, End::Code(ended) if ended == code), "{:?}: {said}", ran.end);
    assert!(!stderr.contains("panicked"), "{said}");
    let verdict = Verdict::parse(&ran.stdout)?;
    verdict.check_schema()?;
    Ok(verdict)
}

#[test]
fn an_argument_of_128_kib_is_kept_in_part_and_said_to_be() -> Result<()> {
    let Some(tracer) = Tracer::here("an_argument_of_128_kib", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    // The longest that the kernel takes is 32 pages with its NUL (MAX_ARG_STRLEN).
    let longest = "x".repeat((32 << 12) - 1);
    let act = Act::new([&stage.path("victim"), "exit", "3", &longest]);
    let verdict = verdict(&tracer, act, 3)?;
    assert_eq!(verdict.cause(), "exited_with_error", "{verdict}");
    let text = verdict.object().to_string();
    assert!(text.contains("\"args_truncated\":true"), "not said to be cut");
    assert!(text.len() < 64 << 10, "{} bytes of JSON", text.len());
    Ok(())
}

#[test]
fn a_path_with_a_newline_and_invalid_utf8_is_shown_and_kept() -> Result<()> {
    let Some(tracer) = Tracer::here("a_path_with_a_newline", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let path = OsStr::from_bytes(b"/no such\nconfig\xff\xfe.toml");
    let victim = OsString::from(stage.path("victim"));
    let verdict = verdict(&tracer, Act::new([&*victim, OsStr::new("open"), path]), 1)?;
    assert_eq!(verdict.cause(), "file_not_found", "{verdict}");
    assert!(verdict.contains("config\\xff\\xfe.toml"), "{verdict}");
    assert!(verdict.object().to_string().contains("_b64\""), "no field keeps the bytes: {verdict}");
    Ok(())
}

#[test]
fn a_path_too_long_for_the_flight_recorder_is_named_whole() -> Result<()> {
    let Some(tracer) = Tracer::here("a_path_too_long", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let path = format!("/{}/last.toml", vec!["folder"; 400].join("/"));
    let verdict = verdict(&tracer, Act::new([&stage.path("victim"), "open", &path]), 1)?;
    assert_eq!(verdict.cause(), "file_not_found", "{verdict}");
    assert!(verdict.contains(&path), "cut: {verdict}");
    Ok(())
}

#[test]
fn a_fork_bomb_ends_in_a_verdict() -> Result<()> {
    let needs = [Need::Root, Need::PidsCgroup];
    let Some(tracer) = Tracer::here("a_fork_bomb", &needs) else { return Ok(()) };
    let stage = Stage::new()?;
    let victim = stage.path("victim");
    let cgroup = format!("cgroup={}", stage.pids_cgroup(200)?);
    let act = Act::new([&victim, "with", &cgroup, "--", &victim, "bomb"]);
    let verdict = verdict(&tracer, act, 1)?;
    assert!(["pid_limit", "exited_with_error"].contains(&verdict.cause()), "{verdict}");
    Ok(())
}

#[test]
fn an_entrypoint_that_is_a_fifo_holds_nobody_up() -> Result<()> {
    let Some(tracer) = Tracer::here("an_entrypoint_that_is_a_fifo", &[Need::Root]) else {
        return Ok(());
    };
    let stage = Stage::new()?;
    let fifo = stage.ready("server")?;
    let verdict = verdict(&tracer, Act::new([fifo.path()]), 126)?;
    assert_eq!(verdict.cause(), "exec_permission_denied", "{verdict}");
    Ok(())
}

#[test]
fn an_interpreter_that_never_ends_is_not_read() -> Result<()> {
    let Some(tracer) = Tracer::here("an_interpreter_that_never_ends", &[Need::Root]) else {
        return Ok(());
    };
    let stage = Stage::new()?;
    let script = stage.file("start", "#!/dev/zero\n", 0o755)?;
    let verdict = verdict(&tracer, Act::new([&script]), 126)?;
    assert_eq!(verdict.cause(), "exec_permission_denied", "{verdict}");
    Ok(())
}

#[test]
fn an_entrypoint_of_10_gb_is_not_read_whole() -> Result<()> {
    let Some(tracer) = Tracer::here("an_entrypoint_of_10_gb", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let path = stage.path("server");
    let file = std::fs::File::create(&path)?;
    file.set_len(10_000_000_000)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    drop(file);
    let verdict = verdict(&tracer, Act::new([&path]), 126)?;
    assert_eq!(verdict.cause(), "exec_format_error", "{verdict}");
    Ok(())
}

#[test]
fn what_the_return_of_a_handler_restores_is_no_failed_call() -> Result<()> {
    let Some(tracer) = Tracer::here("what_a_handler_restores", &[Need::Root]) else {
        return Ok(());
    };
    let stage = Stage::new()?;
    let verdict = verdict(&tracer, Act::new([&stage.path("victim"), "interrupted"]), 1)?;
    no_call_failed(&verdict)
}

/// It ended with an error of its own, and no failed call was recorded.
fn no_call_failed(verdict: &Verdict) -> Result<()> {
    assert_eq!(verdict.cause(), "exited_with_error", "{verdict}");
    let timeline = verdict.object()["timeline"].as_array().context("no timeline")?;
    let calls: Vec<_> = timeline.iter().filter(|entry| entry["kind"] == "call").collect();
    assert!(calls.is_empty(), "{calls:?}");
    Ok(())
}

#[test]
fn a_call_by_the_32_bit_entry_is_not_read_by_the_numbers_of_the_other() -> Result<()> {
    let Some(tracer) = Tracer::here("a_32_bit_call", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    let act = Act::new([&stage.path("victim"), "compat-readlink", "/no/such/link"]);
    let verdict = verdict(&tracer, act, 1)?;
    no_call_failed(&verdict)
}

#[test]
fn a_timer_of_its_own_names_no_sender_and_who_only_says_so_is_named() -> Result<()> {
    let Some(tracer) = Tracer::here("a_timer", &[Need::Root]) else { return Ok(()) };
    let stage = Stage::new()?;
    for (word, code, is_own) in [("own-timer", 143, true), ("forged-timer", 137, false)] {
        let verdict = verdict(&tracer, Act::new([&*stage.path("victim"), word]), code)?;
        assert_eq!(verdict.cause(), "killed_by_signal", "{verdict}");
        assert_eq!(verdict.contains("a timer of its own"), is_own, "{verdict}");
        let details = &verdict.object()["crash"]["details"];
        assert_eq!(details["sender_pid"].is_u64(), !is_own, "{verdict}");
    }
    Ok(())
}
