//! A trie of patterns: finds the clients whose patterns match a topic without a look at all others.

use std::{
    collections::{HashMap, HashSet},
    ptr,
};

use super::ClientId;
use crate::wire::topic::{Pattern, Segment, Topic};

/// Patterns, each with its clients.
#[derive(Debug, Default)]
pub struct Trie {
    root: Branch,
}

/// The continuations of a beginning that patterns share.
#[derive(Debug, Default)]
struct Branch {
    literal: HashMap<Box<str>, Branch>,
    one: Option<Box<Branch>>,
    many: Option<Box<Branch>>,
    /// The clients whose pattern ends here, in order.
    clients: Vec<ClientId>,
}

impl Trie {
    /// Adds a client to a pattern. Returns false where the client was there.
    pub fn insert(&mut self, pattern: &Pattern, client: ClientId) -> bool {
        let mut node = &mut self.root;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(text.into()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Many => node.many.get_or_insert_default(),
            };
        }
        match node.clients.binary_search(&client) {
            Ok(_) => false,
            Err(place) => {
                node.clients.insert(place, client);
                true
            }
        }
    }

    /// Removes a client from a pattern. Returns false where the client was not there.
    pub fn remove(&mut self, pattern: &Pattern, client: ClientId) -> bool {
        let segments: Vec<Segment<'_>> = pattern.segments().collect();
        self.root.remove(&segments, client)
    }

    /// Calls `found` with every client of a matching pattern, more than once where several patterns match. Returns how many
    /// branches were looked at.
    pub fn matching(&self, topic: &Topic, mut found: impl FnMut(ClientId)) -> usize {
        let segments: Vec<&str> = topic.segments().collect();
        let mut walk = Walk::new(&mut found);
        walk.go(&self.root, &segments);
        walk.steps
    }
}

impl Branch {
    fn remove(&mut self, segments: &[Segment<'_>], client: ClientId) -> bool {
        let Some((first, rest)) = segments.split_first() else {
            let place = self.clients.binary_search(&client);
            return place.is_ok_and(|place| self.clients.remove(place) == client);
        };
        match first {
            Segment::Literal(text) => {
                let Some(node) = self.literal.get_mut(*text) else { return false };
                let removed = node.remove(rest, client);
                if node.is_empty() {
                    self.literal.remove(*text);
                }
                removed
            }
            Segment::One => remove_below(&mut self.one, rest, client),
            Segment::Many => remove_below(&mut self.many, rest, client),
        }
    }

    fn is_empty(&self) -> bool {
        self.clients.is_empty()
            && self.literal.is_empty()
            && self.one.is_none()
            && self.many.is_none()
    }
}

/// One search for the patterns that match a topic.
struct Walk<'a, F> {
    found: &'a mut F,
    /// Branches of a `#` below another `#` that were reached. The first time is where most of the topic is left, which finds
    /// everything that a later time would find: so no branch is looked at twice for one segment.
    seen: HashSet<*const Branch>,
    below_many: bool,
    steps: usize,
}

impl<'a, F: FnMut(ClientId)> Walk<'a, F> {
    fn new(found: &'a mut F) -> Self {
        Self { found, seen: HashSet::new(), below_many: false, steps: 0 }
    }

    fn go(&mut self, node: &Branch, segments: &[&str]) {
        self.steps += 1;
        if let Some(many) = &node.many
            && (!self.below_many || self.seen.insert(ptr::from_ref(&**many)))
        {
            let outer = std::mem::replace(&mut self.below_many, true);
            for skipped in 0..=segments.len() {
                self.go(many, &segments[skipped..]);
            }
            self.below_many = outer;
        }
        let Some((first, rest)) = segments.split_first() else {
            node.clients.iter().copied().for_each(&mut self.found);
            return;
        };
        if let Some(node) = node.literal.get(*first) {
            self.go(node, rest);
        }
        if let Some(node) = &node.one {
            self.go(node, rest);
        }
    }
}

fn remove_below(node: &mut Option<Box<Branch>>, rest: &[Segment<'_>], client: ClientId) -> bool {
    let Some(below) = node else { return false };
    let removed = below.remove(rest, client);
    if below.is_empty() {
        *node = None;
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to write ten segments as `a` or `*`, between two `#`: each way is a branch of its own.
    #[test]
    fn patterns_with_two_hashes_cost_no_more_than_a_look_at_each_node_for_each_segment() {
        let mut trie = Trie::default();
        for bits in 0..1024_u32 {
            let segment = |bit: u32| if bits >> bit & 1 == 1 { "*" } else { "a" };
            let between: Vec<&str> = (0..10).map(segment).collect();
            let pattern = format!("#.{}.#.z", between.join("."));
            trie.insert(&pattern.parse().unwrap(), ClientId(bits));
        }
        let segments = ["a"; 64];
        let mut found = |_| panic!("nothing ends in z");
        let mut walk = Walk::new(&mut found);
        walk.go(&trie.root, &segments);
        let nodes = 1 + 1 + 2046 + 1024 + 1024;
        assert!(walk.steps <= nodes * (segments.len() + 1), "{} steps", walk.steps);
    }

    #[test]
    fn what_was_removed_leaves_nothing_behind() {
        let mut trie = Trie::default();
        let patterns = ["a.b.c", "a.*.c", "#", "a.#.c", "*"];
        for pattern in patterns {
            assert!(trie.insert(&pattern.parse().unwrap(), ClientId(1)));
            assert!(!trie.insert(&pattern.parse().unwrap(), ClientId(1)));
        }
        for pattern in patterns {
            assert!(trie.remove(&pattern.parse().unwrap(), ClientId(1)));
            assert!(!trie.remove(&pattern.parse().unwrap(), ClientId(1)));
        }
        assert!(trie.root.is_empty());
    }
}
