//! `cargo xtask vmtest`: boots Debian's kernels in virtual machines and provokes all deaths there,
//! under cgroup v2 with its memory controller. It knows no single test.

mod archive;
mod kernel;
mod machine;
mod outcome;
mod root;
mod suites;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::chores::build_ebpf;
use crate::means::packages;
use crate::means::qemu::Qemu;
use crate::means::{setup, workspace};
use kernel::{Kernel, Series};
use suites::Suites;

#[derive(Debug, Args)]
pub struct Options {
    /// Only this kernel; by default all
    #[arg(long, value_enum)]
    kernel: Option<Series>,
    /// Only tests whose name contains one of these
    filters: Vec<String>,
}

pub fn run(options: Options) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bail!("the virtual machines run this machine's own programs on x86_64 kernels");
    }
    packages::ensure(setup::TESTS)?;
    let qemu = Qemu::find_or_fetch()?;
    let series = options.kernel.map_or(Series::ALL.to_vec(), |one| vec![one]);
    let kernels = series.into_iter().map(kernel::find_or_fetch).collect::<Result<Vec<Kernel>>>()?;

    build_ebpf::run(build_ebpf::Options::default())?;
    let suites = suites::build()?;
    let archive = workspace::cache("vm/initramfs.cpio");
    let bytes = archive::newc(&root::tree(&suites, &options.filters)?);
    fs::write(&archive, bytes).with_context(|| format!("cannot write {}", archive.display()))?;

    // Side by side: each emulated machine has one processor.
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let runs: Vec<_> = kernels
            .iter()
            .map(|kernel| {
                scope.spawn(|| test_under(&qemu, kernel, &archive, &suites, &options.filters))
            })
            .collect();
        runs.into_iter().map(|run| run.join().expect("a machine's thread does not panic")).collect()
    });
    let failures: Vec<String> =
        results.into_iter().filter_map(|result| Some(format!("{:#}", result.err()?))).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// Runs all suites under one kernel and says how long it took.
fn test_under(
    qemu: &Qemu,
    kernel: &Kernel,
    archive: &Path,
    suites: &Suites,
    filters: &[String],
) -> Result<()> {
    let started = Instant::now();
    let passed = machine::run(qemu, kernel, archive)
        .and_then(|outcome| outcome.passed(&suites.names(), filters))
        .with_context(|| format!("tests failed under Linux {}", kernel.release))?;
    let seconds = started.elapsed().as_secs();
    println!("{}: {passed} tests passed in {seconds} s", kernel.release);
    Ok(())
}
