//! What a realm does with the messages of its clients. Pure: messages and time are arguments, the result is a list of
//! actions. Sockets, tasks and metrics are not known here.

mod close;
mod leniency;
mod passed;
mod permissions;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    budget::{Account, Budget, Held, What},
    router::{
        Asks, Busy, CallLimits, Calls, ClientId, Counts, Expired, Group, Owner, Request, Retained,
        RetainedLimits, Router,
    },
    wire::{
        id::{CallId, NodeId},
        message::{
            Call, CallError, Cast, Message, Ping, Pong, Procedure, Publication, Reply, Subscribe,
            Term, encode,
        },
        topic::{Pattern, Topic},
    },
};

pub use close::Close;
pub use passed::{FirstPassedOver, PassedOver};
pub use permissions::{Granted, Nodes, Permissions, Rule};

/// The prefix of procedures that the gateway answers itself; no client may register one.
pub const BUILT_IN: &str = "com.macula.diagnostics.";
/// The prefix of the procedures of upstream's relay, its directory of nodes. Here a node of the realm may offer them.
const OF_MESH: &str = "_mesh.";

/// How many retained topics one piece looks at, how many bytes it sends, and how many topics make a unit of a client's
/// allowance.
const RETAINED_AT_ONCE: usize = 512;
const RETAINED_BYTES_AT_ONCE: usize = 64 << 10;
const RETAINED_IN_UNIT: usize = 8;
/// How many steps of a search for subscribers make a unit: ordinary patterns take fewer, and what was found is remembered.
const STEPS_IN_UNIT: usize = 1024;
/// The memory of a subscription and of a procedure that is offered, without their texts.
const PATTERN_BYTES: usize = 768;
const PROCEDURE_BYTES: usize = 256;
/// The units of a call to a built-in procedure: it may read files of the kernel.
const DIAGNOSIS: u32 = 32;

/// How much a realm and its clients may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealmLimits {
    pub subscriptions: usize,
    pub registrations: usize,
    /// Calls under way.
    pub calls: CallLimits,
    /// The milliseconds that a call without a timeout may take, and the most that any call may take.
    pub usual_timeout: u64,
    pub longest_timeout: u64,
    pub retained: RetainedLimits,
}

impl Default for RealmLimits {
    fn default() -> Self {
        Self {
            subscriptions: 1024,
            registrations: 1024,
            calls: CallLimits { realm: 65_536, caller: 4096, provider: 16_384 },
            usual_timeout: 30_000,
            longest_timeout: 600_000,
            retained: RetainedLimits { messages: 65_536, bytes: 64 << 20 },
        }
    }
}

/// The time, on a clock that only goes forward and on the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds.
    pub steady: u64,
    /// Milliseconds since 1970.
    pub calendar: u64,
}

/// What the hub has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a client this frame.
    Send(ClientId, Bytes),
    /// End a client's connection.
    Close(ClientId, Close),
    /// A built-in procedure was called: send the client its reply under this id.
    Diagnose(ClientId, CallId, Procedure, Term),
    /// A message could not be retained; it was delivered.
    NotRetained,
    /// So many messages are retained no longer: another took their place.
    NoLongerRetained(u64),
    /// A call was answered after so many microseconds.
    Answered(u64),
    /// A call failed: the code of its error.
    Failed(&'static str),
    /// A message of a client was passed over: the reason, and what to log if it was the client's first.
    PassedOver(&'static str, Option<FirstPassedOver>),
}

/// One realm.
#[derive(Debug)]
pub struct Realm {
    budget: Arc<Budget>,
    router: Router,
    retained: Retained,
    calls: Calls,
    limits: RealmLimits,
    /// The clients, by their numbers.
    clients: Vec<Option<Client>>,
    /// The connection of each node that proved its id.
    proven: HashMap<NodeId, ClientId>,
    /// New calls are refused.
    stopping: bool,
}

#[derive(Debug)]
struct Client {
    node: NodeId,
    proven: bool,
    /// A message that would be passed over ends its connection.
    strict: bool,
    /// A message of it was passed over before, and logged.
    was_passed_over: bool,
    granted: Granted,
    owed: OwedRetained,
    account: Arc<Account>,
    subscriptions: Held,
    procedures: Held,
}

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    pub node: NodeId,
    /// A certificate proves the node's id; then an earlier connection of the node ends.
    pub proven: bool,
    /// The client wants to be disconnected where a message would be passed over.
    pub strict: bool,
}

/// The retained messages that a client has yet to get for its new subscriptions. A message that several of its patterns
/// match comes once.
#[derive(Debug, Default)]
struct OwedRetained {
    patterns: Vec<Pattern>,
    /// The pattern that is being looked for, and the last topic that was.
    at: usize,
    after: Option<Topic>,
}

impl Client {
    /// For whose share it counts what the client holds.
    fn owner(&self) -> Owner {
        let group = if self.proven {
            Group::Node(self.node)
        } else {
            Group::Network(self.account.network())
        };
        Owner { group, node: self.node }
    }
}

impl Realm {
    /// `budget`: the memory that all realms may hold.
    pub fn new(limits: RealmLimits, budget: Arc<Budget>) -> Self {
        Self {
            budget,
            router: Router::default(),
            retained: Retained::new(limits.retained),
            calls: Calls::new(limits.calls),
            limits,
            clients: Vec::new(),
            proven: HashMap::new(),
            stopping: false,
        }
    }

    /// Refuses new calls from now on; calls under way go on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The callers and providers of calls under way.
    pub fn in_calls(&self) -> HashSet<ClientId> {
        self.calls.parties()
    }

    /// The clients that have not proved their ids.
    pub fn unproven(&self) -> impl Iterator<Item = ClientId> {
        let unproven = |client: &Client| !client.proven;
        let numbered = (0..).map(ClientId).zip(&self.clients);
        numbered.filter(move |(_, it)| it.as_ref().is_some_and(unproven)).map(|(id, _)| id)
    }

    /// Adds a client, and answers its CONNECT with a PONG.
    pub fn join(
        &mut self,
        joining: Joining,
        account: Arc<Account>,
        permissions: &Permissions,
        now: Now,
        out: &mut Vec<Action>,
    ) -> ClientId {
        let Joining { node, proven, strict } = joining;
        let id = self.router.join();
        let granted = permissions.of(node, proven);
        if self.clients.len() <= id.index() {
            self.clients.resize_with(id.index() + 1, || None);
        }
        let owed = OwedRetained::default();
        self.clients[id.index()] = Some(Client {
            node,
            proven,
            strict,
            was_passed_over: false,
            granted,
            owed,
            subscriptions: Held::new(account.clone(), What::Subscriptions),
            procedures: Held::new(account.clone(), What::Procedures),
            account,
        });
        if proven && let Some(earlier) = self.proven.insert(node, id) {
            out.push(Action::Close(earlier, Close::Replaced));
            // The earlier connection may take a while to end, and calls to it would be lost.
            self.router.clear(earlier);
            if let Some(Some(earlier)) = self.clients.get_mut(earlier.index()) {
                earlier.subscriptions.set(0, 0);
                earlier.procedures.set(0, 0);
            }
            self.end_calls_of(earlier, out);
        }
        let pong = Pong { timestamp: now.calendar, server_time: now.calendar };
        send(id, &Message::Pong(pong), out);
        id
    }

    /// Removes a client whose connection is gone.
    pub fn leave(&mut self, id: ClientId, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::take) else { return };
        if client.proven && self.proven.get(&client.node) == Some(&id) {
            self.proven.remove(&client.node);
        }
        self.router.leave(id);
        self.end_calls_of(id, out);
    }

    /// Replaces the permissions of all clients.
    pub fn permit(&mut self, permissions: &Permissions) {
        for client in self.clients.iter_mut().flatten() {
            client.granted = permissions.of(client.node, client.proven);
        }
    }

    /// Handles a message of a client, after its CONNECT. Returns how many units of its allowance the message used: 0 for
    /// messages to other clients, which flow control slows, unless the search for receivers is long. After any other message
    /// the caller calls [`Realm::hand_over`] before the client's next.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub fn handle(
        &mut self,
        from: ClientId,
        message: Message,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        match message {
            Message::Connect(_) => self.pass_over(from, PassedOver::Connect, out),
            Message::Disconnect(disconnect) => Err(Close::ByClient(disconnect.reason)),
            Message::Ping(Ping { timestamp }) => {
                let pong = Pong { timestamp, server_time: now.calendar };
                send(from, &Message::Pong(pong), out);
                Ok(1)
            }
            Message::Publish(publish) => self.publish(from, publish.into(), out),
            Message::Subscribe(subscribe) => {
                self.subscribe(from, &subscribe, out)?;
                Ok(1 + units(subscribe.topics.len()))
            }
            Message::Unsubscribe(unsubscribe) => {
                for pattern in &unsubscribe.topics {
                    if self.router.unsubscribe(from, pattern) {
                        self.hold_subscriptions(from, |held| held - pattern_bytes(pattern))?;
                    }
                }
                Ok(1 + units(unsubscribe.topics.len()))
            }
            Message::Call(call) => Ok(self.call(from, call, now, out)),
            Message::Reply(reply) => {
                self.reply(from, reply, now, out);
                Ok(0)
            }
            Message::Cast(cast) => self.cast(from, cast, out),
            Message::RegisterProcedure(register) => self.register(from, &register.procedure, out),
            // The answer to a PING of the gateway; it is enough that it came.
            Message::Pong(_) => Ok(1),
            Message::Unserved(kind) => self.pass_over(from, PassedOver::Type(kind), out),
        }
    }

    /// Sends a client some of the retained messages for its new subscriptions. Returns how many units of its allowance that
    /// used; `None` when nothing is left.
    pub fn hand_over(&mut self, to: ClientId, out: &mut Vec<Action>) -> Option<u32> {
        let owed = &mut self.clients.get_mut(to.index())?.as_mut()?.owed;
        let Some(pattern) = owed.patterns.get(owed.at) else {
            *owed = OwedRetained::default();
            return None;
        };
        let earlier = &owed.patterns[..owed.at];
        let (mut bytes, mut looked_twice) = (0, 0);
        let send = |topic: &Topic, frame: &Bytes| {
            let came = earlier.iter().position(|pattern| pattern.matches(topic));
            looked_twice += came.unwrap_or(earlier.len());
            if came.is_none() {
                out.push(Action::Send(to, frame.clone()));
                bytes += frame.len();
            }
            bytes < RETAINED_BYTES_AT_ONCE && looked_twice < RETAINED_AT_ONCE
        };
        let (next, looked) =
            self.retained.matching(pattern, owed.after.as_ref(), RETAINED_AT_ONCE, send);
        owed.at += usize::from(next.is_none());
        owed.after = next;
        Some(units((looked + looked_twice) / RETAINED_IN_UNIT))
    }

    /// Ends the calls whose deadline has passed.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        for expired in self.calls.expire(now.steady) {
            fail(expired, out);
        }
    }

    /// The next time at which `tick` has something to do, on the steady clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.calls.next_deadline()
    }

    pub fn counts(&self) -> Counts {
        self.router.counts()
    }

    /// Calls under way.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    /// The number of retained messages, and their bytes.
    pub fn retained(&self) -> (usize, usize) {
        (self.retained.len(), self.retained.bytes())
    }

    fn end_calls_of(&mut self, id: ClientId, out: &mut Vec<Action>) {
        for expired in self.calls.leave(id) {
            fail(expired, out);
        }
    }

    /// Handles a publish of a client. Returns how many units of its allowance it used: none, unless the search for receivers
    /// is long, or the client may not publish.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub fn publish(
        &mut self,
        from: ClientId,
        publication: Publication,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let Publication { topic, retain, is_empty, frame } = publication;
        if !self.granted(from, |granted| granted.may_publish(&topic)) {
            return self.pass_over(from, forbidden("publishing to", topic.as_str()), out);
        }
        if retain && is_empty {
            self.retained.forget(&topic);
        } else if retain && let Some(Some(client)) = self.clients.get(from.index()) {
            match self.retained.keep(&topic, &frame, client.owner(), &self.budget) {
                Ok(0) => {}
                Ok(others) => out.push(Action::NoLongerRetained(others)),
                Err(_) => out.push(Action::NotRetained),
            }
        }
        let (subscribers, steps) = self.router.subscribers(&topic);
        let others = subscribers.iter().filter(|id| **id != from);
        out.extend(others.map(|id| Action::Send(*id, frame.clone())));
        Ok(units(steps / STEPS_IN_UNIT))
    }

    /// Subscribes the client to the patterns that are permitted; the others are passed over.
    fn subscribe(
        &mut self,
        from: ClientId,
        subscribe: &Subscribe,
        out: &mut Vec<Action>,
    ) -> Result<(), Close> {
        let most = self.limits.subscriptions;
        for pattern in &subscribe.topics {
            if !self.granted(from, |granted| granted.may_subscribe(pattern)) {
                self.pass_over(from, forbidden("subscribing to", pattern.as_str()), out)?;
                continue;
            }
            if self.router.subscribe(from, pattern) {
                if self.router.subscriptions_of(from) > most {
                    return Err(Close::TooMany { what: "too many subscriptions", most });
                }
                self.hold_subscriptions(from, |held| held + pattern_bytes(pattern))?;
                if !self.retained.is_empty()
                    && let Some(Some(client)) = self.clients.get_mut(from.index())
                {
                    client.owed.patterns.push(pattern.detached());
                }
            }
        }
        Ok(())
    }

    /// Handles a call. One that is sent on costs no unit.
    fn call(&mut self, from: ClientId, call: Call, now: Now, out: &mut Vec<Action>) -> u32 {
        let id = call.call_id.clone();
        let refuse = |code: &'static str, message: String, out: &mut Vec<Action>| {
            let refusal = refusal(id, code, message, out);
            send(from, &refusal, out);
            1
        };
        let name = &call.procedure.0;
        if !self.granted(from, |granted| granted.may_call(&call.procedure)) {
            return refuse("forbidden", format!("calling {name} is not permitted"), out);
        }
        if name.starts_with(BUILT_IN) {
            let Call { procedure, args, call_id, .. } = call;
            out.push(Action::Diagnose(from, call_id, procedure, args));
            return DIAGNOSIS;
        }
        if self.stopping {
            return refuse("busy", "the gateway stops: call through another".to_owned(), out);
        }
        let Some(provider) = self.router.provider(&call.procedure) else {
            if name.starts_with(OF_MESH) {
                let why = format!("{name}: this gateway keeps no directory of nodes");
                return refuse("not_found", why, out);
            }
            return refuse("no_such_procedure", format!("nobody offers {name} here"), out);
        };
        let timeout = call.timeout.unwrap_or(self.limits.usual_timeout);
        let timeout = timeout.min(self.limits.longest_timeout);
        let deadline = now.steady.saturating_add(timeout.saturating_mul(1000));
        let request = Request { caller: from, call_id: call.call_id, provider, deadline };
        let Some(Some(caller)) = self.clients.get(from.index()) else { return 0 };
        let asks = Asks { group: caller.owner().group, account: &caller.account };
        match self.calls.begin(request, asks, now.steady) {
            Ok(call_id) => {
                let call = Call { call_id, timeout: Some(timeout), ..call };
                send(provider, &Message::Call(call), out);
                0
            }
            Err(busy) => refuse("busy", why(busy).to_owned(), out),
        }
    }

    fn reply(&mut self, from: ClientId, reply: Reply, now: Now, out: &mut Vec<Action>) {
        // The sender of a late reply has done nothing wrong.
        let Some((caller, took)) = self.calls.answer(from, &reply.call_id, now.steady) else {
            return;
        };
        out.push(Action::Answered(took));
        send(caller.client, &Message::Reply(Reply { call_id: caller.call_id, ..reply }), out);
    }

    /// Handles a cast. One that is sent on costs no unit.
    fn cast(&mut self, from: ClientId, cast: Cast, out: &mut Vec<Action>) -> Result<u32, Close> {
        if !self.granted(from, |granted| granted.may_call(&cast.procedure)) {
            return self.pass_over(from, forbidden("casting to", &cast.procedure.0), out);
        }
        // A cast has no reply in which the client could learn that there is no provider.
        let Some(provider) = self.router.provider(&cast.procedure) else { return Ok(1) };
        send(provider, &Message::Cast(cast), out);
        Ok(0)
    }

    fn register(
        &mut self,
        from: ClientId,
        procedure: &Procedure,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let built_in = procedure.0.starts_with(BUILT_IN);
        if built_in || !self.granted(from, |granted| granted.may_register(procedure)) {
            return self.pass_over(from, forbidden("registering", &procedure.0), out);
        }
        let most = self.limits.registrations;
        let is_new = self.router.register(from, procedure);
        if self.router.registrations_of(from) > most {
            return Err(Close::TooMany { what: "too many procedures", most });
        }
        if is_new && let Some(Some(client)) = self.clients.get_mut(from.index()) {
            let bytes = client.procedures.bytes() + PROCEDURE_BYTES + 2 * procedure.0.len();
            client.procedures.resize(bytes).map_err(|_| Close::Memory)?;
        }
        Ok(1)
    }

    fn hold_subscriptions(
        &mut self,
        of: ClientId,
        bytes: impl FnOnce(usize) -> usize,
    ) -> Result<(), Close> {
        let Some(Some(client)) = self.clients.get_mut(of.index()) else { return Ok(()) };
        let bytes = bytes(client.subscriptions.bytes());
        client.subscriptions.resize(bytes).map_err(|_| Close::Memory)
    }

    fn granted(&self, id: ClientId, may: impl FnOnce(&Granted) -> bool) -> bool {
        self.clients.get(id.index()).and_then(Option::as_ref).is_some_and(|it| may(&it.granted))
    }
}

/// The memory of a subscription, at most: its text in the trie, in the client's list and in what it is owed, two nodes of the
/// trie, and two more for each `#`.
fn pattern_bytes(pattern: &Pattern) -> usize {
    PATTERN_BYTES + 3 * pattern.bytes().len()
}

fn why(busy: Busy) -> &'static str {
    match busy {
        Busy::Realm => "too many calls are under way, and more of yours than is your share",
        Busy::Caller => "too many of your calls are under way",
        Busy::Provider => "who offers it has yet to answer too many calls",
        Busy::Memory => "the gateway has no memory left for more of your calls",
    }
}

fn units(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn forbidden(what: &'static str, name: &str) -> PassedOver {
    PassedOver::Forbidden { what, name: name.to_owned() }
}

/// The reply to a call that is refused.
fn refusal(call_id: CallId, code: &'static str, message: String, out: &mut Vec<Action>) -> Message {
    out.push(Action::Failed(code));
    let error = CallError { code: code.to_owned(), message };
    Message::Reply(Reply { call_id, outcome: Err(error) })
}

fn send(to: ClientId, message: &Message, out: &mut Vec<Action>) {
    out.push(Action::Send(to, encode(message)));
}

fn fail(expired: Expired, out: &mut Vec<Action>) {
    let (caller, code, message) = match expired {
        Expired::Deadline(caller) => (caller, "timeout", "no reply came in time"),
        Expired::ProviderLeft(caller) => {
            (caller, "peer_disconnected", "who was asked has disconnected")
        }
    };
    out.push(Action::Failed(code));
    let error = CallError { code: code.to_owned(), message: message.to_owned() };
    let reply = Reply { call_id: caller.call_id, outcome: Err(error) };
    send(caller.client, &Message::Reply(reply), out);
}

#[cfg(test)]
mod tests;
