//! Writes the store from a thread of its own, so that the agent never waits for a disk. It must not know SQL.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    End, Life, LifeKey, StoreError, aside,
    bounds::{Bounds, Options},
    database::{Database, Done},
    error::is_damage,
    queue::{Queue, Taken},
    statistics::Statistics,
    write::{CrashRow, EventRow, NewCrash, Recorded, Write},
};
use crate::contract::Entry;

/// The only writer of a store. Nothing here waits for the disk but [`Writer::open`] and dropping it, which writes
/// what is left.
pub struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// Without anything to write, the age of what is there is looked at.
const IDLE: Duration = Duration::from_secs(5);
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MOST: Duration = Duration::from_secs(5);
/// A transaction holds about as much.
const TRANSACTION_BYTES: usize = 1 << 20;

impl Writer {
    /// Makes or migrates the file where needed, and starts the thread. A file that cannot be opened now, as on a full
    /// disk, is tried again like one that cannot be written; one that is damaged is put aside ([`Self::aside`]).
    ///
    /// # Errors
    /// It is no regular file, or a newer tracer wrote it.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new());
        let mut thread =
            Thread { queue: queue.clone(), path: path.to_owned(), options, opened: None };
        match thread.opened() {
            Ok(opened) => queue.counters.bytes.store(opened.bounds.bytes(), Relaxed),
            Err(error) if error.may_pass() => thread.fail(error.to_string()),
            Err(error) => return Err(error),
        }
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| StoreError::Thread(error.to_string()))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// A life that began, or what was learned of it since. What is `None` or empty keeps what was told before.
    pub fn life(&self, life: Life) {
        self.queue.push_other(Write::Life(Box::new(life)), false);
    }

    /// A life that nobody wants to know of. One of which something was written stays.
    pub fn forget_life(&self, life: &Arc<LifeKey>) {
        self.queue.push_other(Write::Forget(life.clone()), false);
    }

    pub fn end(&self, life: &Arc<LifeKey>, end: End) {
        self.queue.push_other(Write::End(life.clone(), end), false);
    }

    /// Where there is no room for it, it is dropped and counted, and a
    /// `lost` entry of `store` stands in its place.
    pub fn event(&self, life: &Arc<LifeKey>, entry: &Entry) {
        match EventRow::of(life, entry) {
            Some(event) => self.queue.push_event(life, Write::Event(Box::new(event))),
            None => {
                self.queue.counters.refused.fetch_add(1, Relaxed);
            }
        }
    }

    /// A death, an incident, or a higher revision of one. Answered when it is committed, and everything before it;
    /// an error where the store cannot be written now: it will be tried again, unanswered.
    pub fn crash(&self, crash: NewCrash) -> oneshot::Receiver<Recorded> {
        let (answer, answered) = oneshot::channel();
        let mut row = CrashRow::of(crash, answer);
        if self.is_failing() {
            row.answer = None;
        }
        self.queue.push_other(Write::Crash(Box::new(row)), true);
        answered
    }

    /// Answered when everything before it is committed; an error where the store cannot be written now.
    pub fn flush(&self) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        if !self.is_failing() {
            self.queue.push_other(Write::Flush(Some(answer)), true);
        }
        answered
    }

    pub fn statistics(&self) -> Statistics {
        self.queue.counters.read()
    }

    /// Why the store cannot be written now, if it cannot.
    pub fn failure(&self) -> Option<String> {
        self.queue.counters.failure()
    }

    /// Where a store that was damaged was put, if one was since the start: what it held is not known here any more.
    pub fn aside(&self) -> Option<PathBuf> {
        self.queue.counters.aside()
    }

    fn is_failing(&self) -> bool {
        self.queue.counters.failing.load(Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's thread panicked");
        }
    }
}

struct Thread {
    queue: Arc<Queue>,
    path: PathBuf,
    options: Options,
    /// `None` until the file could be opened.
    opened: Option<Opened>,
}

struct Opened {
    database: Database,
    bounds: Bounds,
}

impl Thread {
    fn run(mut self) {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            // What failed is tried again when the pause after it is over.
            let failing = self.queue.counters.failing.load(Relaxed);
            let idle = if failing { Duration::ZERO } else { IDLE };
            let Taken { writes, since, closing } = self.queue.take(idle);
            let result = self.write(writes);
            if let Some(since) = since {
                let lag_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.queue.counters.lag_ns.store(lag_ns, Relaxed);
            }
            match result {
                Ok(()) => back_off = BACK_OFF_FIRST,
                Err(()) if closing => {
                    let left = self.queue.take(Duration::ZERO).writes.len();
                    tracing::error!(writes = left, "the store could not be written to the end");
                }
                Err(()) => {
                    self.queue.pause(back_off);
                    back_off = (back_off * 2).min(BACK_OFF_MOST);
                }
            }
            if closing {
                break;
            }
        }
        // Readers that still have the file open would keep SQLite from doing this at the end: one file is to be left,
        // that can be copied by itself.
        if let Some(opened) = &self.opened {
            opened.truncate_wal();
        }
    }

    fn opened(&mut self) -> Result<&mut Opened, StoreError> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(self.opened.insert(opened))
    }

    fn open(&self) -> Result<Opened, StoreError> {
        match Opened::open(&self.path, self.options.clone()) {
            Err(error) if error.is_damage() => {
                self.put_aside(&error.to_string());
                Opened::open(&self.path, self.options.clone())
            }
            other => other,
        }
    }

    /// What is not written is put back where something fails. Where the file is found damaged it is written to a new one.
    fn write(&mut self, mut writes: Vec<Write>) -> Result<(), ()> {
        let queue = self.queue.clone();
        let mut written = self.try_to_write(&mut writes);
        if let Err(StoreError::Sqlite(error)) = &written
            && is_damage(error)
        {
            let why = error.to_string();
            self.opened = None;
            self.put_aside(&why);
            written = self.try_to_write(&mut writes);
        }
        written.map_err(|why| {
            self.fail(why.to_string());
            queue.put_back(writes);
        })
    }

    fn try_to_write(&mut self, writes: &mut Vec<Write>) -> Result<(), StoreError> {
        let queue = self.queue.clone();
        Ok(self.opened()?.write(writes, &queue)?)
    }

    fn put_aside(&self, why: &str) {
        match aside::put(&self.path, jiff::Timestamp::now()) {
            Ok(to) => {
                tracing::error!(
                    why, to = %to.display(), "the store is damaged: it is put aside, and a new one is begun"
                );
                self.queue.counters.put_aside(to);
            }
            Err(error) => {
                tracing::error!(why, %error, "the store is damaged, and cannot be put aside");
            }
        }
    }

    /// Says so once, not at every try; a full disk may have room again without the wal.
    fn fail(&mut self, why: String) {
        if self.queue.counters.failed(why.clone()) {
            tracing::error!(error = %why, "the store cannot be written: it is tried again, events go on being streamed");
        }
        if let Some(opened) = &self.opened {
            opened.truncate_wal();
        }
    }
}

impl Opened {
    fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let database = Database::open(path)?;
        let bounds = Bounds::new(path, options, &database.connection)
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok(Self { database, bounds })
    }

    /// All of it in transactions of bounded size; `writes` keeps what comes from the first on that fails.
    fn write(&mut self, writes: &mut Vec<Write>, queue: &Queue) -> rusqlite::Result<()> {
        loop {
            let length = transaction_length(writes);
            let now_ns = jiff::Timestamp::now().as_nanosecond();
            let now_ns = i64::try_from(now_ns).unwrap_or(i64::MAX);
            self.bounds.make_room(&self.database.connection)?;
            let done = self.database.write(&mut writes[..length])?;
            // What was committed is answered, whatever becomes of the bounds.
            queue.written(done);
            writes.drain(..length);
            self.bounds.keep(&mut self.database, &queue.counters, now_ns)?;
            if queue.counters.failing.swap(false, Relaxed) {
                tracing::info!("the store can be written again");
            }
            if writes.is_empty() {
                return Ok(());
            }
        }
    }

    fn truncate_wal(&self) {
        if let Err(error) = self.bounds.truncate_wal(&self.database.connection) {
            tracing::debug!(%error, "the wal cannot be truncated");
        }
    }
}

impl Queue {
    fn written(&self, done: Done) {
        let counters = &self.counters;
        counters.events.fetch_add(done.events, Relaxed);
        counters.crashes.fetch_add(done.crashes, Relaxed);
        counters.refused.fetch_add(done.refused, Relaxed);
        // Who asked may have gone.
        for (answer, recorded) in done.answers {
            let _gone = answer.send(recorded);
        }
        for answer in done.flushed {
            let _gone = answer.send(());
        }
    }
}

/// Writes from the first on, at least one.
fn transaction_length(writes: &[Write]) -> usize {
    let mut bytes = 0;
    let fits = writes.iter().take_while(|write| {
        let has_room = bytes < TRANSACTION_BYTES;
        bytes += write.bytes();
        has_room
    });
    fits.count()
}
