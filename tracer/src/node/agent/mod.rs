//! `tracer run`: watches a node's pods, remembers what happened to them and says why they died. `start`, `running` and
//! `stop` are its life; `node` decides what follows from each input, `hands` carry it out.

mod asker;
mod clock;
mod explain;
mod hands;
mod inventory;
mod lives;
mod notes;
mod older;
mod recorder;
mod records;
mod reporter;
mod running;
mod runtime;
mod servers;
mod setup;
mod start;
mod status;
mod stdout;
mod stop;

use anyhow::ensure;

use self::{running::Agent, setup::Setup};
use crate::{capture::kernel, cli::log, config::Options};

/// Exit code for a failure of its own.
pub const OWN_FAILURE: u8 = 2;

/// Runs until SIGTERM or SIGINT; then reports what is known and ends with 0.
///
/// # Errors
/// It cannot start; the error says what is missing. Once it runs, what fails is logged and goes on.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    let settings = options.load()?;
    if options.print_config {
        print!("{}", settings.to_toml()?);
        return Ok(0);
    }
    log::start(&settings.log);
    ensure!(
        rustix::process::geteuid().is_root(),
        "tracer run needs root, to load eBPF programs: run it as root, or as a DaemonSet (docs/operations.md)"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let setup = Setup::new(options, settings)?;
    runtime.block_on(async { Agent::start(setup).await?.run().await })?;
    Ok(0)
}

/// Removes whatever an agent left in the kernel.
///
/// # Errors
/// A pin cannot be removed.
pub fn unload(options: &Options) -> anyhow::Result<u8> {
    let settings = options.load()?;
    let sets = kernel::pins::unload(&settings.pin_dir)?;
    let folder = settings.pin_dir.display();
    match sets {
        0 => eprintln!("tracer: nothing of an agent is in {folder}"),
        _ => eprintln!("tracer: programs and maps pinned in {folder} are unloaded"),
    }
    Ok(0)
}
