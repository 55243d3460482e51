//! Who has to go when the budget is used up: the client that holds most within the network that holds most, again and again
//! until a sixteenth of the budget is free. So many small clients of one network count as one large one.

use std::{
    collections::{BinaryHeap, HashMap},
    net::IpAddr,
    ptr,
    sync::{Arc, Weak},
};

use super::{Account, Budget};

impl Budget {
    /// Has clients go. Returns whether the one that asks may hold what it has just taken: not if it would be the next to go,
    /// nor if far too much is held already.
    pub(super) fn make_room(&self, asks: Option<&Account>) -> bool {
        if self.used() >= self.relief_at.load(super::Ordering::Relaxed)
            && let Some(may) = self.look_for_room(asks)
        {
            return may;
        }
        self.used() <= self.ceiling()
    }

    /// `None` where somebody else is at it.
    fn look_for_room(&self, asks: Option<&Account>) -> Option<bool> {
        let accounts: Vec<Arc<Account>> = {
            let accounts = self.accounts.try_lock().ok()?;
            accounts.iter().filter_map(Weak::upgrade).collect()
        };
        let (mut networks, mut leaving) = by_network(&accounts);
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
            networks.push(fullest);
        }
        // Those who go take a moment. A look at everybody is not worth it before much more is held.
        let next = (self.used() + self.most / 64).min(self.ceiling());
        self.relief_at.store(next, super::Ordering::Relaxed);
        Some(may && self.used() <= self.ceiling())
    }
}

/// A network, ordered by how much its clients hold.
#[derive(Default)]
struct Network<'a> {
    held: usize,
    /// The client that holds most is the last.
    clients: Vec<(usize, &'a Account)>,
}

/// The networks of those that are to stay, and the bytes of those that are leaving.
fn by_network(accounts: &[Arc<Account>]) -> (BinaryHeap<Network<'_>>, usize) {
    let mut networks: HashMap<IpAddr, Network<'_>> = HashMap::new();
    let mut leaving = 0;
    for account in accounts {
        let held = account.held();
        if account.is_evicted() {
            leaving += held;
        } else {
            let network = networks.entry(account.network()).or_default();
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
