//! Runs a virtual machine to its end and shows its console. It knows qemu, and nothing of tests.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::kernel::Kernel;
use super::outcome::Outcome;
use crate::means::qemu::Qemu;

/// From the boot to the end of all tests: some three times what two busy cores took.
const RUN: Duration = Duration::from_secs(2400);
/// Lines of the console that are shown when it did not come to an end.
const TAIL: usize = 40;

/// A virtual machine that is killed if it is not over when this is dropped.
struct Machine(Child);

/// How its processors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processors {
    /// By this machine's, through KVM.
    Real,
    /// By software.
    Emulated,
}

/// Boots `kernel` with `archive` as its first root; prints what it says after the boot.
///
/// # Errors
///
/// When it cannot be started, or does not end in time; the error has the console's last lines.
pub fn run(qemu: &Qemu, kernel: &Kernel, archive: &Path) -> Result<Outcome> {
    if Path::new("/dev/kvm").exists() {
        let mut outcome = Outcome::default();
        let ended = run_on(qemu, Processors::Real, kernel, archive, &mut outcome);
        if outcome.has_booted() {
            return ended.map(|()| outcome);
        }
        // There is KVM that boots nothing: inside other virtual machines.
        eprintln!("xtask: KVM boots nothing here, its processors are emulated");
    }
    let mut outcome = Outcome::default();
    run_on(qemu, Processors::Emulated, kernel, archive, &mut outcome)?;
    Ok(outcome)
}

fn run_on(
    qemu: &Qemu,
    processors: Processors,
    kernel: &Kernel,
    archive: &Path,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut command = emulation(qemu, processors, kernel, archive);
    let mut machine = Machine(command.spawn().context("cannot run qemu")?);
    let console = machine.0.stdout.take().context("qemu has no stdout")?;
    let (sender, lines) = channel();
    // Read in a thread, so that waiting for the next line can be given up.
    std::thread::scope(|scope| {
        scope.spawn(move || read_lines(console, &sender));
        let show = |line: &str| println!("{}: {line}", kernel.release);
        let ended = watch(&lines, processors.boot_limit(), outcome, show);
        // Its console ends with it, and with that the thread.
        drop(machine);
        ended
    })
}

fn emulation(qemu: &Qemu, processors: Processors, kernel: &Kernel, archive: &Path) -> Command {
    let mut command = qemu.command();
    match processors {
        // Why it does not work is of no interest: there is another way.
        Processors::Real => command.args(["-accel", "kvm", "-smp", "2"]).stderr(Stdio::null()),
        // With two, Linux 6.12 died in two of four runs of an int3 in functions that the kernel patches
        // while they run (static keys); emulated with one, it has not.
        Processors::Emulated => command.args(["-accel", "tcg", "-smp", "1"]),
    };
    command
        .args(["-cpu", "max", "-m", "1024"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"])
        .args(["-serial", "stdio", "-no-reboot"])
        // OOM reports are errors to the kernel (level 3) and would tear the tests' lines apart.
        // Attaching and detaching programs waits for grace periods: they are made short.
        .args(["-append", "console=ttyS0 loglevel=3 panic=-1 rcupdate.rcu_expedited=1"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

fn read_lines(console: impl Read, lines: &Sender<String>) {
    let mut console = BufReader::new(console);
    let mut line = Vec::new();
    while matches!(console.read_until(b'\n', &mut line), Ok(length) if length > 0)
        && lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_ok()
    {
        line.clear();
    }
}

fn watch(
    lines: &Receiver<String>,
    boot: Duration,
    outcome: &mut Outcome,
    show: impl Fn(&str),
) -> Result<()> {
    let mut tail = VecDeque::new();
    let mut deadline = Instant::now() + boot;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) if outcome.is_complete() => return Ok(()),
            Err(end) => {
                let limit = if outcome.has_booted() { RUN } else { boot };
                let what = unfinished(end, outcome.has_booted(), limit);
                let tail = tail.make_contiguous().join("\n");
                bail!("{what}; the console's last lines:\n{tail}");
            }
        };
        let booted = outcome.has_booted();
        let for_people = outcome.take(&line);
        if !booted && outcome.has_booted() {
            deadline = Instant::now() + RUN;
        }
        if for_people {
            show(&line);
        }
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

fn unfinished(end: RecvTimeoutError, booted: bool, limit: Duration) -> String {
    match (end, booted) {
        (RecvTimeoutError::Timeout, false) => format!("it did not boot within {limit:?}"),
        (RecvTimeoutError::Timeout, true) => format!("its tests did not end within {limit:?}"),
        (RecvTimeoutError::Disconnected, false) => "it ended before it had booted".to_owned(),
        (RecvTimeoutError::Disconnected, true) => "it ended before its tests did".to_owned(),
    }
}

impl Processors {
    /// From power-on to the first line of our own: two seconds or ten, on an idle machine; a busy
    /// one takes several times as long.
    fn boot_limit(self) -> Duration {
        match self {
            Processors::Real => Duration::from_secs(15),
            Processors::Emulated => Duration::from_secs(120),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail when it is over already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
