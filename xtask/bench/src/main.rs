//! `cargo xtask bench`: what the tracer costs, how fast it and the gateway are, beside floors and peers measured
//! in the same run. This file only orders the work; it knows no figure.

mod agent;
mod calls;
mod deaths;
mod gateway;
mod machine;
mod openmetrics;
mod pressure;
mod process;
mod programs;
mod sample;
mod store;
mod table;
mod targets;
mod watchers;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use serde_json::json;
use xtask::chores::build_ebpf;
use xtask::means::packages::Package;
use xtask::means::{exec, setup, workspace};

use self::agent::Agent;
use self::calls::{Bench, Rounds};
use self::deaths::Latency;
use self::gateway::Gateway;
use self::gateway::strain::{self, Strain};
use self::machine::Machine;
use self::pressure::Pressure;
use self::programs::Costs;
use self::store::Store;
use self::table::Section;
use self::targets::Measured;
use self::watchers::{Floor, Tracer};

/// Measure what the tracer costs, how fast it and the gateway are, and others beside them
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", max_term_width = 100)]
struct Options {
    /// One short round of everything: shows that the benchmark works, its figures mean nothing
    #[arg(long, conflicts_with_all = ["long", "rounds", "write_docs"])]
    quick: bool,
    /// Measure only this
    #[arg(long, value_enum, conflicts_with = "write_docs")]
    only: Option<Part>,
    /// Keep up the pressure for 60 seconds each rather than 10
    #[arg(long)]
    long: bool,
    /// Rounds of everything that is compared with a floor or a peer
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
    /// Write the figures into this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table into docs/performance.md
    #[arg(long)]
    write_docs: bool,
    /// Measure this tracer instead of building one
    #[arg(long, value_name = "FILE")]
    tracer: Option<PathBuf>,
    /// Measure this gateway instead of building one
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Install other message servers and measure them beside the gateway: NATS and Mosquitto
    #[arg(long)]
    with_peers: bool,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `tracer exec` and the kernel side, beside strace and bpftrace
    Exec,
    /// The agent, `tracer run`
    Agent,
    /// The store, and the verbs that ask it
    Store,
    /// The gateway, beside other message servers
    Gateway,
    /// The gateway under strain: idle clients, handshakes, a stuck subscriber, its end
    Strain,
}

/// What is measured beside the tracer, and what compiles the process that is watched.
const NEEDED: &[Package] = &[
    Package { name: "strace", proof: "strace", why: "as a peer of the tracer" },
    Package { name: "bpftrace", proof: "bpftrace", why: "as a peer of the tracer" },
    Package { name: "gcc", proof: "cc", why: "to compile the process that is watched" },
    Package {
        name: "libc6-dev",
        proof: "/usr/include/stdlib.h",
        why: "to compile the process that is watched",
    },
];

fn main() -> ExitCode {
    // As of a chore: no backtrace, whatever the environment asks.
    if let Err(error) = run(&Options::parse()) {
        eprintln!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(options: &Options) -> Result<()> {
    let effort = Effort::of(options);
    let mut machine = Machine::look()?;
    let mut sections = Vec::new();
    let wants = |part| options.only.is_none_or(|only| only == part);
    if [Part::Exec, Part::Agent, Part::Store].into_iter().any(wants) {
        sections.extend(measure_tracer(&effort, options, &mut machine, wants)?);
    }
    if wants(Part::Gateway) {
        sections.extend(measure_gateway(&effort, options, &mut machine)?);
    }
    if wants(Part::Strain) {
        sections.extend(measure_strain(&effort, options)?);
    }

    print!("{}\n{}", machine.text(), table::text(&sections));
    println!("\nMedians of {} rounds ± median distance from them.", effort.rounds);
    if let Some(file) = &options.json {
        let all = json!({
            "machine": machine.json(), "rounds": effort.rounds, "rows": table::json(&sections),
        });
        fs::write(file, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.write_docs {
        let rounds = format!("Medians of {} rounds.\n\n", effort.rounds);
        let text = machine.markdown() + "\n" + &rounds + &table::markdown(&sections);
        write_docs(&workspace::root().join("docs/performance.md"), &text)?;
    }
    Ok(())
}

/// How much of everything is done.
#[derive(Debug)]
struct Effort {
    rounds: u32,
    batches: u32,
    deaths: u32,
    pressure_seconds: u64,
    agent: agent::Amount,
    store: store::Amount,
    gateway: gateway::Amount,
    strain: strain::Amount,
}

impl Effort {
    fn of(options: &Options) -> Self {
        if options.quick {
            return Self {
                rounds: 1,
                batches: 21,
                deaths: 3,
                pressure_seconds: 1,
                agent: agent::Amount { tracked: 3, deaths: 3, starts: 40 },
                store: store::Amount { events: 10_000, crashes: 40, questions: 2 },
                gateway: gateway::Amount { rounds: 1, less: 100 },
                strain: strain::Amount { connections: [50, 200], seconds: 1 },
            };
        }
        Self {
            rounds: options.rounds,
            batches: 301,
            deaths: 100,
            pressure_seconds: if options.long { 60 } else { 10 },
            agent: agent::Amount { tracked: 100, deaths: 200, starts: 10_000 },
            store: store::Amount { events: 1_000_000, crashes: 2_000, questions: 21 },
            gateway: gateway::Amount { rounds: options.rounds, less: 1 },
            strain: strain::Amount { connections: [1_000, 10_000], seconds: 5 },
        }
    }
}

fn measure_tracer(
    effort: &Effort,
    options: &Options,
    machine: &mut Machine,
    wants: impl Fn(Part) -> bool,
) -> Result<Vec<Section>> {
    ensure!(setup::is_privileged(), "the benchmark loads eBPF programs: run it as root");
    setup::ensure(NEEDED)?;
    let tracer = match &options.tracer {
        Some(tracer) => given(tracer)?,
        None => {
            build_ebpf::run(build_ebpf::Options::default())?;
            workspace::build_release("tracer")?
        }
    };
    machine.add_version("tracer", &tracer);
    for peer in ["strace", "bpftrace"] {
        machine.add_version(peer, Path::new(peer));
    }
    if wants(Part::Store) {
        store::build()?;
    }
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let bench = Bench {
        worker: worker::compile(scratch.path())?,
        tracer: Tracer { program: tracer },
        scratch: scratch.path().to_path_buf(),
        // The last one: interrupts and whatever else runs prefer the first.
        cpu: std::thread::available_parallelism()?.get() - 1,
        batches: effort.batches,
    };
    let exec = wants(Part::Exec).then(|| measure_exec(effort, &bench)).transpose()?;
    let agent = || Agent::measure(&bench, effort.rounds, effort.agent, effort.pressure_seconds);
    let agent = wants(Part::Agent).then(agent).transpose()?;
    let store = || Store::measure(&bench, effort.store);
    let store = wants(Part::Store).then(store).transpose()?;
    Ok(targets::sections(exec.as_ref(), agent.as_ref(), store.as_ref()))
}

fn measure_gateway(
    effort: &Effort,
    options: &Options,
    machine: &mut Machine,
) -> Result<Vec<Section>> {
    let gateway = options.gateway.as_deref().map(given).transpose()?;
    let programs = gateway::Programs::build(gateway, options.with_peers)?;
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let measured = Gateway::measure(&programs, scratch.path(), effort.gateway)?;
    for (name, settings) in &measured.settings {
        machine.add(name, settings.clone());
    }
    Ok(targets::of_gateway(&measured))
}

fn measure_strain(effort: &Effort, options: &Options) -> Result<Vec<Section>> {
    let gateway = options.gateway.as_deref().map(given).transpose()?;
    let programs = strain::Programs::build(gateway)?;
    Ok(targets::of_strain(&Strain::measure(&programs, effort.rounds, effort.strain)?))
}

/// A program that a person named.
fn given(program: &Path) -> Result<PathBuf> {
    program.canonicalize().with_context(|| format!("no {}", program.display()))
}

fn measure_exec(effort: &Effort, bench: &Bench) -> Result<Measured> {
    let mut floor = start_floor()?;
    let (mut rounds, mut costs) = (Rounds::default(), Costs::default());
    for round in 0..effort.rounds {
        eprintln!("xtask: round {} of {}", round + 1, effort.rounds);
        rounds.add(bench, &mut floor, round as usize)?;
        costs.add(bench, &mut floor)?;
    }
    eprintln!("xtask: {} deaths", effort.deaths);
    let mut latency = Latency::default();
    for _ in 0..effort.deaths {
        latency.add(bench)?;
    }
    let seconds = effort.pressure_seconds;
    eprintln!("xtask: pressure, twice {seconds} s");
    let flood = Pressure::measure(bench, seconds, &pressure::flood(seconds))?;
    let storm = Pressure::measure(bench, seconds, &pressure::storm(seconds))?;
    Ok(Measured { rounds, costs, latency, flood, storm })
}

/// Builds `bench-floor` and starts it. `cargo run` becomes the program, so that its process id is
/// the program's.
fn start_floor() -> Result<Floor> {
    let floor =
        ["--release", "--package", "bench", "--features", "bench-floor", "--bin", "bench-floor"];
    exec::run(workspace::cargo().arg("build").args(floor))?;
    Floor::start(workspace::cargo().args(["run", "--quiet"]).args(floor))
}

const BEGIN: &str = "<!-- begin: cargo xtask bench --write-docs -->\n";
const END: &str = "<!-- end -->\n";

/// Puts the table between its marks.
fn write_docs(page: &Path, table: &str) -> Result<()> {
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let new = between_marks(&old, table)
        .with_context(|| format!("{} has lost the marks of its table", page.display()))?;
    fs::write(page, new).with_context(|| format!("cannot write {}", page.display()))
}

fn between_marks(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, table, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_the_page_is_written_anew() {
        let page = format!("# Speed\n{BEGIN}old\n{END}more\n");
        let new = between_marks(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Speed\n{BEGIN}new\n{END}more\n"));
        assert_eq!(between_marks("# Speed\n", "new\n"), None);
    }

    #[test]
    fn the_page_in_the_tree_has_a_place_for_the_table() {
        let page = fs::read_to_string(workspace::root().join("docs/performance.md")).unwrap();
        assert!(between_marks(&page, "").is_some());
    }

    #[test]
    fn the_worker_times_its_calls_and_counts_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(program) = worker::compile(folder.path()) else {
            return eprintln!("skipped: no C compiler");
        };
        let mut worker = worker::Worker::start(&program, None, &[]).unwrap();
        let once = worker::Amount { batches: 1, less: 100 };
        for operation in worker::Operation::ALL {
            assert!(worker.time(operation, once).unwrap() > 0.0, "{operation:?}");
        }
        let flood = worker.order("flood 1 1000").unwrap();
        assert!(flood[0] > 0 && flood[2] > 0, "{flood:?}");
        assert!(worker.end().unwrap().success());
    }

    #[test]
    fn a_containers_process_enters_its_cgroup_before_it_is_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(program) = worker::compile(folder.path()) else {
            return eprintln!("skipped: no C compiler");
        };
        let procs = folder.path().join("cgroup.procs");
        fs::write(&procs, "").unwrap();
        let mut command = std::process::Command::new(&program);
        command.arg("enter").arg(&procs).arg(&program).arg("fail");
        assert_eq!(command.status().unwrap().code(), Some(3));
        assert_eq!(fs::read_to_string(&procs).unwrap(), "0");
    }
}
