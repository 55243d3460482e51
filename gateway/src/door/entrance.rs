//! The checks that every new connection passes, over QUIC and TCP alike: limits, then counters. The transport is not known
//! here.

use std::{
    mem,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;
use tracing::{debug, warn};

use crate::{
    budget::{Account, Held, What},
    door::{
        connection::{Admitted, ConnectionLimits, Ended, Guest},
        limits::{Admission, HandshakeLimits, Handshakes, Knock, Refusal, network},
        places::{NoPlace, Places},
        prefix::Prefix,
    },
    hub::{Hub, Identity},
    observe::metrics::{ByReason, ByTransport},
    session::Close,
};

/// What an idle connection takes: its tasks, TLS, and the transport's state; and one that has said nothing yet.
const CONNECTION_BYTES: usize = 40 << 10;
const SILENT_BYTES: usize = 8 << 10;

/// How many clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntranceLimits {
    pub handshakes: HandshakeLimits,
    /// Connections at once, handshakes included, of all networks and of one.
    pub connections: usize,
    pub connections_of_prefix: usize,
    /// The networks for which no share of one network holds.
    pub exempt: Vec<Prefix>,
}

/// The entrance that QUIC and TCP share.
#[derive(Debug)]
pub struct Entrance {
    pub hub: Arc<Hub>,
    pub limits: ConnectionLimits,
    exempt: Vec<Prefix>,
    handshakes: Mutex<Handshakes>,
    places: Mutex<Places>,
    /// The places for connections over TCP that have said nothing yet.
    silent: Mutex<Places>,
    under_way: AtomicUsize,
    started: Instant,
    /// The second, counted from 1, of the last log line about memory.
    last_logged: AtomicU64,
    stopped: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Quic,
    Tcp,
}

impl Transport {
    /// The label `transport` in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        }
    }
}

/// What happens to a new connection.
#[derive(Debug)]
pub enum Decision {
    Enter(Pass),
    /// The client has to prove its address first.
    Retry,
    Refuse(Refusal),
}

impl Entrance {
    pub fn new(hub: Arc<Hub>, limits: ConnectionLimits, entrance: EntranceLimits) -> Self {
        let EntranceLimits { handshakes, connections, connections_of_prefix, exempt } = entrance;
        // Held connections take up no more than an eighth of the places, nor do those that have said nothing yet.
        let some = (connections / 8).max(1);
        let limits =
            ConnectionLimits { most_held: limits.most_held.min(connections / 8), ..limits };
        Self {
            hub,
            limits,
            exempt,
            handshakes: Mutex::new(Handshakes::new(handshakes)),
            places: Mutex::new(Places::new(connections, connections_of_prefix)),
            silent: Mutex::new(Places::new(some, some)),
            under_way: AtomicUsize::default(),
            started: Instant::now(),
            last_logged: AtomicU64::default(),
            stopped: watch::Sender::new(false),
        }
    }

    /// Decides about a handshake over QUIC. `proven`: the client receives what is sent to its address.
    pub fn admit(self: &Arc<Self>, from: IpAddr, proven: bool) -> Decision {
        let mut pass = match self.pass(from, CONNECTION_BYTES) {
            Ok(pass) => pass,
            Err(refusal) => return self.refuse(refusal, from),
        };
        match self.begin_handshake(from, proven) {
            Admission::Accept => {
                pass.in_handshake = true;
                Decision::Enter(pass)
            }
            Admission::Retry => {
                self.hub.metrics.retries.inc();
                Decision::Retry
            }
            Admission::Refuse(refusal) => self.refuse(refusal, from),
        }
    }

    /// Lets in a connection over TCP that has said nothing yet: its handshake begins with [`Pass::hello`], and does not count
    /// before that. `None` where it is refused.
    pub fn greet(self: &Arc<Self>, from: IpAddr) -> Option<Pass> {
        let greeted = self.pass(from, SILENT_BYTES).and_then(|mut pass| {
            let taken = lock(&self.silent).take(pass.network, self.is_exempt(from));
            pass.is_silent = taken.is_ok();
            taken.map(|()| pass).map_err(|_| Refusal::Silent)
        });
        greeted.map_err(|refusal| self.refuse(refusal, from)).ok()
    }

    /// A place for a connection, and the memory that it takes.
    fn pass(self: &Arc<Self>, from: IpAddr, bytes: usize) -> Result<Pass, Refusal> {
        if *self.stopped.borrow() {
            return Err(Refusal::Draining);
        }
        let network = network(from);
        let account = self.hub.budget().open(network);
        let memory = Held::take(&account, What::Connection, bytes).map_err(|_| {
            self.log_memory();
            Refusal::Memory
        })?;
        lock(&self.places).take(network, self.is_exempt(from)).map_err(|why| match why {
            NoPlace::Left => Refusal::Connections,
            NoPlace::OfNetwork => Refusal::PrefixConnections,
        })?;
        Ok(Pass {
            entrance: self.clone(),
            from,
            network,
            account,
            memory,
            is_silent: false,
            in_handshake: false,
            was_admitted: Arc::default(),
        })
    }

    fn begin_handshake(&self, from: IpAddr, is_proven: bool) -> Admission {
        let knock = Knock { network: network(from), is_proven, is_exempt: self.is_exempt(from) };
        let under_way = self.under_way.load(Ordering::Relaxed);
        let admission = lock(&self.handshakes).admit(knock, under_way, self.started.elapsed());
        if admission == Admission::Accept {
            self.under_way.fetch_add(1, Ordering::Relaxed);
        }
        admission
    }

    fn is_exempt(&self, from: IpAddr) -> bool {
        self.exempt.iter().any(|prefix| prefix.contains(from))
    }

    fn refuse(&self, refusal: Refusal, from: IpAddr) -> Decision {
        self.refused(refusal.reason(), &from);
        Decision::Refuse(refusal)
    }

    /// Refuses every new connection from now on.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Waits until the entrance is stopped.
    pub async fn stopped(&self) {
        // The sender lives as long as the entrance, so there is no error.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Says that memory is used up, in one line a second.
    fn log_memory(&self) {
        let second = self.started.elapsed().as_secs() + 1;
        if self.last_logged.swap(second, Ordering::Relaxed) == second {
            return;
        }
        let budget = self.hub.budget();
        let held = |what: What| format!("{} {}", what.name(), budget.held(what));
        let held = What::ALL.map(held).join(", ");
        let most = budget.most();
        warn!(
            most,
            held, "memory for clients is used up: who holds most is disconnected (--memory)"
        );
    }

    fn refused(&self, reason: &'static str, why: &dyn std::fmt::Display) {
        self.hub.metrics.refused.get_or_create(&ByReason { reason }).inc();
        debug!(reason, "a connection was refused: {why}");
    }
}

/// The place of one connection, until this is dropped.
#[derive(Debug)]
pub struct Pass {
    entrance: Arc<Entrance>,
    from: IpAddr,
    network: IpAddr,
    account: Arc<Account>,
    /// What the connection itself takes.
    memory: Held,
    is_silent: bool,
    in_handshake: bool,
    /// Whether the client was admitted to a realm.
    was_admitted: Arc<AtomicBool>,
}

impl Pass {
    pub fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// Over TCP: the client has begun its handshake.
    ///
    /// # Errors
    /// It is refused; that is counted already.
    pub fn hello(&mut self) -> Result<(), Refusal> {
        self.end_silence();
        let refusal = match self.entrance.begin_handshake(self.from, true) {
            Admission::Accept => {
                self.in_handshake = true;
                match self.memory.resize(CONNECTION_BYTES) {
                    Ok(()) => return Ok(()),
                    Err(_) => Refusal::Memory,
                }
            }
            // Over TCP each address is proven.
            Admission::Retry => Refusal::Rate,
            Admission::Refuse(refusal) => refusal,
        };
        self.entrance.refuse(refusal, self.from);
        Err(refusal)
    }

    /// The client, as it comes to its realm.
    pub fn guest(&self, identity: Option<Identity>) -> Guest {
        let (entrance, network) = (self.entrance.clone(), self.network);
        let was_admitted = self.was_admitted.clone();
        let admitted = Admitted::new(move || {
            if !was_admitted.swap(true, Ordering::Relaxed) {
                lock(&entrance.handshakes).joined(network, entrance.started.elapsed());
            }
        });
        Guest { identity, account: self.account.clone(), admitted }
    }

    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The handshake is complete.
    pub fn entered(&mut self, transport: Transport) {
        self.end_handshake();
        let transport = transport.name();
        self.entrance.hub.metrics.connections.get_or_create(&ByTransport { transport }).inc();
    }

    /// The handshake failed.
    pub fn failed(self, why: &dyn std::fmt::Display) {
        self.entrance.refused("handshake", why);
    }

    /// The connection has ended.
    pub fn left(self, ended: &Ended) {
        if let Ended::Closed(Close::Memory) = ended {
            self.entrance.log_memory();
        }
        let reason = ended.reason();
        self.entrance.hub.metrics.closed.get_or_create(&ByReason { reason }).inc();
        debug!(reason, "a connection ended: {ended}");
    }

    fn end_silence(&mut self) {
        if mem::take(&mut self.is_silent) {
            lock(&self.entrance.silent).leave(self.network);
        }
    }

    fn end_handshake(&mut self) {
        if mem::take(&mut self.in_handshake) {
            self.entrance.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.end_silence();
        self.end_handshake();
        lock(&self.entrance.places).leave(self.network);
        if self.was_admitted.load(Ordering::Relaxed) {
            let now = self.entrance.started.elapsed();
            lock(&self.entrance.handshakes).left(self.network, now);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
