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

/// From power-on to the first line of our own. Emulated, it takes ten seconds on an idle machine.
const BOOT: Duration = Duration::from_secs(60);
/// For everything after that.
const RUN: Duration = Duration::from_secs(600);
/// Lines of the console that are shown when it did not come to an end.
const TAIL: usize = 40;

/// A virtual machine that is killed if it is not over when this is dropped.
struct Machine(Child);

/// Boots `kernel` with `archive` as its first root; prints what it says after the boot.
///
/// # Errors
///
/// When it cannot be started, or does not end in time; the error has the console's last lines.
pub fn run(kernel: &Kernel, archive: &Path) -> Result<Outcome> {
    let mut machine = Machine(qemu(kernel, archive).spawn().context("cannot run qemu")?);
    let console = machine.0.stdout.take().context("qemu has no stdout")?;
    let (sender, lines) = channel();
    // Read in a thread, so that waiting for the next line can be given up.
    std::thread::scope(|scope| {
        scope.spawn(move || read_lines(console, &sender));
        let outcome = watch(&lines);
        // Its console ends with it, and with that the thread.
        drop(machine);
        outcome
    })
}

fn qemu(kernel: &Kernel, archive: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        // The first that works here.
        .args(["-accel", "kvm", "-accel", "tcg,thread=multi"])
        .args(["-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"])
        .args(["-serial", "stdio", "-no-reboot"])
        // OOM reports are errors to the kernel (level 3) and would tear the tests' lines apart.
        .args(["-append", "console=ttyS0 loglevel=3 panic=-1"])
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

fn watch(lines: &Receiver<String>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut tail = VecDeque::new();
    let mut deadline = Instant::now() + BOOT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) if outcome.is_complete() => return Ok(outcome),
            Err(end) => {
                let what = unfinished(end, outcome.has_booted());
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
            println!("{line}");
        }
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

fn unfinished(end: RecvTimeoutError, booted: bool) -> String {
    match (end, booted) {
        (RecvTimeoutError::Timeout, false) => format!("it did not boot within {BOOT:?}"),
        (RecvTimeoutError::Timeout, true) => format!("the tests did not end within {RUN:?}"),
        (RecvTimeoutError::Disconnected, false) => "it ended before it had booted".to_owned(),
        (RecvTimeoutError::Disconnected, true) => "it ended before its tests did".to_owned(),
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail when it is over already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
