//! Tells what happened to everybody who wants to know: stdout, the store, live followers. It must not decide anything.

use std::{borrow::Cow, sync::Arc};

use tokio::task::JoinSet;

use super::{container::Known, stdout::Stdout};
use crate::{
    config::Stdout as Lines,
    contract::{CRASH, CrashObject, Observation, entry, names},
    event::{BootNs, Event, ProcessId},
    kubernetes::events::{Events, Notice},
    live::{Bus, Line},
    store::{End, Life, LifeKey, NewCrash, Recorded, Writer},
};

/// Where everything is told.
pub struct Teller {
    lines: Lines,
    stdout: Stdout,
    bus: Bus,
    store: Writer,
    events: Option<Events>,
    /// Crashes whose lines wait until they are committed.
    waiting: JoinSet<Option<Waiting>>,
}

/// What is told of a crash when it is committed.
struct Waiting {
    line: Line,
    notice: Option<Notice>,
}

/// A crash or incident, ready to be told.
pub struct Told {
    pub object: CrashObject,
    pub cause: &'static str,
    /// With colour.
    pub text: String,
    /// The process of an incident.
    pub process: Option<ProcessId>,
    /// A line tells of it: a crash, or what became of one that was told before.
    pub is_line: bool,
}

impl Teller {
    /// `events`: where the Kubernetes API is told.
    pub fn new(
        lines: Lines,
        stdout: Stdout,
        bus: Bus,
        store: Writer,
        events: Option<Events>,
    ) -> Self {
        Self { lines, stdout, bus, store, events, waiting: JoinSet::new() }
    }

    pub fn store(&self) -> &Writer {
        &self.store
    }

    pub fn life(&self, life: Life) {
        self.store.life(life);
    }

    pub fn end(&self, life: &Arc<LifeKey>, end: End) {
        self.store.end(life, end);
    }

    /// One event of a selected container.
    pub fn event(
        &self,
        life: &Arc<LifeKey>,
        known: &Known,
        event: &Event,
        since_ns: BootNs,
        offset_ns: i64,
    ) {
        let entry = entry(event, since_ns, offset_ns);
        self.store.event(life, &entry);
        let to_stdout = self.lines == Lines::Events;
        if !to_stdout && !self.bus.is_followed() {
            return;
        }
        let observation = Observation {
            entry: Cow::Owned(entry),
            container: Some(Cow::Borrowed(&known.container)),
            k8s: known.k8s.as_ref().map(Cow::Borrowed),
        };
        let json =
            serde_json::to_string(&observation).expect("an observation has only string keys");
        if to_stdout {
            self.stdout.line(json.clone());
        }
        self.bus.publish(Line {
            json,
            kind: names::kind(&event.what),
            identity: Some(known.identity.clone()),
            cause: None,
        });
    }

    /// A crash, an incident, or an end that is none. Its line follows when it is committed.
    pub fn crash(&mut self, life: &Arc<LifeKey>, known: &Known, told: Told) {
        let Told { mut object, cause, text, process, is_line } = told;
        // A line has no timeline: whoever wants it asks for the id.
        let timeline = object.timeline.take();
        let line = serde_json::to_string(&object).map(|json| Line {
            json,
            kind: CRASH,
            identity: Some(known.identity.clone()),
            cause: Some(cause),
        });
        object.timeline = timeline;
        let is_told = self.events.is_some() && is_line;
        let notice = is_told.then(|| Notice::of(&object, &known.identity)).flatten();
        let waiting = line.map(|line| Waiting { line, notice });
        let answer = self.store.crash(NewCrash { life: life.clone(), process, object, text });
        self.waiting.spawn(async move {
            match answer.await {
                // What was told before is not told again.
                Ok(Recorded::Known) => None,
                // A store that fails costs memory, not the line.
                Ok(Recorded::New | Recorded::Revised) | Err(_) => waiting.ok().filter(|_| is_line),
            }
        });
    }

    /// Waits for the next crash to be committed, and tells it. Waits for ever if there is none.
    pub async fn next_committed(&mut self) {
        match self.waiting.join_next().await {
            Some(Ok(Some(waiting))) => self.publish(waiting),
            Some(Ok(None)) => {}
            Some(Err(error)) => tracing::error!(%error, "a crash could not be told"),
            None => std::future::pending().await,
        }
    }

    /// Tells all that waits and ends the streams.
    pub async fn finish(mut self) {
        while let Some(told) = self.waiting.join_next().await {
            if let Ok(Some(waiting)) = told {
                self.publish(waiting);
            }
        }
        self.bus.end();
        // An error says that the store cannot be written: it was told.
        let _ = self.store.flush().await;
        if let Some(events) = self.events {
            events.finish().await;
        }
    }

    fn publish(&self, waiting: Waiting) {
        let Waiting { line, notice } = waiting;
        match self.lines {
            Lines::Events | Lines::Crashes => self.stdout.line(line.json.clone()),
            Lines::None => {}
        }
        self.bus.publish(line);
        if let (Some(events), Some(notice)) = (&self.events, notice) {
            events.tell(notice);
        }
    }
}
