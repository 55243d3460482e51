//! The realms of this process: who is admitted to which, and what befalls all of them. It knows no transport.

mod realm;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    observe::{diagnostics::Diagnostics, health::Beat, metrics::Metrics},
    outbox::{Outbox, OutboxLimits},
    router::Counts,
    session::{Close, First, Joining, Limits, Now, Permissions},
    wire::{
        id::NodeId,
        message::{Connect, RealmId, STRICT},
        realm::RealmName,
    },
};
use tokio::{sync::watch, time::MissedTickBehavior};
use tracing::{debug, info};

pub use realm::{Member, SharedRealm};

/// How much later than at its deadline a call may end.
const FINEST: Duration = Duration::from_millis(10);
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
    stops: watch::Sender<bool>,
    /// Refused connections that are held.
    held: AtomicUsize,
    /// The second, on the steady clock and from 1, in which something passed over was last logged.
    told: AtomicU64,
}

/// The place of a refused connection that is held, until this is dropped.
#[derive(Debug)]
pub struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
            stops: watch::Sender::new(false),
            held: AtomicUsize::default(),
            told: AtomicU64::default(),
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
        let strict = connect.capabilities.iter().any(|word| word == STRICT);
        let joining = Joining { node: connect.node_id, proven, strict };
        let id = realm.join(joining, outbox.clone(), self)?;
        Ok(Member { realm, id, outbox })
    }

    /// A place for a refused connection, if fewer than `most` are held.
    pub fn hold(&self, most: usize) -> Option<Held<'_>> {
        let one_more = |held| (held < most).then_some(held + 1);
        let held = self.held.try_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        held.is_ok().then(|| Held(&self.held))
    }

    /// Waits until nobody is admitted any more.
    pub async fn stopping(&self) {
        // The sender lives as long as this.
        let _ = self.stops.subscribe().wait_for(|stops| *stops).await;
    }

    /// From now on nobody is admitted and new calls are refused; calls under way go on.
    pub fn stop(&self) {
        self.stops.send_replace(true);
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

    /// Logs the first message of a client that was passed over; one a second of all clients, so that nobody fills the log.
    fn tell_of(&self, First { node, what }: &First) {
        let second = self.clock.0.elapsed().as_secs() + 1;
        if self.told.swap(second, Ordering::Relaxed) == second {
            debug!(%node, "passed over: {what}");
        } else {
            info!(%node, "passed over, and counted from now on: {what}");
        }
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

#[cfg(test)]
mod tests;
