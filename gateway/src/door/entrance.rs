//! The checks that every new connection passes, over QUIC and TCP alike: limits, then counters. The transport is not known
//! here.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;
use tracing::{debug, warn};

use crate::{
    budget::{Account, Held, What},
    door::{
        connection::{ConnectionLimits, Ended},
        limits::{Admission, HandshakeLimits, Handshakes, Refusal, network},
    },
    hub::Hub,
    observe::metrics::{ByReason, ByTransport},
    session::Close,
};

/// What an idle connection takes: its tasks, TLS, and the transport's state.
const CONNECTION_BYTES: usize = 40 << 10;

/// The entrance that QUIC and TCP share.
#[derive(Debug)]
pub struct Entrance {
    pub hub: Arc<Hub>,
    pub limits: ConnectionLimits,
    handshakes: Mutex<Handshakes>,
    most_connections: usize,
    under_way: AtomicUsize,
    connections: AtomicUsize,
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
    /// `most_connections`: the most connections at once, handshakes included.
    pub fn new(
        hub: Arc<Hub>,
        limits: ConnectionLimits,
        handshakes: HandshakeLimits,
        most_connections: usize,
    ) -> Self {
        // Held connections take up no more than an eighth of the places.
        let limits =
            ConnectionLimits { most_held: limits.most_held.min(most_connections / 8), ..limits };
        Self {
            hub,
            limits,
            handshakes: Mutex::new(Handshakes::new(handshakes)),
            most_connections,
            under_way: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            started: Instant::now(),
            last_logged: AtomicU64::default(),
            stopped: watch::Sender::new(false),
        }
    }

    /// Decides about a new connection. `proven`: the client receives what is sent to its address.
    pub fn admit(self: &Arc<Self>, from: IpAddr, proven: bool) -> Decision {
        let admission = if *self.stopped.borrow() {
            Admission::Refuse(Refusal::Draining)
        } else if self.connections.load(Ordering::Relaxed) >= self.most_connections {
            Admission::Refuse(Refusal::Connections)
        } else {
            let under_way = self.under_way.load(Ordering::Relaxed);
            let mut handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
            handshakes.admit(from, proven, under_way, self.started.elapsed())
        };
        match admission {
            Admission::Accept => match self.pass(from) {
                Some(pass) => Decision::Enter(pass),
                None => {
                    self.log_memory();
                    self.refused(Refusal::Memory.reason(), &from);
                    Decision::Refuse(Refusal::Memory)
                }
            },
            Admission::Retry => {
                self.hub.metrics.retries.inc();
                Decision::Retry
            }
            Admission::Refuse(refusal) => {
                self.refused(refusal.reason(), &from);
                Decision::Refuse(refusal)
            }
        }
    }

    /// `None` where there is no memory left for the connection.
    fn pass(self: &Arc<Self>, from: IpAddr) -> Option<Pass> {
        let account = self.hub.budget().open(network(from));
        let memory = Held::take(&account, What::Connection, CONNECTION_BYTES).ok()?;
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Some(Pass { entrance: self.clone(), in_handshake: true, account, _memory: memory })
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
    in_handshake: bool,
    account: Arc<Account>,
    /// What the connection itself takes.
    _memory: Held,
}

impl Pass {
    pub fn entrance(&self) -> &Entrance {
        &self.entrance
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

    fn end_handshake(&mut self) {
        if std::mem::take(&mut self.in_handshake) {
            self.entrance.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.end_handshake();
        self.entrance.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
