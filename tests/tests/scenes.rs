//! The table of deaths without a tracer: every scene must die as its row says, else nothing that a tracer says about it
//! proves anything.

use tests::{Death, Stage, deaths};

#[test]
fn every_scene_dies_as_its_table_says() {
    let required = std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|v| v == "required");
    let mut wrong = Vec::new();
    for death in deaths() {
        match death.lack() {
            Some((need, why)) if required && !need.only_in_a_virtual_machine() => {
                wrong.push(format!("{}: cannot run: {why}", death.name));
            }
            Some((_, why)) => eprintln!("{}: skipped: {why}", death.name),
            None => wrong.extend(die(death).err().map(|e| format!("{}: {e:#}", death.name))),
        }
    }
    assert!(wrong.is_empty(), "{} of the scenes are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_death_has_a_name_of_its_own() {
    let mut names: Vec<&str> = deaths().map(|death| death.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_cause_of_the_taxonomy_is_provoked() {
    let provoked: Vec<&str> = deaths().map(|death| death.cause).collect();
    let missing: Vec<&&str> = CAUSES.iter().filter(|cause| !provoked.contains(cause)).collect();
    assert!(missing.is_empty(), "no death for {missing:?}");
    let unknown: Vec<&&str> = provoked.iter().filter(|cause| !CAUSES.contains(cause)).collect();
    assert!(unknown.is_empty(), "no such cause: {unknown:?}");
}

fn die(death: &Death) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let stage = Stage::new()?;
    let ran = (death.scene)(&stage)?.run::<&str>(&[])?;
    let words = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(
        death.exit.is(&ran.end),
        "expected {:?}, got {:?} after it said: {words}",
        death.exit,
        ran.end
    );
    for word in death.words {
        anyhow::ensure!(words.contains(word), "it did not say {word:?}, but: {words}");
    }
    eprintln!("{}: {:?} in {:?}: {}", death.name, ran.end, started.elapsed(), words.trim_end());
    Ok(())
}

/// The taxonomy, but for `none`: a command under the recorder always has ended for some reason.
const CAUSES: &[&str] = &[
    "exec_not_found",
    "exec_interpreter_missing",
    "exec_permission_denied",
    "exec_format_error",
    "oom_killed",
    "oom_killed_child",
    "oom_killed_node",
    "stopped_by_runtime",
    "segfault",
    "bus_error",
    "illegal_instruction",
    "arithmetic_fault",
    "seccomp_violation",
    "abort",
    "killed_by_signal",
    "shared_library_missing",
    "library_version_mismatch",
    "bind_address_in_use",
    "bind_permission_denied",
    "bind_address_unavailable",
    "file_not_found",
    "permission_denied",
    "read_only_filesystem",
    "disk_full",
    "fd_limit",
    "pid_limit",
    "memory_allocation_failed",
    "connection_refused",
    "name_resolution_failed",
    "exited_by_itself",
    "exited_with_error",
];
