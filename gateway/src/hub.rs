//! The realms of this process with the outboxes of their clients. It carries out what `session` decides; it knows no
//! transport.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    diagnostics::Diagnostics,
    health::Beat,
    id::NodeId,
    message::{Connect, Incoming, Message, RealmId, Reply, encode},
    metrics::{ByCode, Metrics, RealmMetrics},
    outbox::{Outbox, OutboxLimits},
    realm::RealmName,
    router::{ClientId, Counts},
    session::{Action, Close, Limits, Now, Permissions, Realm},
};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

/// How much later than at its deadline a call may end.
const FINEST: Duration = Duration::from_millis(10);
/// What was decided is carried out, and others get their turn, after so many actions.
const MOST_ACTIONS: usize = 4096;
/// The one version of the protocol.
const VERSION: &str = "1.0";

/// What a realm is, as it was configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RealmConfig {
    pub name: RealmName,
    /// Only nodes with a certificate of the realm may come.
    pub certificate_required: bool,
    pub permissions: Permissions,
}

/// Who a client's certificate says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub realm: RealmName,
    pub node: NodeId,
}

/// All realms.
#[derive(Debug)]
pub struct Hub {
    realms: RwLock<HashMap<RealmName, Arc<SharedRealm>>>,
    limits: Limits,
    outbox_limits: OutboxLimits,
    pub metrics: Arc<Metrics>,
    diagnostics: Diagnostics,
    clock: Clock,
    /// Published messages dropped for clients that read too slowly.
    dropped: Arc<AtomicU64>,
}

/// The time since this was made, and of the calendar.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Now {
        Now { steady: microseconds(self.0.elapsed()), calendar: calendar_ms() }
    }
}

/// Milliseconds since 1970.
pub fn calendar_ms() -> u64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Hub {
    pub fn new(
        realms: &[RealmConfig],
        limits: Limits,
        outbox_limits: OutboxLimits,
        diagnostics: Diagnostics,
        metrics: Arc<Metrics>,
    ) -> Self {
        let hub = Self {
            realms: RwLock::default(),
            limits,
            outbox_limits,
            metrics,
            diagnostics,
            clock: Clock(Instant::now()),
            dropped: Arc::default(),
        };
        hub.configure(realms);
        hub
    }

    /// Takes new realms and permissions; a realm that is no longer named goes, with its clients.
    pub fn configure(&self, realms: &[RealmConfig]) {
        let mut known = self.realms.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, shared| {
            let stays = realms.iter().any(|realm| realm.name == *name);
            if !stays {
                shared.refuse_new(&Close::UnknownRealm(name.to_string()));
                shared.close_all(&Close::UnknownRealm(name.to_string()));
            }
            stays
        });
        for config in realms {
            match known.get(&config.name) {
                Some(shared) => shared.configure(config),
                None => {
                    let shared =
                        SharedRealm::new(config, self.limits, self.metrics.realm(&config.name));
                    known.insert(config.name.clone(), Arc::new(shared));
                }
            }
        }
    }

    /// Admits a client that has said who it is.
    ///
    /// # Errors
    /// It is not admitted, and why.
    pub fn admit(&self, connect: &Connect, identity: Option<&Identity>) -> Result<Member, Close> {
        if connect.version != VERSION {
            return Err(Close::Version(connect.version.clone()));
        }
        let realm = self.find(&connect.realm_id)?;
        let proven = match identity {
            Some(identity) if identity.realm != realm.name => {
                return Err(Close::Identity(format!("it is of realm {}", identity.realm)));
            }
            Some(identity) if identity.node != connect.node_id => {
                return Err(Close::Identity(format!("it is of node {}", identity.node)));
            }
            Some(_) => true,
            None => false,
        };
        let outbox = Arc::new(Outbox::new(self.outbox_limits, self.dropped.clone()));
        let id = realm.join(connect.node_id, proven, outbox.clone(), self)?;
        Ok(Member { realm, id, outbox })
    }

    /// From now on nobody is admitted and new calls are refused; calls under way go on.
    pub fn stop(&self) {
        self.each(|realm| {
            realm.refuse_new(&Close::Draining);
            realm.lock().realm.stop();
        });
    }

    /// Tells at most so many clients that have no part in a call under way that the gateway stops. Returns how many
    /// clients were not told yet.
    pub fn drain_some(&self, most: usize) -> usize {
        let (mut most, mut left) = (most, 0);
        self.each(|realm| left += realm.drain_some(&mut most));
        left
    }

    /// Tells every client that the gateway stops. Calls under way end: each caller gets a reply that says so.
    pub fn drain(&self) {
        self.each(|realm| {
            realm.end_calls(self);
            realm.close_all(&Close::Draining);
        });
    }

    /// Ends calls whose time is over, until the end of the program. Each turn goes through all realms: `beat` shows that
    /// they work.
    pub async fn keep_deadlines(self: Arc<Self>, beat: Arc<Beat>) {
        let mut ticks = tokio::time::interval(FINEST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.each(|realm| realm.tick(&self));
            beat.turn();
        }
    }

    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.each(|realm| {
            let counts = realm.lock().realm.counts();
            sum.clients += counts.clients;
            sum.subscriptions += counts.subscriptions;
            sum.registrations += counts.registrations;
        });
        sum
    }

    /// Calls under way.
    pub fn open_calls(&self) -> usize {
        let mut sum = 0;
        self.each(|realm| sum += realm.lock().realm.open_calls());
        sum
    }

    /// Published messages dropped for clients that read too slowly.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn each(&self, mut of: impl FnMut(&Arc<SharedRealm>)) {
        let realms: Vec<_> = {
            let known = self.realms.read().unwrap_or_else(PoisonError::into_inner);
            known.values().cloned().collect()
        };
        realms.iter().for_each(&mut of);
    }

    fn find(&self, id: &RealmId) -> Result<Arc<SharedRealm>, Close> {
        let known = self.realms.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = |name: String| Close::UnknownRealm(name);
        match id {
            RealmId::Name(name) => {
                let named = name.parse::<RealmName>().ok().and_then(|name| known.get(&name));
                named.cloned().ok_or_else(|| unknown(name.clone()))
            }
            RealmId::Sha256(hash) => {
                let found = known.values().find(|realm| realm.hash == *hash);
                found.cloned().ok_or_else(|| unknown("of this hash".to_owned()))
            }
        }
    }
}

/// One realm that its clients' tasks share.
#[derive(Debug)]
pub struct SharedRealm {
    pub name: RealmName,
    /// SHA-256 of the name.
    hash: [u8; 32],
    inner: Mutex<Inner>,
    pub metrics: RealmMetrics,
}

#[derive(Debug)]
struct Inner {
    realm: Realm,
    certificate_required: bool,
    permissions: Permissions,
    /// By the client's number.
    outboxes: Vec<Option<Arc<Outbox>>>,
    actions: Vec<Action>,
    /// For whom something was queued.
    wake: Vec<ClientId>,
    /// Nobody is admitted any more.
    refuses: Option<Close>,
}

impl SharedRealm {
    fn new(config: &RealmConfig, limits: Limits, metrics: RealmMetrics) -> Self {
        Self {
            name: config.name.clone(),
            hash: Sha256::digest(config.name.as_str()).into(),
            inner: Mutex::new(Inner {
                realm: Realm::new(limits),
                certificate_required: config.certificate_required,
                permissions: config.permissions.clone(),
                outboxes: Vec::new(),
                actions: Vec::new(),
                wake: Vec::new(),
                refuses: None,
            }),
            metrics,
        }
    }

    fn configure(&self, config: &RealmConfig) {
        let mut inner = self.lock();
        inner.certificate_required = config.certificate_required;
        inner.permissions = config.permissions.clone();
        inner.realm.permit(&config.permissions);
        if config.certificate_required {
            let close = Close::Identity("this realm asks for one now".to_owned());
            for id in inner.realm.unproven() {
                if let Some(outbox) = inner.outboxes.get(id.index()).and_then(Option::as_ref) {
                    outbox.close(close.clone());
                }
            }
        }
    }

    fn join(
        &self,
        node: NodeId,
        proven: bool,
        outbox: Arc<Outbox>,
        hub: &Hub,
    ) -> Result<ClientId, Close> {
        let mut inner = self.lock();
        if let Some(close) = &inner.refuses {
            return Err(close.clone());
        }
        if inner.certificate_required && !proven {
            let why = "this realm asks for one, and there is none";
            return Err(Close::Identity(why.to_owned()));
        }
        let Inner { realm, permissions, actions, .. } = &mut *inner;
        let id = realm.join(node, proven, permissions, hub.clock.now(), actions);
        if inner.outboxes.len() <= id.index() {
            inner.outboxes.resize_with(id.index() + 1, || None);
        }
        inner.outboxes[id.index()] = Some(outbox);
        inner.carry_out(hub, &mut Vec::new());
        Ok(id)
    }

    fn refuse_new(&self, close: &Close) {
        self.lock().refuses = Some(close.clone());
    }

    fn drain_some(&self, most: &mut usize) -> usize {
        let inner = self.lock();
        let in_calls: HashSet<_> = inner.realm.in_calls().iter().map(|id| id.index()).collect();
        let mut left = 0;
        for (index, outbox) in inner.outboxes.iter().enumerate() {
            let Some(outbox) = outbox.as_ref().filter(|outbox| outbox.closes().is_none()) else {
                continue;
            };
            if in_calls.contains(&index) || *most == 0 {
                left += 1;
            } else {
                outbox.close(Close::Draining);
                *most -= 1;
            }
        }
        left
    }

    fn tick(&self, hub: &Hub) {
        let now = hub.clock.now();
        let mut inner = self.lock();
        if inner.realm.next_deadline().is_some_and(|deadline| deadline <= now.steady) {
            let Inner { realm, actions, .. } = &mut *inner;
            realm.tick(now, actions);
            inner.carry_out(hub, &mut Vec::new());
        }
    }

    fn end_calls(&self, hub: &Hub) {
        let mut inner = self.lock();
        let Inner { realm, actions, .. } = &mut *inner;
        realm.tick(Now { steady: u64::MAX, ..hub.clock.now() }, actions);
        inner.carry_out(hub, &mut Vec::new());
    }

    fn close_all(&self, close: &Close) {
        for outbox in self.lock().outboxes.iter().flatten() {
            outbox.close(close.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Does what was decided. `above` gets the outboxes that have more than their mark.
    fn carry_out(&mut self, hub: &Hub, above: &mut Vec<Arc<Outbox>>) {
        let Self { outboxes, actions, wake, .. } = self;
        let of = |id: ClientId| outboxes.get(id.index()).and_then(Option::as_ref);
        let mut send = |to: ClientId, frame| {
            let Some(outbox) = of(to) else { return };
            let known = |known: &Arc<Outbox>| Arc::ptr_eq(known, outbox);
            let pushed = outbox.push(frame);
            if pushed.wake {
                wake.push(to);
            }
            if pushed.above && !above.iter().any(known) {
                above.push(outbox.clone());
            }
        };
        for action in actions.drain(..) {
            match action {
                Action::Send(to, frame) => send(to, frame),
                Action::Close(client, close) => {
                    if let Some(outbox) = of(client) {
                        outbox.close(close);
                    }
                }
                Action::Diagnose(to, call_id, procedure, args) => {
                    let outcome = hub.diagnostics.answer(&procedure, &args);
                    send(to, encode(&Message::Reply(Reply { call_id, outcome })));
                }
                Action::NotRetained => {
                    hub.metrics.not_retained.inc();
                }
                Action::Answered(took) => {
                    hub.metrics.call_seconds.observe(Duration::from_micros(took).as_secs_f64());
                }
                Action::Failed(code) => {
                    hub.metrics.calls_failed.get_or_create(&ByCode { code }).inc();
                }
            }
        }
        wake.drain(..).filter_map(of).for_each(|outbox| outbox.wake());
    }
}

/// A client that was admitted.
#[derive(Debug)]
pub struct Member {
    realm: Arc<SharedRealm>,
    id: ClientId,
    pub outbox: Arc<Outbox>,
}

impl Member {
    pub fn realm(&self) -> &Arc<SharedRealm> {
        &self.realm
    }

    /// Takes messages in their order, up to one that uses some of the client's allowance; returns how many units that
    /// used. [`Member::hand_over`] comes after it, before the next. `above` gets the outboxes for which the client should
    /// wait before it reads on.
    ///
    /// # Errors
    /// The connection must be closed, and why.
    pub fn take(
        &self,
        messages: &mut impl Iterator<Item = Incoming>,
        hub: &Hub,
        above: &mut Vec<Arc<Outbox>>,
    ) -> Result<u32, Close> {
        let now = hub.clock.now();
        let mut messages = messages.peekable();
        let mut used = Ok(0);
        while used == Ok(0) && messages.peek().is_some() {
            let mut inner = self.realm.lock();
            let Inner { realm, actions, .. } = &mut *inner;
            while used == Ok(0)
                && actions.len() < MOST_ACTIONS
                && let Some(message) = messages.next()
            {
                used = match message {
                    Incoming::Publication(publication) => {
                        realm.publish(self.id, publication, actions)
                    }
                    Incoming::Message(message) => realm.take(self.id, message, now, actions),
                };
            }
            inner.carry_out(hub, above);
        }
        used
    }

    /// Sends it a piece of the retained messages that its subscriptions have brought it. Returns how many units of its
    /// allowance that has used; `None` where nothing is left.
    pub fn hand_over(&self, hub: &Hub, above: &mut Vec<Arc<Outbox>>) -> Option<u32> {
        let mut inner = self.realm.lock();
        let Inner { realm, actions, .. } = &mut *inner;
        let used = realm.hand_over(self.id, actions);
        inner.carry_out(hub, above);
        used
    }

    /// Leaves, telling those who wait for it.
    pub fn leave(self, hub: &Hub) {
        let mut inner = self.realm.lock();
        let Inner { realm, actions, outboxes, .. } = &mut *inner;
        realm.leave(self.id, actions);
        if let Some(outbox) = outboxes.get_mut(self.id.index()) {
            *outbox = None;
        }
        inner.carry_out(hub, &mut Vec::new());
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
