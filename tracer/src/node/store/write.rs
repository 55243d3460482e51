//! What is written, made small and ready before it waits in the queue. It must not know SQL.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    End, Life, LifeKey,
    shape::{Split, split},
};
use crate::{
    capture::event::ProcessId,
    contract::{CrashObject, Entry},
};

/// One death or incident, as it is told.
#[derive(Clone, Debug)]
pub struct NewCrash {
    pub life: Arc<LifeKey>,
    /// The process of an incident; `None` for the end of the life.
    pub process: Option<ProcessId>,
    /// With its timeline.
    pub object: CrashObject,
    /// Timeline and verdict for people, with colour (ANSI).
    pub text: String,
}

/// What became of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Not known before.
    New,
    /// A higher revision of one that was known.
    Revised,
    /// This revision or a later one was known already; nothing was written.
    Known,
}

/// Something to write.
pub enum Write {
    Life(Box<Life>),
    End(Arc<LifeKey>, End),
    Forget(Arc<LifeKey>),
    Event(Box<EventRow>),
    Crash(Box<CrashRow>),
    /// Events that found no room in the queue.
    Gap(Arc<LifeKey>, u64),
    /// Answered when all before it is committed.
    Flush(Option<oneshot::Sender<()>>),
}

#[derive(Debug)]
pub struct EventRow {
    pub life: Arc<LifeKey>,
    pub kind: String,
    pub time_ns: i64,
    pub offset_ns: i64,
    pub process: Split,
    pub body: Split,
}

#[derive(Debug)]
pub struct CrashRow {
    pub life: Arc<LifeKey>,
    pub scope: String,
    /// `pid:start_ns`, empty for the end of the life.
    pub process: String,
    pub crash_id: String,
    pub revision: u32,
    pub time_ns: i64,
    pub cause: String,
    pub confidence: String,
    pub summary: String,
    /// The object without its timeline.
    pub object: String,
    pub timeline: String,
    pub text: String,
    /// Dropped unanswered where the crash could not be committed.
    pub answer: Option<oneshot::Sender<Recorded>>,
}

impl EventRow {
    /// `None` where its time is none that can be stored.
    pub fn of(life: &Arc<LifeKey>, entry: &Entry) -> Option<Self> {
        Some(Self {
            life: life.clone(),
            kind: entry.what.kind().to_owned(),
            time_ns: nanoseconds(&entry.time)?,
            offset_ns: entry.offset_ns,
            process: split(&serde_json::to_value(&entry.process).ok()?),
            body: split(&serde_json::to_value(&entry.what).ok()?),
        })
    }

    /// Memory that it holds, about.
    pub fn bytes(&self) -> usize {
        let split = |split: &Split| split.paths.len() + split.values.len();
        size_of::<Self>() + self.kind.len() + split(&self.process) + split(&self.body)
    }
}

/// Why a crash object can always be written.
const JSON: &str = "a crash object has only string keys, and no number that JSON lacks";
/// Of timeline and text together.
const CRASH_BYTES_MAX: usize = 1 << 20;

impl CrashRow {
    /// One that is too large is kept without its timeline, all of whose entries count as lost.
    pub fn of(new: NewCrash, answer: oneshot::Sender<Recorded>) -> Self {
        let NewCrash { life, process, mut object, mut text } = new;
        let entries = object.timeline.take().unwrap_or_default();
        let count = entries.len() as u64;
        let mut timeline = serde_json::to_string(&entries).expect(JSON);
        if timeline.len() + text.len() > CRASH_BYTES_MAX {
            object.lost = object.lost.saturating_add(count);
            timeline = "[]".to_owned();
            text = "The timeline was too large to be stored.\n".to_owned();
        }
        let process = process.map(|id| format!("{}:{}", id.pid, id.start_ns)).unwrap_or_default();
        let whole = serde_json::to_string(&object).expect(JSON);
        Self {
            life,
            scope: object.crash.scope,
            process,
            crash_id: object.crash.id,
            revision: object.crash.revision,
            time_ns: nanoseconds(&object.crash.time).unwrap_or_default(),
            cause: object.crash.cause,
            confidence: object.crash.confidence,
            summary: object.crash.summary,
            object: whole,
            timeline,
            text,
            answer: Some(answer),
        }
    }

    pub fn bytes(&self) -> usize {
        self.object.len() + self.timeline.len() + self.text.len()
    }
}

/// Of an RFC 3339 time.
fn nanoseconds(time: &str) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

impl Write {
    /// Memory that it holds, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.bytes(),
            Self::Crash(crash) => crash.bytes(),
            Self::Life(_) => 2048,
            Self::End(..) | Self::Forget(_) | Self::Gap(..) | Self::Flush(_) => 128,
        }
    }

    /// Whoever waits learns that it is not committed.
    pub fn forget_answer(&mut self) {
        match self {
            Self::Crash(crash) => crash.answer = None,
            Self::Flush(waiting) => *waiting = None,
            Self::Life(_) | Self::End(..) | Self::Forget(_) | Self::Event(_) | Self::Gap(..) => {}
        }
    }
}
