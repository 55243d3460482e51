//! Every chore of this repository: its file or folder has its name. It knows nothing about how any of them works.

pub mod bench;
pub mod build_ebpf;
pub mod check_deploy;
pub mod demo;
pub mod e2e;
pub mod image;
pub mod install;
pub mod lint;
pub mod record;
pub mod test;
pub mod vmtest;
pub mod wild;

use anyhow::Result;
use clap::Subcommand;

/// A chore by its name, with what it is told.
#[derive(Debug, Subcommand)]
pub enum Chore {
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

impl Chore {
    /// # Errors
    /// What the chore checks or makes is not in order.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Demo(options) => demo::run(options),
            Self::BuildEbpf(options) => build_ebpf::run(options),
            Self::Test(options) => test::run(options),
            Self::Vmtest(options) => vmtest::run(options),
            Self::Record(options) => record::run(options),
            Self::Wild(options) => wild::run(options),
            Self::Lint(options) => lint::run(options),
            Self::CheckDeploy(options) => check_deploy::run(options),
            Self::Bench(options) => bench::run(options),
            Self::Image(options) => image::run(options),
            Self::E2e(options) => e2e::run(options),
            Self::Install(options) => install::run(options),
        }
    }
}
