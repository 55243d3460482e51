//! `cargo xtask test`: installs what tests need, builds what they run, and runs all of them. It
//! knows no single test.

use std::env;
use std::ffi::OsString;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};

use crate::chores::image::{self, Name};
use crate::chores::{build_ebpf, check_deploy};
use crate::means::static_build::{self, Profile};
use crate::means::{exec, setup, workspace};

#[derive(Debug, Args)]
pub struct Options {
    /// Passed on to `cargo test`: a filter, or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub fn run(options: Options) -> Result<()> {
    let privileged = setup::is_privileged();
    // A test that needs the kernel prints why it skips; here it must not skip.
    let required = privileged || in_ci();
    match setup::ensure(setup::TESTS) {
        Err(error) if required => return Err(error),
        Err(error) => eprintln!("xtask: tests that need these will skip: {error:#}"),
        Ok(()) => {}
    }
    let peer = match setup::PEER.folder() {
        Err(error) if required => return Err(error),
        Err(error) => {
            eprintln!("xtask: tests of the gateway with the peer will skip: {error:#}");
            None
        }
        Ok(folder) => Some(folder),
    };
    build_ebpf::run(build_ebpf::Options::default())?;
    // The tests' programs are the images', so that each is compiled once: that takes a C library to link with, which a
    // machine of which nothing is required may lack.
    let (tracer, gateway) = if required {
        image::build(Name::value_variants(), Profile::Release)?;
        let built = |name| static_build::program(name, Profile::Release);
        (built("tracer")?, built("gateway")?)
    } else {
        (workspace::build_release("tracer")?, workspace::build_release("gateway")?)
    };

    // With a filter somebody wants one test.
    if options.arguments.is_empty() {
        check_deploy(check_deploy::Programs { gateway: gateway.clone(), tracer: tracer.clone() })?;
    }
    if !privileged {
        eprintln!("xtask: not privileged: tests under the real kernel cannot run");
    }
    let mut tests = workspace::cargo();
    tests
        // Programs with tests of their own that are not built by default.
        .args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--features",
            "bench/gateway-load,bench/gateway-strain",
        ])
        .args(options.arguments)
        .env("TRACER_BIN", tracer)
        .env("GATEWAY_BIN", gateway)
        // Deaths take a millisecond, and what the dying process saw is looked up meanwhile: on two cores, tests
        // beside each other would keep the tracer waiting.
        .env("RUST_TEST_THREADS", "1");
    if let Some(folder) = peer {
        tests.env("MACULA_PEER_PACKAGES", folder);
    }
    if required {
        tests.env("TRACER_TEST_PRIVILEGED", "required");
    }
    exec::run(&mut tests).context("tests failed")
}

/// Here and not in lint: it starts the programs that have just been built. What it takes from PyPI cannot be had
/// everywhere.
fn check_deploy(programs: check_deploy::Programs) -> Result<()> {
    match check_deploy::Tools::find_or_fetch() {
        Err(error) if in_ci() => Err(error).context("deploy/ cannot be checked"),
        Err(error) => {
            eprintln!("xtask: deploy/ is not checked: {error:#}");
            Ok(())
        }
        Ok(tools) => check_deploy::check(&tools, &programs),
    }
}

fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
