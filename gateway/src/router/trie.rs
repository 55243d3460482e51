//! Patterns by their segments, so that what does not match costs nothing. It must not know who the clients are.

use std::collections::HashMap;

use super::ClientId;
use crate::topic::{Pattern, Segment, Topic};

/// The clients of patterns.
#[derive(Debug, Default)]
pub struct Trie {
    root: Node,
}

/// What follows a beginning that patterns share.
#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    one: Option<Box<Node>>,
    many: Option<Box<Node>>,
    /// Those whose pattern ends here, in order.
    clients: Vec<ClientId>,
}

impl Trie {
    /// Returns false where the client was there.
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

    /// Returns false where the client was not there.
    pub fn remove(&mut self, pattern: &Pattern, client: ClientId) -> bool {
        let segments: Vec<Segment<'_>> = pattern.segments().collect();
        self.root.remove(&segments, client)
    }

    /// Hands over every client of a pattern that matches, more than once where several do.
    pub fn matching(&self, topic: &Topic, mut found: impl FnMut(ClientId)) {
        let segments: Vec<&str> = topic.segments().collect();
        self.root.matching(&segments, &mut found);
    }
}

impl Node {
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

    fn matching(&self, segments: &[&str], found: &mut impl FnMut(ClientId)) {
        if let Some(many) = &self.many {
            for skipped in 0..=segments.len() {
                many.matching(&segments[skipped..], found);
            }
        }
        let Some((first, rest)) = segments.split_first() else {
            self.clients.iter().copied().for_each(found);
            return;
        };
        if let Some(node) = self.literal.get(*first) {
            node.matching(rest, found);
        }
        if let Some(node) = &self.one {
            node.matching(rest, found);
        }
    }
}

fn remove_below(node: &mut Option<Box<Node>>, rest: &[Segment<'_>], client: ClientId) -> bool {
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
