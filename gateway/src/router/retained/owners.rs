//! How much of what is retained is whose, and whose is to make room. Messages are not known here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    router::{Group, Owner},
    wire::{id::NodeId, topic::Topic},
};

/// The owners of retained messages.
#[derive(Debug, Default)]
pub(super) struct Owners {
    groups: HashMap<Group, usize>,
    owners: HashMap<Owner, Owned>,
    /// The groups by how many bytes are theirs, and the owners within their groups.
    by_bytes: BTreeSet<(usize, Group)>,
    within: BTreeSet<(Group, usize, Owner)>,
}

#[derive(Debug, Default)]
struct Owned {
    bytes: usize,
    /// The topics, the oldest message's first.
    topics: BTreeMap<u64, Topic>,
}

impl Owners {
    pub(super) fn add(&mut self, owner: Owner, number: u64, topic: Topic, bytes: usize) {
        let owned = self.owners.entry(owner).or_default();
        owned.topics.insert(number, topic);
        self.change(owner, |held| held + bytes);
    }

    pub(super) fn remove(&mut self, owner: Owner, number: u64, bytes: usize) {
        if let Some(owned) = self.owners.get_mut(&owner) {
            owned.topics.remove(&number);
            self.change(owner, |held| held - bytes);
        }
    }

    /// The oldest topic of the owner that has most in the group that has most; `None` if that would be this owner itself
    /// once it has so many bytes more.
    pub(super) fn fullest_but(&self, owner: Owner, more: usize) -> Option<Topic> {
        let own = self.groups.get(&owner.group).copied().unwrap_or_default() + more;
        let (bytes, group) = *self.by_bytes.last()?;
        let group = if own >= bytes { owner.group } else { group };
        // Owners of one group stand in the order of their bytes.
        let node = |byte| Owner { group, node: NodeId([byte; 32]) };
        let of_group = (group, 0, node(0))..=(group, usize::MAX, node(u8::MAX));
        let (_, bytes, fullest) = *self.within.range(of_group).next_back()?;
        let own = self.owners.get(&owner).map_or(0, |owned| owned.bytes) + more;
        if group == owner.group && own >= bytes {
            return None;
        }
        self.owners.get(&fullest)?.topics.values().next().cloned()
    }

    fn change(&mut self, owner: Owner, change: impl Fn(usize) -> usize) {
        let Owner { group, .. } = owner;
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        self.within.remove(&(group, owned.bytes, owner));
        owned.bytes = change(owned.bytes);
        if owned.topics.is_empty() {
            self.owners.remove(&owner);
        } else {
            self.within.insert((group, owned.bytes, owner));
        }
        let held = self.groups.entry(group).or_default();
        self.by_bytes.remove(&(*held, group));
        *held = change(*held);
        if *held == 0 {
            self.groups.remove(&group);
        } else {
            self.by_bytes.insert((*held, group));
        }
    }
}
