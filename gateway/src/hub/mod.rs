//! All realms of this process: the hub admits clients to them, and stops and counts all of them at once. The transport is
//! not known here.

mod realm;
mod services;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    budget::{Account, Budget},
    observe::{
        beat::Beat,
        diagnostics::Diagnostics,
        metrics::{Metrics, Realms, Snapshot},
    },
    outbox::{Outbox, OutboxLimits},
    router::Counts,
    session::{Close, Joining, RealmLimits},
    wire::{
        id::NodeId,
        message::{Connect, RealmId, STRICT},
        realm::RealmName,
    },
};
use tokio::{sync::watch, time::MissedTickBehavior};

pub use realm::{Member, RealmConfig, SharedRealm};
pub use services::calendar_ms;

use self::services::Services;

/// How much later than its deadline a call may end.
const FINEST: Duration = Duration::from_millis(10);
/// The only version of the protocol.
const VERSION: &str = "1.0";

/// The realm and node that a client's certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub realm: RealmName,
    pub node: NodeId,
}

/// All realms of this process.
#[derive(Debug)]
pub struct Hub {
    realms: RwLock<HashMap<RealmName, Arc<SharedRealm>>>,
    limits: RealmLimits,
    outbox_limits: OutboxLimits,
    pub metrics: Arc<Metrics>,
    services: Arc<Services>,
    /// Published messages dropped for clients that read too slowly.
    dropped: Arc<AtomicU64>,
    stops: watch::Sender<bool>,
    /// How many refused connections are held.
    held: AtomicUsize,
}

/// The place of a refused connection that is held, until this is dropped.
#[derive(Debug)]
pub struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    pub fn new(
        realms: &[RealmConfig],
        limits: RealmLimits,
        outbox_limits: OutboxLimits,
        diagnostics: Diagnostics,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
    ) -> Self {
        let hub = Self {
            realms: RwLock::default(),
            limits,
            outbox_limits,
            services: Arc::new(Services::new(diagnostics, metrics.clone(), budget)),
            metrics,
            dropped: Arc::default(),
            stops: watch::Sender::new(false),
            held: AtomicUsize::default(),
        };
        hub.configure(realms);
        hub
    }

    /// Replaces realms and permissions; a realm that is no longer named ends, with its clients.
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
                    let limits = self.limits_of_one(realms.len());
                    let shared = SharedRealm::new(config, limits, self.services.clone());
                    known.insert(config.name.clone(), Arc::new(shared));
                }
            }
        }
    }

    /// Admits a client that has said who it is.
    ///
    /// # Errors
    /// It is not admitted, and why.
    pub fn admit(
        &self,
        connect: &Connect,
        identity: Option<&Identity>,
        account: &Arc<Account>,
    ) -> Result<Member, Close> {
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
        let outbox =
            Arc::new(Outbox::new(self.outbox_limits, self.dropped.clone(), account.clone()));
        let strict = connect.capabilities.iter().any(|word| word == STRICT);
        let joining = Joining { node: connect.node_id, proven, strict };
        let id = realm.join(joining, account.clone(), outbox.clone())?;
        Ok(Member { realm, id, outbox })
    }

    /// The memory that may be held for clients.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.services.budget
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

    /// Disconnects at most so many clients that have no part in a call under way, with the reason that the gateway stops.
    /// Returns how many clients are left.
    pub fn drain_some(&self, most: usize) -> usize {
        let (mut most, mut left) = (most, 0);
        self.each(|realm| left += realm.drain_some(&mut most));
        left
    }

    /// Disconnects every client, with the reason that the gateway stops. Calls under way end: each caller gets a reply that
    /// says so.
    pub fn drain(&self) {
        self.each(|realm| {
            realm.end_calls();
            realm.close_all(&Close::Draining);
        });
    }

    /// Ends calls whose deadline has passed, until the program ends. `beat` shows that the loop goes on through all realms.
    pub async fn keep_deadlines(self: Arc<Self>, beat: Arc<Beat>) {
        let mut ticks = tokio::time::interval(FINEST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.each(|realm| realm.tick());
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

    /// What one of so many realms may hold. What is retained is divided between them, so that none takes the room of another.
    fn limits_of_one(&self, realms: usize) -> RealmLimits {
        let mut limits = self.limits;
        let most = self.budget().most_retained() / realms.max(1);
        limits.retained.bytes = limits.retained.bytes.min(most);
        limits
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

impl Realms for Hub {
    fn snapshot(&self) -> Snapshot {
        let counts = self.counts();
        Snapshot {
            clients: counts.clients,
            subscriptions: counts.subscriptions,
            registrations: counts.registrations,
            open_calls: self.open_calls(),
            dropped: self.dropped(),
            memory: self.budget().holdings(),
        }
    }
}

#[cfg(test)]
mod tests;
