//! What one client holds of the budget. Who the client is is not known here, but for its network.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{Budget, Full, What};

/// The memory that is held for one client.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    network: IpAddr,
    held: AtomicUsize,
    evicted: AtomicBool,
    goes: Notify,
}

impl Account {
    pub(super) fn new(budget: Arc<Budget>, network: IpAddr) -> Self {
        let (held, evicted, goes) =
            (AtomicUsize::default(), AtomicBool::default(), Notify::default());
        Self { budget, network, held, evicted, goes }
    }

    /// An account of a budget of its own that is never used up.
    pub fn unlimited() -> Arc<Self> {
        Budget::unlimited().open(Ipv4Addr::LOCALHOST.into())
    }

    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The network that the client comes from.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many bytes are held for the client.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether the client has to go, since it holds most.
    pub fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Waits until the client has to go.
    pub async fn evicted(&self) {
        loop {
            let goes = self.goes.notified();
            tokio::pin!(goes);
            // From here on no notification is missed.
            goes.as_mut().enable();
            if self.is_evicted() {
                return;
            }
            goes.await;
        }
    }

    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Relaxed);
        self.goes.notify_waiters();
    }

    fn take(&self, what: What, bytes: usize) -> Result<(), Full> {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        if self.budget.add(what, bytes) <= self.budget.most() || self.budget.make_room(Some(self)) {
            return Ok(());
        }
        self.give_back(what, bytes);
        self.budget.count_refusal(what);
        Err(Full { what, most: self.budget.most() })
    }

    fn give_back(&self, what: What, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.give_back(what, bytes);
    }
}

/// Bytes that are held for a client. They are given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<Account>,
    what: What,
    bytes: usize,
    /// Bytes that others hold as well: they count for the client, and are a [`super::Share`] of the budget.
    shared: usize,
}

impl Held {
    /// Nothing yet.
    pub fn new(account: Arc<Account>, what: What) -> Self {
        Self { account, what, bytes: 0, shared: 0 }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn take(account: &Arc<Account>, what: What, bytes: usize) -> Result<Self, Full> {
        let mut held = Self::new(account.clone(), what);
        held.resize(bytes)?;
        Ok(held)
    }

    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that others hold as well.
    pub fn shared(&self) -> usize {
        self.shared
    }

    /// Holds this many bytes from now on.
    ///
    /// # Errors
    /// There is no room for more: nothing changes.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        match bytes.checked_sub(self.bytes) {
            Some(0) => return Ok(()),
            Some(more) => self.account.take(self.what, more)?,
            None => self.account.give_back(self.what, self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds this many bytes, and so many shared ones, whether or not there is room: call [`Budget::relieve`] afterwards.
    pub fn set(&mut self, bytes: usize, shared: usize) {
        let held = &self.account.held;
        if bytes > self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            self.account.budget.add(self.what, bytes - self.bytes);
        } else if bytes < self.bytes {
            self.account.give_back(self.what, self.bytes - bytes);
        }
        if shared > self.shared {
            held.fetch_add(shared - self.shared, Ordering::Relaxed);
        } else if shared < self.shared {
            held.fetch_sub(self.shared - shared, Ordering::Relaxed);
        }
        (self.bytes, self.shared) = (bytes, shared);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}
