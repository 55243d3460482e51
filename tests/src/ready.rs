//! How a victim tells the outside that it is ready: one line through a FIFO. No sleeps anywhere.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

const LONGEST: Duration = Duration::from_secs(60);

/// A FIFO that a victim writes "PID VALUE" to once it is ready. The reading end is open from the start, so that the
/// victim's open never waits.
#[derive(Debug)]
pub struct Ready {
    path: PathBuf,
    reader: File,
}

/// What a victim said.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// The victim's pid, as itself sees it.
    pub pid: Pid,
    /// A port, where the victim took one.
    pub value: u16,
}

impl Ready {
    /// Makes the FIFO.
    ///
    /// # Errors
    /// When `path` exists or its folder does not.
    pub fn new(path: PathBuf) -> Result<Self> {
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0)
            .with_context(|| format!("cannot make FIFO {}", path.display()))?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let reader = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        Ok(Self { path, reader })
    }

    /// Where the victim finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the victim is ready, or until `ended` is readable because it has ended before that.
    ///
    /// # Errors
    /// When the victim ends first or says nothing for a minute.
    pub fn wait(mut self, ended: BorrowedFd<'_>) -> Result<Said> {
        let mut either = [
            PollFd::new(&self.reader, PollFlags::IN),
            PollFd::from_borrowed_fd(ended, PollFlags::IN),
        ];
        if poll(&mut either, Some(&timespec(LONGEST)))? == 0 {
            bail!("the victim was not ready within {LONGEST:?}");
        }
        if !either[0].revents().contains(PollFlags::IN) {
            bail!("the victim ended before it was ready");
        }
        let mut line = [0; 64];
        let length = self.reader.read(&mut line)?;
        let line = std::str::from_utf8(&line[..length])?;
        let (pid, value) = line.trim_end().split_once(' ').context("the victim's line is cut")?;
        let pid = Pid::from_raw(pid.parse()?).context("the victim's pid is 0")?;
        Ok(Said { pid, value: value.parse()? })
    }

    /// Waits until the victim is ready, whatever may have become of it.
    ///
    /// # Errors
    /// When it says nothing for a minute.
    pub fn wait_alone(self) -> Result<Said> {
        let (never, _open) = rustix::pipe::pipe()?;
        self.wait(never.as_fd())
    }
}

/// Whether `fd` becomes readable in time.
pub(crate) fn readable_within(fd: BorrowedFd<'_>, longest: Duration) -> Result<bool> {
    let mut one = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    Ok(poll(&mut one, Some(&timespec(longest)))? == 1)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}
