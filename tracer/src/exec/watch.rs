//! Runs the command and collects what the kernel side says meanwhile.

use std::{
    io::IsTerminal,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::{
    io::unix::AsyncFd,
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
};
use tracer_ebpf::abi::state::LostKey;

use super::{ENTER, Format, Job, recording::Recording};
use crate::{
    capture::{
        decode::{Arch, decode, lost_kind},
        event::{Event, Lost, LostKind, What},
        kernel::{Programs, Rings},
    },
    diagnose::{facts::Gatherer, timeline::Timeline},
    linux::cgroup::OwnCgroup,
};

/// Signals that are passed on to the command. The terminal sends INT and QUIT to it by itself.
const PASSED_ON: [(SignalKind, rustix::process::Signal); 4] = [
    (SignalKind::terminate(), rustix::process::Signal::TERM),
    (SignalKind::hangup(), rustix::process::Signal::HUP),
    (SignalKind::user_defined1(), rustix::process::Signal::USR1),
    (SignalKind::user_defined2(), rustix::process::Signal::USR2),
];
const FROM_TERMINAL: [(SignalKind, rustix::process::Signal); 2] = [
    (SignalKind::interrupt(), rustix::process::Signal::INT),
    (SignalKind::quit(), rustix::process::Signal::QUIT),
];

/// Runs the command in `life` until it ends; its exit code as a shell would give it, what was recorded, and the
/// pids of the processes that it left behind.
pub async fn command(
    job: &Job,
    life: &OwnCgroup,
    programs: &mut Programs,
    mut rings: Rings,
) -> anyhow::Result<(u8, Recording, Vec<u32>)> {
    let mut collector = Collector::new()?;
    let mut logs =
        tracing::enabled!(tracing::Level::DEBUG).then(|| programs.logger()).transpose()?;
    let mut signals = Signals::listen()?;
    let mut child = start(job, life)?;
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .context("the command has no pid")?;
    // Its end is awaited without reaping it: until then /proc still tells of it.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an OwnedFd owns its descriptor until it is dropped"
    )]
    let ended =
        AsyncFd::new(pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the command")?)?;
    loop {
        tokio::select! {
            ready = rings.next(|record| collector.take(record)) => ready.context("cannot read the ring buffers")?,
            end = ended.readable() => {
                end.context("cannot wait for the command")?.retain_ready();
                break;
            }
            number = signals.next() => {
                // It may have ended meanwhile: then there is nobody to tell.
                let _ = rustix::process::kill_process(pid, number);
            }
        }
        if let Some(logs) = &mut logs {
            logs.flush();
        }
    }
    // The end of a process is written to the ring before its parent can learn of it.
    rings.drain(|record| collector.take(record));
    if let Some(logs) = &mut logs {
        logs.flush();
    }
    let status = child.wait().await.context("cannot wait for the command")?;
    let lost = programs.lost().unwrap_or_default();
    let living = programs.living().unwrap_or_default().into_iter().map(|(pid, _)| pid).collect();
    Ok((shell_status(status), collector.finish(&lost)?, living))
}

fn start(job: &Job, life: &OwnCgroup) -> anyhow::Result<tokio::process::Child> {
    // By its own name, for the timeline; by the link where the file has been replaced since.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let mut command = Command::new(own.unwrap_or_else(|| "/proc/self/exe".into()));
    command.arg(ENTER).arg(life.path()).args(&job.command);
    if job.format == Format::Json && job.output_file.is_none() {
        // stdout is the JSON document's alone.
        let stderr =
            std::io::stderr().as_fd().try_clone_to_owned().context("cannot copy stderr")?;
        command.stdout(Stdio::from(stderr));
    }
    command.spawn().context("cannot start a process for the command")
}

/// 128 and the signal for a command that a signal ended.
fn shell_status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(super::OWN_FAILURE)
}

/// Signals to pass on, in whatever order they come.
struct Signals(Vec<(Signal, Option<rustix::process::Signal>)>);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let on_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
        let mut signals = Vec::new();
        for (kind, number) in PASSED_ON {
            signals.push((signal(kind)?, Some(number)));
        }
        for (kind, number) in FROM_TERMINAL {
            signals.push((signal(kind)?, (!on_terminal).then_some(number)));
        }
        Ok(Self(signals))
    }

    async fn next(&mut self) -> rustix::process::Signal {
        std::future::poll_fn(|context| {
            for (signal, number) in &mut self.0 {
                while let std::task::Poll::Ready(Some(())) = signal.poll_recv(context) {
                    if let Some(number) = number {
                        return std::task::Poll::Ready(*number);
                    }
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Decodes records as they come, and looks up what must be looked up at once.
struct Collector {
    arch: Arch,
    records: Vec<Vec<u8>>,
    events: Vec<Event>,
    undecodable: u64,
    gatherer: Gatherer,
}

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
        Ok(Self {
            arch: Arch::of_machine(&machine).context("unknown machine")?,
            records: Vec::new(),
            events: Vec::new(),
            undecodable: 0,
            gatherer: Gatherer::new(),
        })
    }

    fn take(&mut self, record: &[u8]) {
        match decode(record, self.arch) {
            Ok(events) => {
                for event in &events {
                    self.gatherer.observe(event);
                }
                self.events.extend(events);
                self.records.push(record.to_vec());
            }
            Err(error) => {
                tracing::warn!(%error, bytes = record.len(), "undecodable record");
                self.undecodable += 1;
            }
        }
    }

    fn finish(mut self, lost: &[(LostKey, u64)]) -> anyhow::Result<Recording> {
        self.add_losses(lost);
        let timeline = Timeline::build(self.events)
            .context("nothing was recorded of the command: see `tracer doctor`")?;
        let facts = self.gatherer.finish(&timeline);
        Ok(Recording { records: self.records, facts, timeline })
    }

    /// Losses become events at the end, of the process that came last.
    fn add_losses(&mut self, lost: &[(LostKey, u64)]) {
        let Some(last) = self.events.iter().max_by_key(|event| event.time_ns).cloned() else {
            return;
        };
        let kinds = lost.iter().filter_map(|(key, count)| Some((lost_kind(key.kind)?, *count)));
        let undecodable =
            (self.undecodable > 0).then_some((LostKind::Undecodable, self.undecodable));
        for (of, count) in kinds.chain(undecodable) {
            self.events.push(Event { what: What::Lost(Lost { of, count }), ..last.clone() });
        }
    }
}
