//! Reports what happened to everybody who wants to know: stdout, the store, live followers. It must not decide anything.

use std::{borrow::Cow, sync::Arc};

use tokio::task::JoinSet;

use super::{
    lives::{Attribution, Report},
    stdout::Stdout,
};
use crate::{
    config::Stdout as Lines,
    contract::{CRASH, Entry, Observation},
    node::{
        kubernetes::events::{Events, Notice},
        live::{Bus, Line},
        store::{End, Life, LifeKey, NewCrash, Recorded, Writer},
    },
};

/// Where everything is reported.
pub struct Reporter {
    lines: Lines,
    stdout: Stdout,
    bus: Bus,
    store: Writer,
    events: Option<Events>,
    /// Crashes whose lines wait until they are committed.
    waiting: JoinSet<Option<Committed>>,
}

/// What is reported of a crash when it is committed.
pub struct Committed {
    line: Line,
    notice: Option<Notice>,
}

impl Reporter {
    /// `events`: where the Kubernetes API is notified.
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

    pub fn forget_life(&self, life: &Arc<LifeKey>) {
        self.store.forget_life(life);
    }

    pub fn end(&self, life: &Arc<LifeKey>, end: End) {
        self.store.end(life, end);
    }

    /// One event of a selected container, as a timeline entry.
    pub fn event(
        &self,
        life: &Arc<LifeKey>,
        owner: &Attribution,
        kind: &'static str,
        entry: Entry,
    ) {
        self.store.event(life, &entry);
        let to_stdout = self.lines == Lines::Events;
        if !to_stdout && !self.bus.is_followed() {
            return;
        }
        let observation = Observation {
            entry: Cow::Owned(entry),
            container: Some(Cow::Borrowed(&owner.container)),
            k8s: owner.k8s.as_ref().map(Cow::Borrowed),
        };
        let json =
            serde_json::to_string(&observation).expect("an observation has only string keys");
        if to_stdout {
            self.stdout.line(json.clone());
        }
        let identity = Some(owner.identity.clone());
        self.bus.publish(Line { json, kind, identity, cause: None });
    }

    /// A crash, an incident, or an end that is none. Its line follows when it is committed.
    pub fn report(&mut self, life: &Arc<LifeKey>, owner: &Attribution, report: Report) {
        let Report { mut object, cause, text, process, is_line } = report;
        // A line has no timeline: whoever wants it asks for the id.
        let timeline = object.timeline.take();
        let line = serde_json::to_string(&object).map(|json| Line {
            json,
            kind: CRASH,
            identity: Some(owner.identity.clone()),
            cause: Some(cause),
        });
        object.timeline = timeline;
        let is_notified = self.events.is_some() && is_line;
        let notice = is_notified.then(|| Notice::of(&object, &owner.identity)).flatten();
        let waiting = line.map(|line| Committed { line, notice });
        let answer = self.store.crash(NewCrash { life: life.clone(), process, object, text });
        self.waiting.spawn(async move {
            match answer.await {
                // What was reported before is not reported again.
                Ok(Recorded::Known) => None,
                // A store that fails costs memory, not the line.
                Ok(Recorded::New | Recorded::Revised) | Err(_) => waiting.ok().filter(|_| is_line),
            }
        });
    }

    /// Waits for the next crash to be committed, to be published where there is something to report. Waits for ever if
    /// there is none.
    pub async fn next_committed(&mut self) -> Option<Committed> {
        match self.waiting.join_next().await {
            Some(Ok(crash)) => crash,
            Some(Err(error)) => {
                tracing::error!(%error, "a crash could not be told");
                None
            }
            None => std::future::pending().await,
        }
    }

    /// Reports all that waits and ends the streams.
    pub async fn finish(mut self) {
        while let Some(crash) = self.waiting.join_next().await {
            if let Ok(Some(waiting)) = crash {
                self.publish(waiting);
            }
        }
        self.bus.end();
        // An error says that the store cannot be written: it was logged.
        let _ = self.store.flush().await;
        if let Some(events) = self.events {
            events.finish().await;
        }
    }

    /// Reports a crash that is in the store.
    pub fn publish(&self, waiting: Committed) {
        let Committed { line, notice } = waiting;
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
