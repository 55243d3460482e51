//! The subscriptions and procedures of a client. They outlive a connection: the client sends all of them to the gateway
//! after each reconnect.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Error,
    inbox::{Inbox, SubscribeOptions},
    link::{Link, Outcome},
};
use crate::{
    router::{ClientId, Router},
    wire::{
        message::{
            Message, Procedure, Publish, Qos, RegisterProcedure, Subscribe, Term, Unsubscribe,
        },
        topic::Pattern,
    },
};

/// As many as a gateway allows one client by default.
const MOST_SUBSCRIPTIONS: usize = 1024;
const MOST_PROCEDURES: usize = 1024;
/// How many patterns one frame has: even the longest fit into the smallest frame that a gateway allows.
const PATTERNS_OF_FRAME: usize = 32;

type Answering = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Answers the calls of one procedure.
#[derive(Clone)]
pub(super) struct Handler(pub Arc<dyn Fn(Term) -> Answering + Send + Sync>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Mutex<Entries>,
    /// How many messages were dropped, of all subscriptions.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    /// Finds the subscriptions of a topic: each subscription is a client of this router.
    router: Router,
    /// The inboxes, by the subscription's number.
    inboxes: Vec<Option<(Vec<Pattern>, Arc<Inbox>)>>,
    /// How many subscriptions each pattern has.
    counts: HashMap<Pattern, usize>,
    handlers: HashMap<Procedure, Handler>,
    closed: bool,
}

impl Table {
    /// Subscribes to those patterns that the gateway does not know.
    pub fn subscribe(
        &self,
        patterns: &[Pattern],
        options: SubscribeOptions,
        link: &Link,
    ) -> Result<(ClientId, Arc<Inbox>), Error> {
        let mut entries = self.lock();
        if entries.closed {
            return Err(Error::Closed);
        }
        let Entries { router, inboxes, counts, .. } = &mut *entries;
        if router.counts().subscriptions + patterns.len() > MOST_SUBSCRIPTIONS {
            return Err(Error::TooMany { what: "subscriptions", most: MOST_SUBSCRIPTIONS });
        }
        let id = router.join();
        let mut mine = patterns.to_vec();
        mine.retain(|pattern| router.subscribe(id, pattern));
        let mut unknown = Vec::new();
        for pattern in &mine {
            let count = counts.entry(pattern.clone()).or_default();
            *count += 1;
            if *count == 1 {
                unknown.push(pattern.clone());
            }
        }
        let inbox = Arc::new(Inbox::new(options));
        if inboxes.len() <= id.index() {
            inboxes.resize_with(id.index() + 1, || None);
        }
        inboxes[id.index()] = Some((mine, inbox.clone()));
        subscribe(&unknown).for_each(|message| link.push_now(&message));
        Ok((id, inbox))
    }

    /// Unsubscribes from those patterns that no other subscription has.
    pub fn unsubscribe(&self, id: ClientId, link: &Link) {
        let mut entries = self.lock();
        let Entries { router, inboxes, counts, .. } = &mut *entries;
        let entry = inboxes.get_mut(id.index()).and_then(Option::take);
        let Some((mut topics, inbox)) = entry else { return };
        inbox.abandon();
        router.leave(id);
        topics.retain(|pattern| {
            let Some(count) = counts.get_mut(pattern) else { return true };
            *count -= 1;
            let is_last = *count == 0;
            if is_last {
                counts.remove(pattern);
            }
            is_last
        });
        for topics in topics.chunks(PATTERNS_OF_FRAME) {
            link.push_now(&Message::Unsubscribe(Unsubscribe { topics: topics.to_vec() }));
        }
    }

    /// A procedure that was registered before gets the new handler.
    pub fn register(
        &self,
        procedure: &Procedure,
        handler: Handler,
        link: &Link,
    ) -> Result<(), Error> {
        let mut entries = self.lock();
        if entries.closed {
            return Err(Error::Closed);
        }
        let known = entries.handlers.contains_key(procedure);
        if !known && entries.handlers.len() >= MOST_PROCEDURES {
            return Err(Error::TooMany { what: "procedures", most: MOST_PROCEDURES });
        }
        entries.handlers.insert(procedure.clone(), handler);
        if !known {
            link.push_now(&register(procedure));
        }
        Ok(())
    }

    /// A connection has begun: sends all subscriptions and procedures to the gateway. Nothing is subscribed to or registered
    /// meanwhile.
    pub fn open(&self, link: &Link) {
        let entries = self.lock();
        let patterns: Vec<Pattern> = entries.counts.keys().cloned().collect();
        let procedures = entries.handlers.keys().map(register);
        let all: Vec<Message> = subscribe(&patterns).chain(procedures).collect();
        link.open(&all);
    }

    /// Hands messages to all subscriptions that match. `full` gets those that must be waited for.
    pub fn deliver(&self, messages: impl Iterator<Item = Publish>, full: &mut Vec<Arc<Inbox>>) {
        let mut entries = self.lock();
        let Entries { router, inboxes, .. } = &mut *entries;
        for message in messages {
            for id in router.subscribers(&message.topic).0.iter() {
                let Some((_, inbox)) = inboxes.get(id.index()).and_then(Option::as_ref) else {
                    continue;
                };
                let (dropped, waits) = inbox.push(message.clone());
                if dropped > 0 {
                    self.dropped.fetch_add(dropped, Ordering::Relaxed);
                }
                if waits && !full.iter().any(|known| Arc::ptr_eq(known, inbox)) {
                    full.push(inbox.clone());
                }
            }
        }
    }

    pub fn handler(&self, procedure: &Procedure) -> Option<Handler> {
        self.lock().handlers.get(procedure).cloned()
    }

    /// Ends all subscriptions. Handlers are dropped too: they may hold clients.
    pub fn close(&self) {
        let mut entries = self.lock();
        entries.closed = true;
        entries.inboxes.iter().flatten().for_each(|(_, inbox)| inbox.end());
        let handlers = std::mem::take(&mut entries.handlers);
        drop(entries);
        drop(handlers);
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subscribe(patterns: &[Pattern]) -> impl Iterator<Item = Message> {
    let of = |topics: &[Pattern]| Subscribe { topics: topics.to_vec(), qos: Qos::AtMostOnce };
    patterns.chunks(PATTERNS_OF_FRAME).map(move |topics| Message::Subscribe(of(topics)))
}

fn register(procedure: &Procedure) -> Message {
    Message::RegisterProcedure(RegisterProcedure { procedure: procedure.clone() })
}
