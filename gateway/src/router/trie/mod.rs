//! A trie of patterns: finds the clients whose patterns match a topic without a look at all others. Segments that no other
//! pattern branches off from lie together in one node, so that a pattern adds two nodes and its text, however many segments it has.

mod literals;

use std::{collections::HashSet, ptr};

use self::literals::Literals;
use super::ClientId;
use crate::wire::topic::{Pattern, Topic};

/// Patterns, each with its clients.
#[derive(Debug, Default)]
pub struct Trie {
    root: Node,
}

/// Some segments that patterns have in common, and what they continue with. At the root there are none.
#[derive(Debug, Default)]
struct Node {
    /// A run of literals and `*` with dots between them, or one `#`.
    label: Box<str>,
    literal: Literals,
    one: Option<Box<Node>>,
    many: Option<Box<Node>>,
    /// The clients whose pattern ends here, in order.
    clients: Vec<ClientId>,
}

const ONE: &str = "*";
const MANY: &str = "#";

impl Trie {
    /// Adds a client to a pattern. Returns false where the client was there.
    pub fn insert(&mut self, pattern: &Pattern, client: ClientId) -> bool {
        let segments: Vec<&str> = pattern.as_str().split('.').collect();
        self.root.insert(&segments, client)
    }

    /// Removes a client from a pattern. Returns false where the client was not there.
    pub fn remove(&mut self, pattern: &Pattern, client: ClientId) -> bool {
        let segments: Vec<&str> = pattern.as_str().split('.').collect();
        self.root.remove(&segments, client)
    }

    /// Calls `found` with every client of a matching pattern, more than once where several patterns match. Returns how many
    /// segments of patterns were looked at.
    pub fn matching(&self, topic: &Topic, mut found: impl FnMut(ClientId)) -> usize {
        let segments: Vec<&str> = topic.segments().collect();
        let mut walk = Walk::new(&mut found);
        walk.go(&self.root, &segments);
        walk.steps
    }
}

impl Node {
    /// The node of a pattern's rest, which has no other pattern in common with it.
    fn of(rest: &[&str], client: ClientId) -> Self {
        let run = match rest.iter().position(|segment| *segment == MANY) {
            Some(0) => 1,
            Some(many) => many,
            None => rest.len(),
        };
        let mut node = Self { label: rest[..run].join(".").into(), ..Self::default() };
        node.insert(&rest[run..], client);
        node
    }

    /// `rest`: the segments of the pattern behind this node's.
    fn insert(&mut self, rest: &[&str], client: ClientId) -> bool {
        let Some(first) = rest.first() else {
            let place = self.clients.binary_search(&client);
            return place.is_err_and(|place| {
                self.clients.insert(place, client);
                true
            });
        };
        if let Some(child) = self.child(first) {
            let common = child.common(rest);
            child.split(common);
            return child.insert(&rest[common..], client);
        }
        self.add(first, Self::of(rest, client));
        true
    }

    fn remove(&mut self, rest: &[&str], client: ClientId) -> bool {
        let Some(first) = rest.first() else {
            let place = self.clients.binary_search(&client);
            return place.is_ok_and(|place| {
                self.clients.remove(place);
                self.clients.shrink_to(self.clients.len() * 2);
                true
            });
        };
        let Some(child) = self.child(first) else { return false };
        let common = child.common(rest);
        if common < child.segments() {
            return false;
        }
        let removed = child.remove(&rest[common..], client);
        if child.is_empty() {
            self.cut(first);
        } else if removed {
            child.join();
        }
        removed
    }

    /// How many segments of the label are those that `rest` begins with.
    fn common(&self, rest: &[&str]) -> usize {
        self.label.split('.').zip(rest).take_while(|(own, other)| own == *other).count()
    }

    fn segments(&self) -> usize {
        self.label.split('.').count()
    }

    /// Makes two nodes of this where the label has more segments than `at`.
    fn split(&mut self, at: usize) {
        if at >= self.segments() {
            return;
        }
        let before: usize = self.label.split('.').take(at).map(|segment| segment.len() + 1).sum();
        let (label, lower) = (self.label[..before - 1].into(), self.label[before..].into());
        let upper = Self { label, ..Self::default() };
        let lower = Self { label: lower, ..std::mem::replace(self, upper) };
        let first = lower.label.split('.').next().unwrap_or_default().to_owned();
        self.add(&first, lower);
    }

    /// Makes one node of this and the only one below it, if nothing else begins or ends here.
    fn join(&mut self) {
        let alone = self.clients.is_empty() && self.many.is_none() && *self.label != *MANY;
        if !alone || self.literal.len() + usize::from(self.one.is_some()) != 1 {
            return;
        }
        let Some(lower) = self.one.take().or_else(|| self.literal.take_any()) else { return };
        let label = format!("{}.{}", self.label, lower.label).into();
        *self = Self { label, ..*lower };
    }

    fn child(&mut self, first: &str) -> Option<&mut Self> {
        match first {
            ONE => self.one.as_deref_mut(),
            MANY => self.many.as_deref_mut(),
            literal => self.literal.get_mut(literal),
        }
    }

    fn add(&mut self, first: &str, child: Self) {
        let child = Box::new(child);
        match first {
            ONE => self.one = Some(child),
            MANY => self.many = Some(child),
            literal => self.literal.insert(literal, child),
        }
    }

    fn cut(&mut self, first: &str) {
        match first {
            ONE => self.one = None,
            MANY => self.many = None,
            literal => self.literal.remove(literal),
        }
    }

    fn is_empty(&self) -> bool {
        self.clients.is_empty()
            && self.literal.len() == 0
            && self.one.is_none()
            && self.many.is_none()
    }
}

/// One search for the patterns that match a topic.
struct Walk<'a, F> {
    found: &'a mut F,
    /// Nodes of a `#` below another `#` that were reached. The first time is where most of the topic is left, which finds
    /// everything that a later time would find: so no node is looked at twice for one segment.
    seen: HashSet<*const Node>,
    below_many: bool,
    steps: usize,
}

impl<'a, F: FnMut(ClientId)> Walk<'a, F> {
    fn new(found: &'a mut F) -> Self {
        Self { found, seen: HashSet::new(), below_many: false, steps: 0 }
    }

    /// `segments`: those of the topic behind the node's.
    fn go(&mut self, node: &Node, segments: &[&str]) {
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
        let Some(first) = segments.first() else {
            node.clients.iter().copied().for_each(&mut self.found);
            return;
        };
        if let Some(child) = node.literal.get(first) {
            self.enter(child, segments);
        }
        if let Some(child) = &node.one {
            self.enter(child, segments);
        }
    }

    /// Goes on below a node if the topic has its segments, of which the first is known to fit.
    fn enter(&mut self, node: &Node, segments: &[&str]) {
        let mut rest = &segments[1..];
        for wanted in node.label.split('.').skip(1) {
            self.steps += 1;
            match rest.split_first() {
                Some((first, after)) if wanted == ONE || wanted == *first => rest = after,
                Some(_) | None => return,
            }
        }
        self.go(node, rest);
    }
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

    impl Node {
        /// How many nodes there are, and the bytes of their labels.
        fn size(&self) -> (usize, usize) {
            let below = [&self.one, &self.many].into_iter().flatten().map(|node| &**node);
            below.chain(self.literal.iter()).fold((1, self.label.len()), |(nodes, bytes), node| {
                let (more, of_labels) = node.size();
                (nodes + more, bytes + of_labels)
            })
        }
    }

    #[test]
    fn a_pattern_of_many_segments_is_a_node_or_two() {
        let mut trie = Trie::default();
        let pattern = |number: u32| -> Pattern {
            let segments = (0..64).map(|at| format!("{}", (number >> (at % 10)) & 1));
            let text = format!("{}.{number}", segments.take(63).collect::<Vec<_>>().join("."));
            text.parse().unwrap()
        };
        for number in 0..1000 {
            trie.insert(&pattern(number), ClientId(number));
        }
        let (nodes, bytes) = trie.root.size();
        assert!(nodes <= 2 * 1000, "{nodes}");
        assert!(bytes <= 1000 * 132, "{bytes}");
        for number in 0..1000 {
            let mut found = Vec::new();
            trie.matching(&pattern(number).as_str().parse().unwrap(), |id| found.push(id));
            assert_eq!(found, [ClientId(number)]);
        }
        for number in 1..1000 {
            assert!(trie.remove(&pattern(number), ClientId(number)));
        }
        assert_eq!(trie.root.size().0, 2, "what is left lies together again");
    }
}
