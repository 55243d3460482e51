//! JSON lines to stdout, from a thread of their own: whoever reads slowly loses events, and a line says how many; the agent
//! does not wait. It must not know what a line says.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use crate::contract::Gap;

/// Lines that wait: some megabytes.
const WAITING: usize = 8192;

/// Writes lines until it is dropped, which writes what waits.
#[derive(Debug)]
pub struct Stdout {
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Stdout {
    /// # Errors
    /// No thread can be started.
    pub fn start() -> io::Result<Self> {
        let (lines, queue) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = lost.clone();
        let thread = std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || write(&queue, &counter))?;
        Ok(Self { lines: Some(lines), lost, thread: Some(thread) })
    }

    /// Hands over one JSON object; it is lost, and counted, where there is no room.
    pub fn line(&self, json: String) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(json) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            // Whoever read stdout has gone.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(queue: &Receiver<String>, lost: &AtomicU64) {
    let mut out = io::BufWriter::new(io::stdout());
    while let Ok(line) = queue.recv() {
        let mut written = put(&mut out, &line);
        while let Ok(line) = queue.try_recv() {
            written = written.and_then(|()| put(&mut out, &line));
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let gap = serde_json::to_string(&Gap::of_lines(count)).map_err(io::Error::other);
            written = written.and_then(|()| put(&mut out, &gap?));
        }
        if written.and_then(|()| out.flush()).is_err() {
            // A closed stdout ends the stream, not the agent: store and API go on.
            return;
        }
    }
}

fn put(out: &mut impl Write, line: &str) -> io::Result<()> {
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")
}
