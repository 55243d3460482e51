//! Runs one death under `tracer exec` and compares what is said with its row. Knows the command line's contract, not
//! the rules by which a verdict is found.
//!
//! `TRACER_BIN` names the binary (else the release build of this tree); with `TRACER_TEST_PRIVILEGED=required` a death
//! that cannot be provoked is a failure, unless only a virtual machine of our own can have what it needs.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use tests::{Death, End, Exit, Stage, deaths};

use crate::verdict::Verdict;

/// Whether the recorder keeps what the command writes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    Captured,
    Not,
}

/// Provokes the death of this name, once with and once without its output captured.
pub fn the_verdict_of(name: &str) {
    let death = deaths::named(name).expect("the test list was compared with the table");
    let required = std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|v| v == "required");
    if let Some((need, why)) = death.lack() {
        assert!(!required || need.only_in_a_virtual_machine(), "{name} cannot run: {why}");
        eprintln!("{name} skipped: {why}");
        return;
    }
    let tracer = tracer();
    if !tracer.is_file() {
        assert!(!required, "there is no {}: cargo build --release -p tracer", tracer.display());
        eprintln!("{name} skipped: there is no {}", tracer.display());
        return;
    }
    let runs: &[Output] = if death.stands_without_output() {
        &[Output::Captured, Output::Not]
    } else {
        &[Output::Captured]
    };
    for output in runs {
        if let Err(error) = provoke(death, &tracer, *output) {
            panic!("{name}, output {output:?}: {error:#}");
        }
    }
}

fn provoke(death: &Death, tracer: &std::path::Path, output: Output) -> Result<()> {
    let mut prefix: Vec<OsString> = vec![tracer.into(), "exec".into(), "-o".into(), "json".into()];
    if output == Output::Not {
        prefix.push("--no-output-capture".into());
    }
    prefix.push("--".into());

    let stage = Stage::new()?;
    let act = (death.scene)(&stage)?;
    let says: Vec<String> =
        death.says.iter().map(|said| (*said).to_owned()).chain(act.says.iter().cloned()).collect();
    let ran = act.run(&prefix)?;
    let words = String::from_utf8_lossy(&ran.stderr).into_owned();
    let verdict = Verdict::parse(&ran.stdout)
        .with_context(|| format!("after {:?}; stderr: {words}", ran.end))?;

    let compared = compare(death, &verdict, output, &says, &ran.end);
    compared.with_context(|| format!("it said {verdict}\nstderr: {words}"))
}

fn compare(
    death: &Death,
    verdict: &Verdict,
    output: Output,
    says: &[String],
    end: &End,
) -> Result<()> {
    let passed_on = i32::from(death.exit.passed_on());
    match end {
        End::Code(code) if *code == passed_on => {}
        End::Code(_) | End::Signal { .. } | End::NotRun(_) => {
            bail!("tracer exec ended with {end:?}, expected code {passed_on}")
        }
    }
    verdict.check_schema()?;
    verdict.check_evidence()?;
    ensure!(
        verdict.cause() == death.cause,
        "cause is {}, expected {}",
        verdict.cause(),
        death.cause
    );
    ensure!(["proven", "likely"].contains(&verdict.confidence()), "neither proven nor likely");
    if let (Some(confidence), Output::Captured) = (death.confidence, output) {
        let said = verdict.confidence();
        ensure!(said == confidence, "confidence is {said}, expected {confidence}");
    }
    for said in says {
        ensure!(verdict.contains(said), "nothing in it says {said:?}");
    }
    match death.exit {
        // What the exit of a command is that never ran is the command line's matter, checked above.
        Exit::NotRun(_) => Ok(()),
        Exit::Code(code) => verdict.check_exit(Some(code), None, false),
        Exit::Signal(name) => verdict.check_exit(None, Some(name), false),
        Exit::Core(name) => verdict.check_exit(None, Some(name), true),
    }
}

fn tracer() -> PathBuf {
    std::env::var_os("TRACER_BIN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/tracer")),
        PathBuf::from,
    )
}
