//! The last retained message of each topic, with a share of the room for each network and node. The receivers are not known
//! here.

mod owners;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use thiserror::Error;

use self::owners::Owners;
use super::Owner;
use crate::{
    budget::{Budget, Share},
    wire::topic::{Pattern, Segment, Topic},
};

/// How much a realm may retain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    pub messages: usize,
    /// The bytes of all messages with their topics, and of what is around each.
    pub bytes: usize,
}

/// What a retained message takes in memory besides its bytes and its topic's, at most.
pub const MESSAGE_BYTES: usize = 384;

/// There is no room for another retained message: it was delivered, but is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a realm retains {messages} messages of {bytes} bytes, which is the most it may")]
pub struct RetainedFull {
    pub messages: usize,
    pub bytes: usize,
}

/// The retained messages as frames, by topic.
#[derive(Debug)]
pub struct Retained {
    messages: BTreeMap<Topic, Message>,
    owners: Owners,
    /// The number of the next message: a message that came earlier has a smaller one.
    next: u64,
    bytes: usize,
    limits: RetainedLimits,
}

#[derive(Debug)]
struct Message {
    frame: Bytes,
    owner: Owner,
    number: u64,
    _memory: Share,
}

impl Retained {
    pub fn new(limits: RetainedLimits) -> Self {
        let (messages, owners) = (BTreeMap::new(), Owners::default());
        Self { messages, owners, next: 0, bytes: 0, limits }
    }

    /// Keeps a message in place of the topic's last one. Where there is no room, the oldest messages of the node that has
    /// most in the network that has most make room; returns how many did.
    ///
    /// # Errors
    /// There is no room, and nobody has more than the owner; the topic's last message stays.
    pub fn keep(
        &mut self,
        topic: &Topic,
        message: &[u8],
        owner: Owner,
        budget: &Arc<Budget>,
    ) -> Result<u64, RetainedFull> {
        let bytes = size(topic, message);
        let known = self.messages.get(topic).map_or(0, |known| size(topic, &known.frame));
        let full = RetainedFull { messages: self.messages.len(), bytes: self.bytes };
        let mut others = 0;
        while self.bytes - self.known_bytes(topic) + bytes > self.limits.bytes
            || (known == 0 && self.messages.len() >= self.limits.messages)
        {
            let place = self.owners.fullest_but(owner, bytes.saturating_sub(known));
            let Some(place) = place.filter(|_| bytes <= self.limits.bytes) else {
                return Err(full);
            };
            self.forget(&place);
            others += 1;
        }
        let memory = budget.retain(bytes).map_err(|_| full)?;
        self.forget(topic);
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        // Copies, which do not keep alive what was read with them.
        let topic = topic.detached();
        self.owners.add(owner, number, topic.clone(), bytes);
        let frame = Bytes::copy_from_slice(message);
        self.messages.insert(topic, Message { frame, owner, number, _memory: memory });
        Ok(others)
    }

    fn known_bytes(&self, topic: &Topic) -> usize {
        self.messages.get(topic).map_or(0, |known| size(topic, &known.frame))
    }

    /// Removes the topic's message.
    pub fn forget(&mut self, topic: &Topic) {
        if let Some(Message { frame, owner, number, .. }) = self.messages.remove(topic) {
            let bytes = size(topic, &frame);
            self.bytes -= bytes;
            self.owners.remove(owner, number, bytes);
        }
    }

    /// Calls `found` with the messages of the topics that a pattern matches, in the order of the topics, until `found`
    /// returns false or `most` topics behind `after` were looked at. Returns where to go on, if topics are left, and how
    /// many were looked at.
    pub fn matching(
        &self,
        pattern: &Pattern,
        after: Option<&Topic>,
        most: usize,
        mut found: impl FnMut(&Topic, &Bytes) -> bool,
    ) -> (Option<Topic>, usize) {
        let prefix = literal_prefix(pattern);
        let from = match (after, Topic::new(prefix.clone())) {
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Ok(topic)) => Bound::Included(topic),
            // The pattern begins with a wildcard.
            (None, Err(_)) => Bound::Unbounded,
        };
        let mut looked = 0;
        for (topic, message) in self.messages.range((from, Bound::Unbounded)) {
            if !topic.bytes().starts_with(&prefix) {
                break;
            }
            looked += 1;
            let goes_on = !pattern.matches(topic) || found(topic, &message.frame);
            if !goes_on || looked == most {
                return (Some(topic.clone()), looked);
            }
        }
        (None, looked)
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(topic: &Topic, message: &[u8]) -> usize {
    MESSAGE_BYTES + topic.bytes().len() + message.len()
}

/// The text with which every matching topic begins.
fn literal_prefix(pattern: &Pattern) -> Bytes {
    let mut end = 0;
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) => end += text.len() + 1,
            Segment::One | Segment::Many => break,
        }
    }
    // Without the dot: `a.#` matches `a`.
    pattern.bytes().slice(..end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{router::Group, wire::id::NodeId};

    const LIMITS: RetainedLimits = RetainedLimits { messages: 4, bytes: 8 * MESSAGE_BYTES };

    fn owner(network: u8, node: u8) -> Owner {
        Owner { group: Group::Network([10, 0, network, 0].into()), node: NodeId([node; 32]) }
    }

    fn keep(retained: &mut Retained, text: &str, message: &[u8], owner: Owner) -> Result<u64, ()> {
        retained.keep(&topic(text), message, owner, &Budget::unlimited()).map_err(drop)
    }

    fn topics(retained: &Retained) -> Vec<&str> {
        retained.messages.keys().map(Topic::as_str).collect()
    }

    fn topic(text: &str) -> Topic {
        text.parse().unwrap()
    }

    fn check(kept: &[&str], pattern: &str, expect: &[&str]) {
        let mut retained = Retained::new(LIMITS);
        for text in kept {
            keep(&mut retained, text, text.as_bytes(), owner(1, 1)).unwrap();
        }
        let pattern = pattern.parse().unwrap();
        for most in [1, 2, 100] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let found = |_: &Topic, message: &Bytes| {
                    found.push(message.clone());
                    true
                };
                let (next, looked) = retained.matching(&pattern, after.as_ref(), most, found);
                assert!(looked <= most);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expect, "{pattern}, {most} at a time");
        }
    }

    #[test]
    fn a_later_subscriber_gets_the_last_of_each_topic_that_matches() {
        check(&["a.b", "a.c", "a-b", "b"], "a.*", &["a.b", "a.c"]);
        check(&["a", "a.b.c", "ab", "b"], "a.#", &["a", "a.b.c"]);
        check(&["a.z", "b.z", "z"], "*.z", &["a.z", "b.z"]);
        check(&["a", "a/b", "a.b"], "a", &["a"]);
        check(&["a", "b"], "#", &["a", "b"]);
    }

    #[test]
    fn what_is_retained_is_bounded_and_a_new_value_takes_the_place_of_the_old() {
        let mut retained = Retained::new(LIMITS);
        let (room, one) = (7 * MESSAGE_BYTES - 1, owner(1, 1));
        keep(&mut retained, "a", &vec![0; room], one).unwrap();
        assert!(keep(&mut retained, "b", b"", one).is_err());
        keep(&mut retained, "a", &[0; 10], one).unwrap();
        assert_eq!((retained.len(), retained.bytes()), (1, MESSAGE_BYTES + 11));
        retained.forget(&topic("a"));
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
        let limits = RetainedLimits { messages: 4, bytes: 1 << 20 };
        let mut retained = Retained::new(limits);
        for text in ["a", "b", "c", "d", "d"] {
            keep(&mut retained, text, b"", one).unwrap();
        }
        assert!(keep(&mut retained, "e", b"", one).is_err());
        assert!(retained.keep(&topic("a"), b"", one, &Budget::new(1000)).is_err(), "no memory");
        assert_eq!(retained.len(), 4);
    }

    #[test]
    fn who_fills_a_realm_makes_room_for_others_with_its_oldest() {
        let mut retained = Retained::new(RetainedLimits { messages: 100, bytes: 1 << 20 });
        // Any number of nodes of one network.
        for number in 0..100_u8 {
            keep(&mut retained, &format!("x.{number:03}"), b"x", owner(1, number / 4)).unwrap();
        }
        assert!(keep(&mut retained, "x.more", b"x", owner(1, 0)).is_err(), "it has most itself");
        for number in 0..50 {
            let text = format!("y.{number:03}");
            assert_eq!(keep(&mut retained, &text, b"y", owner(2, 1)), Ok(1), "{text}");
        }
        assert!(keep(&mut retained, "y.more", b"y", owner(2, 1)).is_err(), "half is its share");
        assert_eq!(retained.len(), 100);
        assert!(!topics(&retained).contains(&"x.000"));
        assert_eq!(keep(&mut retained, "z", b"z", owner(3, 1)), Ok(1));
    }

    #[test]
    fn within_a_network_the_node_with_most_makes_room() {
        let mut retained = Retained::new(RetainedLimits { messages: 10, bytes: 1 << 20 });
        keep(&mut retained, "honest", b"1", owner(1, 1)).unwrap();
        for number in 0..9 {
            keep(&mut retained, &format!("x.{number}"), b"x", owner(1, 2)).unwrap();
        }
        assert_eq!(keep(&mut retained, "honest.2", b"2", owner(1, 1)), Ok(1));
        assert!(topics(&retained).starts_with(&["honest", "honest.2", "x.1"]));
    }

    #[test]
    fn a_message_that_is_too_long_for_all_of_it_drops_nothing() {
        let mut retained = Retained::new(LIMITS);
        keep(&mut retained, "a", b"x", owner(1, 1)).unwrap();
        assert!(keep(&mut retained, "b", &[0; 8 * MESSAGE_BYTES], owner(2, 1)).is_err());
        assert_eq!(topics(&retained), ["a"]);
    }
}
