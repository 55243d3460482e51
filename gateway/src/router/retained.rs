//! The last retained message of each topic. The receivers are not known here.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use thiserror::Error;

use crate::wire::topic::{Pattern, Segment, Topic};

/// How much a realm may retain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    pub messages: usize,
    /// The bytes of all messages and their topics.
    pub bytes: usize,
}

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
    messages: BTreeMap<Topic, Bytes>,
    bytes: usize,
    limits: RetainedLimits,
}

impl Retained {
    pub fn new(limits: RetainedLimits) -> Self {
        Self { messages: BTreeMap::new(), bytes: 0, limits }
    }

    /// Keeps a message in place of the topic's last one.
    ///
    /// # Errors
    /// There is no room; the topic's last message stays.
    pub fn keep(&mut self, topic: &Topic, message: &[u8]) -> Result<(), RetainedFull> {
        let size = |message: &[u8]| topic.bytes().len() + message.len();
        let known = self.messages.get(topic);
        let bytes = self.bytes - known.map_or(0, |known| size(known)) + size(message);
        let messages = self.messages.len() + usize::from(known.is_none());
        if bytes > self.limits.bytes || messages > self.limits.messages {
            return Err(RetainedFull { messages: self.messages.len(), bytes: self.bytes });
        }
        self.bytes = bytes;
        // A copy, which does not keep alive what was read with it.
        self.messages.insert(topic.detached(), Bytes::copy_from_slice(message));
        Ok(())
    }

    /// Removes the topic's message.
    pub fn forget(&mut self, topic: &Topic) {
        if let Some(message) = self.messages.remove(topic) {
            self.bytes -= topic.bytes().len() + message.len();
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
            let goes_on = !pattern.matches(topic) || found(topic, message);
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

    const LIMITS: RetainedLimits = RetainedLimits { messages: 4, bytes: 64 };

    fn topic(text: &str) -> Topic {
        text.parse().unwrap()
    }

    fn check(kept: &[&str], pattern: &str, expect: &[&str]) {
        let mut retained = Retained::new(LIMITS);
        for text in kept {
            retained.keep(&topic(text), text.as_bytes()).unwrap();
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
        retained.keep(&topic("a"), &[0; 63]).unwrap();
        assert!(retained.keep(&topic("b"), b"").is_err());
        retained.keep(&topic("a"), &[0; 10]).unwrap();
        assert_eq!((retained.len(), retained.bytes()), (1, 11));
        retained.forget(&topic("a"));
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
        for text in ["a", "b", "c", "d"] {
            retained.keep(&topic(text), b"").unwrap();
        }
        assert!(retained.keep(&topic("e"), b"").is_err());
    }
}
