//! `cargo xtask`: the chores of this repository by their names. It knows nothing about how any of them works.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::chores::{
    bench, build_ebpf, check_deploy, demo, e2e, image, install, lint, record, test, vmtest, wild,
};

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Provoke the silent crash and show what the tracer says of each of its deaths
    Demo(demo::Options),
    /// Build the eBPF object that the tracer embeds, with the toolchain it needs
    BuildEbpf(build_ebpf::Options),
    /// Install what tests need, build everything, run all tests
    Test(test::Options),
    /// Boot other kernels in virtual machines and provoke all deaths there
    Vmtest(vmtest::Options),
    /// Record real deaths into the crash corpus, tests/corpus
    Record(record::Options),
    /// Let programs of the wild die, and say how many verdicts were right
    Wild(wild::Options),
    /// Check format, clippy, the house rules and the licences of dependencies
    Lint(lint::Options),
    /// Render deploy/ and check all that can be known of it without a cluster
    CheckDeploy(check_deploy::Options),
    /// Measure what the tracer costs, how fast it and the gateway are, and others beside them
    #[command(disable_help_flag = true)]
    Bench(bench::Options),
    /// Build the container images, as archives that containerd, kind and docker load
    Image(image::Options),
    /// Prove the deployment on the cluster that the kubeconfig names
    E2e(e2e::Options),
    /// Install the programs, shell completions and man pages
    Install(install::Options),
}

fn main() -> ExitCode {
    let result = match Xtask::parse().command {
        Command::Demo(options) => demo::run(options),
        Command::BuildEbpf(options) => build_ebpf::run(options),
        Command::Test(options) => test::run(options),
        Command::Vmtest(options) => vmtest::run(options),
        Command::Record(options) => record::run(options),
        Command::Wild(options) => wild::run(options),
        Command::Lint(options) => lint::run(options),
        Command::CheckDeploy(options) => check_deploy::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Image(options) => image::run(options),
        Command::E2e(options) => e2e::run(options),
        Command::Install(options) => install::run(options),
    };
    // An error is for the person who ran the chore: no backtrace, whatever the environment asks.
    if let Err(error) = result {
        eprintln!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
