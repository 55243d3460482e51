//! The worker process (`worker.c`): compiles it, starts it, under another program if need be, and
//! asks it to time its calls. It knows nothing about who watches the worker.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use xtask::means::exec;

/// What the worker can time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A call that succeeds and does nothing.
    Getppid,
    /// 64 bytes to a pipe.
    Pipe,
    /// 64 bytes to stderr, which is /dev/null.
    Words,
    /// An open of a file that is absent.
    Openat,
    /// posix_spawn of a static program that ends at once, and waiting for it.
    Spawn,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::Getppid, Self::Pipe, Self::Words, Self::Openat, Self::Spawn];

    pub fn name(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::Pipe => "pipe",
            Self::Words => "words",
            Self::Openat => "openat",
            Self::Spawn => "spawn",
        }
    }

    /// How many of it take about a thousandth of a second: the scheduler lets a process run for
    /// longer, so that most batches are not interrupted even on a busy machine.
    fn batch(self) -> u32 {
        match self {
            Self::Getppid => 3_000,
            Self::Pipe | Self::Words => 2_000,
            Self::Openat => 500,
            Self::Spawn => 1,
        }
    }
}

/// How often an operation is done: `batches` times what takes a thousandth of a second. The answer
/// is the median batch.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub batches: u32,
    /// Divides the size of a batch, where each operation takes a hundred times longer.
    pub less: u32,
}

/// Compiles the worker into `folder`.
pub fn compile(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("worker.c");
    std::fs::write(&source, include_str!("worker.c"))
        .context("cannot write the worker's source")?;
    let program = folder.join("worker");
    exec::run_quietly(
        Command::new("cc")
            .args(["-O2", "-static", "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-lpthread"),
    )?;
    Ok(program)
}

/// A worker that takes orders. It is killed when this is dropped before [`Worker::end`].
#[derive(Debug)]
pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Its process id in our namespace.
    pub pid: u32,
    /// Nanoseconds from our starting it to its first instruction.
    pub start_ns: u64,
}

impl Worker {
    /// Starts a worker on one CPU, as the last arguments of `through`: empty for the worker alone.
    pub fn start(program: &Path, cpu: Option<usize>, through: &[OsString]) -> Result<Self> {
        let mut arguments = through.to_vec();
        arguments.extend([program.into(), "serve".into()]);
        arguments.push(cpu.map_or("-1".into(), |cpu| cpu.to_string().into()));
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started_ns = boot_time_ns();
        let mut child =
            command.spawn().with_context(|| format!("cannot run `{}`", exec::line(&command)))?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("the worker has no stdout")?;
        let mut worker =
            Self { child, orders, answers: BufReader::new(answers), pid: 0, start_ns: 0 };
        let hello = worker.answer()?;
        let numbers = numbers(&hello)?;
        ensure!(numbers.len() == 2, "the worker says {hello:?}");
        worker.pid = u32::try_from(numbers[0])?;
        worker.start_ns = numbers[1].saturating_sub(started_ns);
        Ok(worker)
    }

    /// Process id of the program that it was started through; its own without one.
    pub fn outer_pid(&self) -> u32 {
        self.child.id()
    }

    /// Nanoseconds of one operation.
    pub fn time(&mut self, operation: Operation, amount: Amount) -> Result<f64> {
        let size = self.size(operation, amount);
        let answer = self.ask(&format!("{} {size} {}", operation.name(), amount.batches))?;
        answer.parse().with_context(|| format!("the worker says {answer:?}"))
    }

    /// How many operations [`Worker::time`] does, with those before the first batch.
    pub fn operations(&self, operation: Operation, amount: Amount) -> u32 {
        let size = self.size(operation, amount);
        size * amount.batches + size / 10 + 1
    }

    fn size(&self, operation: Operation, amount: Amount) -> u32 {
        (operation.batch() / amount.less).max(1)
    }

    /// Gives an order and waits for its numbers.
    pub fn order(&mut self, order: &str) -> Result<Vec<u64>> {
        numbers(&self.ask(order)?)
    }

    fn ask(&mut self, order: &str) -> Result<String> {
        let orders = self.orders.as_mut().context("the worker takes no orders any more")?;
        writeln!(orders, "{order}").context("the worker has gone")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).context("cannot read from the worker")?;
        ensure!(read > 0, "the worker, or what it was started through, ended early");
        Ok(line.trim().to_owned())
    }

    /// Lets it end, and waits for it and for what it was started through.
    pub fn end(mut self) -> Result<ExitStatus> {
        drop(self.orders.take());
        self.child.wait().context("cannot wait for the worker")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its stdin is closed: the worker ends, and with it whatever it was started through.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// CLOCK_BOOTTIME, the clock of the tracer's records.
pub fn boot_time_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn numbers(line: &str) -> Result<Vec<u64>> {
    let numbers = line.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    numbers.with_context(|| format!("the worker says {line:?}"))
}
