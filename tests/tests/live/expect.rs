//! Runs one death under `tracer exec` and compares what is said with its row. Knows the command line's contract, not
//! the rules by which a verdict is found.

use anyhow::{Context, Result, bail, ensure};
use tests::{Death, End, Exit, Need, Stage, deaths};

use crate::tracer::Tracer;
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
    let Some(tracer) = Tracer::here(name, death.needs) else { return };
    // Of virtual machines, which may be emulated, only what dies nowhere else dies twice.
    let twice = Need::ThrowAwayMachine.lack().is_some()
        || death.needs.iter().any(|need| need.only_in_a_virtual_machine());
    let runs: &[Output] = if death.stands_without_output() && twice {
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

fn provoke(death: &Death, tracer: &Tracer, output: Output) -> Result<()> {
    let prefix = match output {
        Output::Captured => tracer.exec(&["-o", "json"]),
        Output::Not => tracer.exec(&["-o", "json", "--no-output-capture"]),
    };
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
