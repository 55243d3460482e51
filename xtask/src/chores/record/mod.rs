//! `cargo xtask record`: provokes each death of the table under the release tracer and keeps what the kernel said of it
//! as the crash corpus. It knows the tracer's command line, not the rules by which a verdict is found.

mod compare;
pub mod folder;
mod surroundings;
mod vm;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::tests::{Death, Need, Stage, deaths, victims};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::chores::build_ebpf;
use crate::means::{exec, setup, workspace};

#[derive(Debug, Args)]
pub struct Options {
    /// Deaths to record, by their names in the table; all of them if none is named
    names: Vec<String>,
    /// Keep recordings whose verdict is not the expected one, too
    #[arg(long)]
    force: bool,
    /// Record in a virtual machine what can be provoked nowhere else (all of it if no name is given)
    #[arg(long, conflicts_with = "tracer")]
    vm: bool,
    /// Record into this folder, one subfolder for each death
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Use this tracer and set nothing up, as in a machine without a compiler
    #[arg(long, value_name = "BINARY")]
    tracer: Option<PathBuf>,
}

/// What a recording's command finds in its environment. cargo's own variables are no part of it: they would show this
/// machine's folders to the dynamic loader, and so to the recorder.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const KEPT: [&str; 3] = [victims::FOLDER, "TRACER_TEST_THROW_AWAY_MACHINE", "TMPDIR"];

pub fn run(options: Options) -> Result<()> {
    let unknown: Vec<&String> =
        options.names.iter().filter(|name| deaths::named(name).is_none()).collect();
    ensure!(unknown.is_empty(), "no such deaths in the table: {unknown:?}");
    ensure!(setup::is_privileged(), "recording needs root: it loads eBPF programs");
    let corpus = options.into.clone().unwrap_or_else(|| workspace::root().join("tests/corpus"));
    match &options.tracer {
        None if options.vm => record_in_vm(&options, &corpus),
        Some(tracer) => {
            surroundings::become_usual()?;
            // Commands run in folders of their own.
            let tracer = std::path::absolute(tracer)?;
            record_all(&options, &tracer, &std::path::absolute(corpus)?)
        }
        None => record_outside_the_checkout(&options, &corpus),
    }
}

/// Builds everything, then records with copies of our own binary and of the tracer into a folder that every machine
/// could have: the recorder keeps the command lines of whoever sends a signal.
fn record_outside_the_checkout(options: &Options, corpus: &Path) -> Result<()> {
    setup::ensure(setup::TESTS)?;
    build_ebpf::run(build_ebpf::Options::default())?;
    let built = workspace::build_release("tracer")?;
    let place = tempfile::Builder::new().prefix("recorder-").tempdir()?;
    let (recorder, tracer) = (place.path().join("xtask"), place.path().join("tracer"));
    // By this path it is there even if it was built anew meanwhile.
    fs::copy("/proc/self/exe", &recorder).context("cannot copy the running binary")?;
    fs::copy(built, &tracer).context("cannot copy the tracer")?;

    let recordings = place.path().join("corpus");
    fs::create_dir(&recordings)?;
    let mut command = surroundings::in_own_mounts(&recorder);
    command.env_clear().env("PATH", PATH).env("HOME", "/root").current_dir(place.path());
    command.envs(KEPT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    command.arg("record").arg("--tracer").arg(tracer).arg("--into").arg(&recordings);
    command.args(options.force.then_some("--force")).args(&options.names);
    let recorded = exec::run(&mut command).context("not everything was recorded");
    folder::move_all(&recordings, corpus)?;
    if options.names.is_empty() {
        folder::remove_unknown(corpus)?;
    }
    recorded
}

fn record_in_vm(options: &Options, corpus: &Path) -> Result<()> {
    let only_there = |death: &&Death| death.needs.iter().any(|n| n.only_in_a_virtual_machine());
    let mut names: Vec<&str> = options.names.iter().map(String::as_str).collect();
    if names.is_empty() {
        names.extend(deaths().filter(only_there).map(|death| death.name));
    }
    build_ebpf::run(build_ebpf::Options::default())?;
    let recordings = tempfile::tempdir()?;
    vm::record(&names, recordings.path())?;
    folder::move_all(recordings.path(), corpus)?;
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !recordings.path().join(name).exists()).collect();
    ensure!(missing.is_empty(), "not recorded in the virtual machine: {}", list(&missing));
    Ok(())
}

fn record_all(options: &Options, tracer: &Path, corpus: &Path) -> Result<()> {
    let started = Instant::now();
    let wanted: Vec<&Death> = deaths()
        .filter(|death| options.names.is_empty() || options.names.iter().any(|n| n == death.name))
        .collect();
    let (mut recorded, mut bytes, mut skipped, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for (index, death) in wanted.iter().enumerate() {
        eprint!("[{:2}/{}] {:32} ", index + 1, wanted.len(), death.name);
        if let Some((need, why)) = death.lack() {
            eprintln!("skipped: {why}");
            skipped.push((death.name, need));
            continue;
        }
        match record_or_retry(death, tracer, corpus, options.force) {
            Ok(size) => {
                eprintln!("{:25} {:5.1} KB", death.cause, kilobytes(size));
                recorded += 1;
                bytes += size;
            }
            Err(error) => {
                eprintln!("WRONG: {error:#}");
                wrong.push(death.name);
            }
        }
    }
    let elapsed = started.elapsed();
    eprintln!("{recorded} recorded, {:.0} KB, in {elapsed:.0?}", kilobytes(bytes));
    let only_elsewhere = |need: &Need| need.only_in_a_virtual_machine();
    let missing: Vec<&str> =
        skipped.iter().filter(|(_, need)| !only_elsewhere(need)).map(|(name, _)| *name).collect();
    let elsewhere: Vec<&str> =
        skipped.iter().filter(|(_, need)| only_elsewhere(need)).map(|(name, _)| *name).collect();
    if !elsewhere.is_empty() {
        eprintln!("only in a virtual machine (--vm): {}", list(&elsewhere));
    }
    if !wrong.is_empty() || !missing.is_empty() {
        bail!("wrong: {}; not possible here: {}", list(&wrong), list(&missing));
    }
    Ok(())
}

/// What must be looked up at the moment of a death can come too late on a busy machine; that is for the live tests to
/// judge, not for the corpus.
fn record_or_retry(death: &Death, tracer: &Path, corpus: &Path, force: bool) -> Result<u64> {
    const RETRIES: u32 = 2;
    for _ in 0..RETRIES {
        match record(death, tracer, corpus, false) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => eprint!("again, since {error:#}; "),
        }
    }
    record(death, tracer, corpus, force)
}

/// Records one death and returns the size of its folder.
fn record(death: &Death, tracer: &Path, corpus: &Path, force: bool) -> Result<u64> {
    let stage = Stage::new()?;
    let mut act = (death.scene)(&stage)?;
    act.cwd.get_or_insert_with(|| stage.folder().to_owned());
    let says: Vec<String> =
        death.says.iter().map(|said| (*said).to_owned()).chain(act.says.iter().cloned()).collect();
    let command: Vec<String> =
        act.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();

    let scratch = tempfile::Builder::new().prefix("recording-").tempdir()?;
    let (recording, verdict) = (scratch.path().join("records"), scratch.path().join("verdict"));
    let prefix = [
        tracer.as_os_str(),
        "exec".as_ref(),
        "--keep-running".as_ref(),
        "--record".as_ref(),
        recording.as_os_str(),
        "-o".as_ref(),
        "json".as_ref(),
        "--output-file".as_ref(),
        verdict.as_os_str(),
        "--".as_ref(),
    ];
    let ran = act.run(&prefix)?;
    let words = || format!("{:?}; it said: {}", ran.end, String::from_utf8_lossy(&ran.stderr));
    let text = fs::read(&verdict).with_context(|| format!("no verdict after {}", words()))?;
    let object: Value = serde_json::from_slice(&text).context("the verdict is no JSON")?;
    let compared = compare::with_table(death, &object, &says, &ran.end);
    match compared {
        Err(error) if force => eprintln!("kept although wrong: {error:#}"),
        other => other?,
    }

    let about: Value = serde_json::from_slice(&fs::read(recording.join("recording.json"))?)?;
    let expected = json!({
        "name": death.name,
        "command": command,
        "cause": death.cause,
        "confidence": death.confidence,
        "says": says,
        "exit": object["exit"],
        "kernel": about["kernel"],
        "object_sha256": about["object_sha256"],
    });
    fs::write(recording.join("death.json"), serde_json::to_string_pretty(&expected)? + "\n")?;
    folder::check_paths(&recording, &workspace::root(), &folder::OF_ONE_MACHINE)?;
    folder::put(&recording, &corpus.join(death.name))
}

#[expect(clippy::cast_precision_loss, reason = "sizes are shown with one digit")]
fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1000.0
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
