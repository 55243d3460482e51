//! Who gets what within one realm: topics and procedures in, clients out. Pure: no I/O and no clock. Sessions and bytes are
//! not known here.

mod calls;
mod retained;
mod share;
mod trie;

use std::{collections::HashMap, mem, sync::Arc};

use crate::wire::{
    message::Procedure,
    topic::{Pattern, Topic},
};

pub use calls::{Asks, Busy, CallLimits, Caller, Calls, Expired, Request};
pub use retained::{Retained, RetainedFull, RetainedLimits};
pub use share::{Group, Owner};

use self::trie::Trie;

/// A client of the realm: a small number, which another client may get after it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u32);

impl ClientId {
    /// The number as an index into tables of clients.
    pub fn index(self) -> usize {
        // usize has 32 bits or more wherever there is a network stack.
        self.0 as usize
    }
}

/// The most topics whose subscribers are remembered.
const REMEMBERED: usize = 4096;
/// The most subscribers that are remembered, of all topics together.
const MOST_REMEMBERED_CLIENTS: usize = 1 << 20;

/// The subscriptions of a realm, and the providers of its procedures.
#[derive(Debug, Default)]
pub struct Router {
    subscriptions: Trie,
    /// What each client holds, by its number; `None` where no client has the number.
    clients: Vec<Option<Client>>,
    free: Vec<ClientId>,
    /// The subscribers found for topics since the last change of a subscription.
    remembered: HashMap<Topic, Arc<[ClientId]>>,
    /// The number of subscribers in `found`, of all topics.
    remembered_clients: usize,
    /// The last topic: a client that publishes often mostly publishes to one topic.
    last: Option<(Topic, Arc<[ClientId]>)>,
    providers: HashMap<Procedure, Providers>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Client {
    /// How often the client subscribed to each pattern.
    patterns: HashMap<Pattern, u32>,
    procedures: Vec<Procedure>,
}

#[derive(Debug, Default)]
struct Providers {
    clients: Vec<ClientId>,
    /// The provider whose turn it is.
    next: usize,
}

/// How much a realm holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub clients: usize,
    pub subscriptions: usize,
    pub registrations: usize,
}

impl Router {
    /// Adds a client.
    pub fn join(&mut self) -> ClientId {
        self.counts.clients += 1;
        let id = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            // Each client has a connection: memory ends long before the numbers do.
            ClientId(u32::try_from(self.clients.len() - 1).unwrap_or(u32::MAX))
        });
        self.clients[id.index()] = Some(Client::default());
        id
    }

    /// Removes a client with its subscriptions and procedures.
    pub fn leave(&mut self, id: ClientId) {
        self.clear(id);
        if self.clients.get_mut(id.index()).and_then(Option::take).is_some() {
            self.counts.clients -= 1;
            self.free.push(id);
        }
    }

    /// Removes the subscriptions and procedures of a client; the client stays.
    pub fn clear(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut) else {
            return;
        };
        let client = mem::take(client);
        for pattern in client.patterns.keys() {
            self.subscriptions.remove(pattern, id);
        }
        for procedure in &client.procedures {
            self.withdraw(procedure, id);
        }
        if !client.patterns.is_empty() {
            self.forget_subscribers();
        }
        self.counts.subscriptions -= client.patterns.len();
        self.counts.registrations -= client.procedures.len();
    }

    /// Subscribes a client to a pattern. Returns false where the client does not exist or had subscribed before; each time
    /// is counted.
    pub fn subscribe(&mut self, id: ClientId, pattern: &Pattern) -> bool {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut) else {
            return false;
        };
        if let Some(times) = client.patterns.get_mut(pattern) {
            *times = times.saturating_add(1);
            return false;
        }
        client.patterns.insert(pattern.detached(), 1);
        self.subscriptions.insert(pattern, id);
        self.counts.subscriptions += 1;
        self.forget_subscribers();
        true
    }

    /// Takes back one subscription to the pattern. Returns false where the client is still subscribed, or was not.
    pub fn unsubscribe(&mut self, id: ClientId, pattern: &Pattern) -> bool {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut) else {
            return false;
        };
        let Some(times) = client.patterns.get_mut(pattern) else { return false };
        *times -= 1;
        if *times > 0 {
            return false;
        }
        client.patterns.remove(pattern);
        self.subscriptions.remove(pattern, id);
        self.counts.subscriptions -= 1;
        self.forget_subscribers();
        true
    }

    /// How many patterns a client has subscribed to.
    pub fn subscriptions_of(&self, id: ClientId) -> usize {
        self.clients.get(id.index()).and_then(Option::as_ref).map_or(0, |it| it.patterns.len())
    }

    /// All clients that subscribed to a matching pattern, each once, the publisher too if it did. Returns them with the
    /// steps that it took to find them: 0 where they were remembered.
    pub fn subscribers(&mut self, topic: &Topic) -> (Arc<[ClientId]>, usize) {
        if let Some((last, found)) = &self.last
            && last == topic
        {
            return (found.clone(), 0);
        }
        if let Some((topic, known)) = self.remembered.get_key_value(topic) {
            self.last = Some((topic.clone(), known.clone()));
            return (known.clone(), 0);
        }
        let mut found = Vec::new();
        let steps = self.subscriptions.matching(topic, |id| found.push(id));
        found.sort_unstable();
        found.dedup();
        let found: Arc<[ClientId]> = found.into();
        let clients = self.remembered_clients + found.len();
        if self.remembered.len() >= REMEMBERED || clients > MOST_REMEMBERED_CLIENTS {
            self.forget_subscribers();
        }
        self.remembered_clients += found.len();
        self.remembered.insert(topic.detached(), found.clone());
        (found, steps)
    }

    /// Registers a client as provider of a procedure. Returns false where it is one already, or does not exist.
    pub fn register(&mut self, id: ClientId, procedure: &Procedure) -> bool {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut) else {
            return false;
        };
        if client.procedures.contains(procedure) {
            return false;
        }
        client.procedures.push(procedure.clone());
        self.providers.entry(procedure.clone()).or_default().clients.push(id);
        self.counts.registrations += 1;
        true
    }

    /// How many procedures a client offers.
    pub fn registrations_of(&self, id: ClientId) -> usize {
        self.clients.get(id.index()).and_then(Option::as_ref).map_or(0, |it| it.procedures.len())
    }

    /// The next provider of a procedure, in turns.
    pub fn provider(&mut self, procedure: &Procedure) -> Option<ClientId> {
        let providers = self.providers.get_mut(procedure)?;
        let turn = providers.next % providers.clients.len();
        providers.next = turn + 1;
        providers.clients.get(turn).copied()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn forget_subscribers(&mut self) {
        self.remembered.clear();
        self.remembered_clients = 0;
        self.last = None;
    }

    fn withdraw(&mut self, procedure: &Procedure, id: ClientId) {
        let Some(providers) = self.providers.get_mut(procedure) else { return };
        providers.clients.retain(|client| *client != id);
        if providers.clients.is_empty() {
            self.providers.remove(procedure);
        }
    }
}

#[cfg(test)]
mod tests;
