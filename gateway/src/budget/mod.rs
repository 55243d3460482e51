//! What memory the gateway holds for its clients: one budget for the process, by what it is for and by whose it is. When it
//! is used up, the client that holds most within the network that holds most has to go. What is held is not known here.

mod account;
mod relief;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use thiserror::Error;

pub use account::{Account, Held};

/// What memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The connection itself: its tasks, TLS and transport.
    Connection,
    /// Frames that are being read.
    Frames,
    /// Messages that wait to be written.
    Queue,
    /// Bytes that QUIC keeps until others come, or until they are acknowledged.
    Transport,
    Subscriptions,
    Procedures,
    Calls,
    Retained,
}

impl What {
    pub const ALL: [Self; 8] = [
        Self::Connection,
        Self::Frames,
        Self::Queue,
        Self::Transport,
        Self::Subscriptions,
        Self::Procedures,
        Self::Calls,
        Self::Retained,
    ];

    /// The label `what` in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Frames => "frames",
            Self::Queue => "queues",
            Self::Transport => "transport",
            Self::Subscriptions => "subscriptions",
            Self::Procedures => "procedures",
            Self::Calls => "calls",
            Self::Retained => "retained",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Connection => 0,
            Self::Frames => 1,
            Self::Queue => 2,
            Self::Transport => 3,
            Self::Subscriptions => 4,
            Self::Procedures => 5,
            Self::Calls => 6,
            Self::Retained => 7,
        }
    }
}

/// There is no memory left for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the gateway has no memory left for {}: {most} bytes may be held (--memory)", .what.name())]
pub struct Full {
    pub what: What,
    pub most: usize,
}

/// How many parts of the whole budget may be retained messages, which stay when their clients leave: one of so many.
const RETAINED_PART: usize = 4;

/// How many parts of the budget may be lent: one of so many; and how many parts of what is left of them to one.
const LENT_PART: usize = 8;
const LENT_TO_ONE_PART: usize = 16;

/// The memory that may be held for clients, in bytes.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    used: AtomicUsize,
    of: [AtomicUsize; What::ALL.len()],
    refused: [AtomicU64; What::ALL.len()],
    /// The next relief is due when so much is used.
    relief_at: AtomicUsize,
    /// All accounts; those of clients that have left are taken out now and then.
    accounts: Mutex<Vec<Weak<Account>>>,
}

impl Budget {
    /// `most`: how many bytes may be held. A quarter more may be held for the moment that clients take to go.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::default(),
            of: Default::default(),
            refused: Default::default(),
            relief_at: AtomicUsize::new(most),
            accounts: Mutex::default(),
        })
    }

    /// A budget that is never used up.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX / 4)
    }

    /// An account of a client that comes from this network.
    pub fn open(self: &Arc<Self>, network: IpAddr) -> Arc<Account> {
        let account = Arc::new(Account::new(self.clone(), network));
        let mut accounts = self.lock();
        // Each time that the list would grow, so that its length is at most twice the number of clients.
        if accounts.len() == accounts.capacity() {
            accounts.retain(|account| account.strong_count() > 0);
        }
        accounts.push(Arc::downgrade(&account));
        account
    }

    /// Holds bytes that are no single client's, whether or not there is room: call [`Budget::relieve`] afterwards.
    pub fn share(self: &Arc<Self>, what: What, bytes: usize) -> Share {
        self.add(what, bytes);
        Share { budget: self.clone(), what, bytes }
    }

    /// Holds bytes of messages that are retained: call [`Budget::relieve`] afterwards.
    ///
    /// # Errors
    /// There is no room for them: a quarter of the budget is.
    pub fn retain(self: &Arc<Self>, bytes: usize) -> Result<Share, Full> {
        let what = What::Retained;
        let most = self.most_retained();
        if self.held(what).saturating_add(bytes) > most {
            self.count_refusal(what);
            return Err(Full { what, most });
        }
        Ok(self.share(what, bytes))
    }

    /// Holds bytes that make things faster and can be done without, if there is room. The less there is left to lend, the
    /// less one gets.
    pub fn lend(self: &Arc<Self>, what: What, bytes: usize) -> Option<Share> {
        let left = (self.most / LENT_PART).saturating_sub(self.held(what));
        (bytes <= left / LENT_TO_ONE_PART).then(|| self.share(what, bytes))
    }

    /// How many bytes of messages may be retained.
    pub fn most_retained(&self) -> usize {
        self.most / RETAINED_PART
    }

    pub fn most(&self) -> usize {
        self.most
    }

    /// How many bytes are held, for all of it and for one purpose.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub fn held(&self, what: What) -> usize {
        self.of[what.index()].load(Ordering::Relaxed)
    }

    /// All of it, at one moment.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            most: self.most,
            held: What::ALL.map(|what| self.held(what)),
            refused: What::ALL.map(|what| self.refused[what.index()].load(Ordering::Relaxed)),
        }
    }

    pub fn is_over(&self) -> bool {
        self.used() > self.most
    }

    /// Has clients go, if more is held than may be. It costs next to nothing if not.
    pub fn relieve(&self) {
        if self.is_over() {
            self.make_room(None);
        }
    }

    fn add(&self, what: What, bytes: usize) -> usize {
        self.of[what.index()].fetch_add(bytes, Ordering::Relaxed);
        self.used.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    fn give_back(&self, what: What, bytes: usize) {
        self.of[what.index()].fetch_sub(bytes, Ordering::Relaxed);
        let left = self.used.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if left <= self.most && self.relief_at.load(Ordering::Relaxed) != self.most {
            self.relief_at.store(self.most, Ordering::Relaxed);
        }
    }

    fn count_refusal(&self, what: What) {
        self.refused[what.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// What may be held for the moment that clients take to go.
    fn ceiling(&self) -> usize {
        self.most + self.most / 16
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held for each purpose, in the order of [`What::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// How many bytes may be held.
    pub most: usize,
    pub held: [usize; What::ALL.len()],
    /// How often there was no room.
    pub refused: [u64; What::ALL.len()],
}

/// Bytes that are no single client's. They are given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    what: What,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.what, self.bytes);
    }
}

#[cfg(test)]
mod tests;
