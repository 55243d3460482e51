//! Who has to go when the budget is used up: the client that holds most within the network that holds most, again and again
//! until a sixteenth of the budget is free. So many small clients of one network count as one large one.

use std::{
    collections::{BinaryHeap, HashMap},
    net::IpAddr,
    ptr,
    sync::{Arc, Weak, atomic::Ordering},
};

use super::{Account, Budget};

impl Budget {
    /// Has clients go. Returns whether the one that asks may hold what it has just taken: not if it would be the next to go.
    /// While those who go have not gone, its network's fellows may hold little more, and others some more.
    pub(super) fn make_room(&self, asks: Option<&Account>) -> bool {
        if self.used() < self.relief_at.load(Ordering::Relaxed) {
            return true;
        }
        let accounts: Vec<Arc<Account>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let (mut networks, mut leaving) = by_network(&accounts);
        let most = networks.iter().map(Network::all).max().unwrap_or_default();
        let network_of = |asks: &Account| networks.iter().find(|of| of.address == asks.network());
        let is_of_fullest = asks.and_then(network_of).is_some_and(|of| of.all() == most);
        let target = self.most - self.most / 16;
        let mut may = true;
        while self.used().saturating_sub(leaving) > target
            && let Some(mut fullest) = networks.pop()
        {
            let Some((held, account)) = fullest.clients.pop() else { continue };
            if asks.is_some_and(|asks| ptr::eq(asks, account)) {
                may = false;
                break;
            }
            account.evict();
            leaving += held;
            fullest.held -= held;
            fullest.leaving += held;
            networks.push(fullest);
        }
        // Those who go take a moment. A look at everybody is not worth it before much more is held.
        let next = (self.used() + self.most / 64).min(self.ceiling());
        self.relief_at.store(next, Ordering::Relaxed);
        let ceiling = if is_of_fullest { self.ceiling() } else { self.most + self.most / 4 };
        may && self.used() <= ceiling
    }
}

/// A network, ordered by how much those of its clients hold that are to stay.
struct Network<'a> {
    address: IpAddr,
    held: usize,
    /// What its other clients hold.
    leaving: usize,
    /// The client that holds most is the last.
    clients: Vec<(usize, &'a Account)>,
}

impl Network<'_> {
    fn all(&self) -> usize {
        self.held + self.leaving
    }
}

/// The networks, and the bytes of all clients that are leaving.
fn by_network(accounts: &[Arc<Account>]) -> (BinaryHeap<Network<'_>>, usize) {
    let mut networks: HashMap<IpAddr, Network<'_>> = HashMap::new();
    let mut leaving = 0;
    for account in accounts {
        let (held, address) = (account.held(), account.network());
        let empty = || Network { address, held: 0, leaving: 0, clients: Vec::new() };
        let network = networks.entry(address).or_insert_with(empty);
        if account.is_evicted() {
            leaving += held;
            network.leaving += held;
        } else {
            network.held += held;
            network.clients.push((held, account));
        }
    }
    let sorted = networks.into_values().map(|mut network| {
        network.clients.sort_unstable_by_key(|(held, _)| *held);
        network
    });
    (sorted.collect(), leaving)
}

impl Ord for Network<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.held.cmp(&other.held)
    }
}

impl PartialOrd for Network<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Network<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.held == other.held
    }
}

impl Eq for Network<'_> {}
