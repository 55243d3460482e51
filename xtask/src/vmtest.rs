//! `cargo xtask vmtest`: boots Debian's kernels in virtual machines and provokes all deaths there,
//! under cgroup v2 with its memory controller. It knows no single test.

mod archive;
mod host_files;
mod kernel;
mod machine;
mod outcome;
mod root;
mod suites;

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::packages::{self, Package};
use crate::{build_ebpf, setup, workspace};
use kernel::{Kernel, Series};

#[derive(Debug, Args)]
pub struct Options {
    /// Only this kernel; by default all, one after the other
    #[arg(long, value_enum)]
    kernel: Option<Series>,
    /// Only tests whose name contains one of these
    filters: Vec<String>,
}

const PACKAGES: &[Package] = &[Package {
    name: "qemu-system-x86",
    proof: "qemu-system-x86_64",
    why: "to boot other kernels than this machine's",
}];

pub fn run(options: Options) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bail!("the virtual machines run this machine's own programs on x86_64 kernels");
    }
    packages::ensure(setup::TESTS)?;
    packages::ensure(PACKAGES)?;
    let series = options.kernel.map_or(Series::ALL.to_vec(), |one| vec![one]);
    let kernels = series.into_iter().map(kernel::find_or_fetch).collect::<Result<Vec<Kernel>>>()?;

    build_ebpf::run(build_ebpf::Options::default())?;
    let suites = suites::build()?;
    let archive = workspace::cache("vm/initramfs.cpio");
    let bytes = archive::newc(&root::tree(&suites, &options.filters)?);
    fs::write(&archive, bytes).with_context(|| format!("cannot write {}", archive.display()))?;

    let mut failed = Vec::new();
    for kernel in &kernels {
        println!("== Linux {}", kernel.release);
        let started = Instant::now();
        let outcome = machine::run(kernel, &archive);
        let result = outcome.and_then(|outcome| outcome.passed(&suites.names(), &options.filters));
        let seconds = started.elapsed().as_secs();
        match result {
            Ok(passed) => {
                println!("== Linux {}: {passed} tests passed in {seconds} s", kernel.release);
            }
            Err(error) => {
                println!("== Linux {}: failed after {seconds} s: {error:#}", kernel.release);
                failed.push(kernel.release.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("tests failed under Linux {}", failed.join(" and "));
    }
    Ok(())
}
