//! `cargo xtask wild`: lets programs that nobody tuned the tracer for die, each death with its right answer written down
//! beforehand, and says how many verdicts were right. It knows the tracer's command line, no rule.

mod install;
mod load;
mod recordings;
mod report;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::tests::wild::{self, Death, Family, score};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::chores::build_ebpf;
use crate::means::{setup, workspace};
use load::Load;
use report::{Outcome, Totals};
use stage::Watch;

#[derive(Debug, Args)]
pub struct Options {
    /// Only deaths whose names contain this; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only this family; may be repeated
    #[arg(long)]
    family: Vec<String>,
    /// Write what is needed to judge each wrong verdict into this file
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
    /// Show the whole verdict of each death, and what it wrote
    #[arg(long)]
    verbose: bool,
    /// Without the output of what dies
    #[arg(long)]
    no_output_capture: bool,
    /// Keep what the kernel said of each death in tests/wild/corpus
    #[arg(long)]
    record: bool,
    /// Keep both cores busy meanwhile
    #[arg(long)]
    load: bool,
    /// Use this tracer instead of building one
    #[arg(long, value_name = "BINARY")]
    tracer: Option<PathBuf>,
    /// Install nothing
    #[arg(long)]
    installed: bool,
    /// How many deaths happen at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

pub fn run(options: Options) -> Result<()> {
    ensure!(setup::is_privileged(), "this needs root: it loads eBPF programs");
    let families = wild::families()?;
    let wanted: Vec<(&Family, &Death)> = families
        .iter()
        .flat_map(|family| family.deaths.iter().map(move |death| (family, death)))
        .filter(|(family, death)| options.wants(family, death))
        .collect();
    ensure!(!wanted.is_empty(), "no such death");
    if !options.installed {
        install::all(&families)?;
    }
    let tracer = match &options.tracer {
        Some(tracer) => std::path::absolute(tracer)?,
        None => {
            build_ebpf::run(build_ebpf::Options::default())?;
            workspace::build_release("tracer")?
        }
    };
    // A recording keeps the paths of what was around it: the tracer's must be one that every machine could have.
    let place = tempfile::Builder::new().prefix("recorder-").tempdir_in("/var/tmp")?;
    let copy = place.path().join("tracer");
    fs::copy(&tracer, &copy).with_context(|| format!("cannot copy {}", tracer.display()))?;
    let without_words = options.no_output_capture;
    let watch = Watch { tracer: copy, without_words, record: options.record };
    let load = options.load.then(Load::begin).transpose()?;
    let outcomes = all(&wanted, &watch, &options);
    drop(load);
    if options.record && options.only.is_empty() && options.family.is_empty() {
        let names: Vec<&str> = wanted.iter().map(|(_, death)| death.name.as_str()).collect();
        recordings::remove_others(&names)?;
    }
    let totals = Totals::of(&outcomes);
    if let Some(file) = &options.findings {
        let findings: Vec<String> = outcomes.iter().filter_map(Outcome::finding).collect();
        fs::write(file, findings.join("\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    println!("\n{}\n{}", Totals::families(&outcomes), totals.text());
    if !totals.are_as_aimed() {
        bail!(
            "below the aims: 95 of 100 right, none untrue, proven always right, likely in 90 of 100"
        );
    }
    Ok(())
}

impl Options {
    fn wants(&self, family: &Family, death: &Death) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|only| death.name.contains(only));
        named && (self.family.is_empty() || self.family.contains(&family.name))
    }
}

/// Some at the same time: most of them wait most of the time.
fn all(wanted: &[(&Family, &Death)], watch: &Watch, options: &Options) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some((family, death)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(family, death, watch);
                    println!("{}", outcome.row());
                    if options.verbose {
                        show(&outcome);
                    }
                    outcomes.lock().expect("nobody panics with it").push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("nobody panics with it");
    outcomes.sort_by(|a, b| (&a.family, &a.name).cmp(&(&b.family, &b.name)));
    outcomes
}

fn outcome(family: &Family, death: &Death, watch: &Watch) -> Outcome {
    let happened = stage::happen(death, watch);
    let (scored, output) = match happened {
        Ok(happened) => {
            let kept = happened.recording.map_or(Ok(0), |it| recordings::keep(&it, &death.name));
            (kept.and_then(|_| score::score(&happened.object, death)), happened.output)
        }
        Err(error) => (Err(error), String::new()),
    };
    Outcome {
        name: death.name.clone(),
        family: family.name.clone(),
        line: death.run.clone(),
        expected: format!("{}, naming {:?}", death.cause.first(), death.names),
        innocent: death.innocent,
        output,
        scored: scored.map_err(|error| format!("{error:#}")),
    }
}

fn show(outcome: &Outcome) {
    println!("{}", outcome.output);
    if let Ok(scored) = &outcome.scored {
        println!("  summary:   {}\n  next step: {}", scored.summary, scored.next_step);
    }
}
