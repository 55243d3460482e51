//! The ids of nodes, messages and calls, shown in hexadecimal. A node's id has a fixed length; the other ids are as long as
//! their sender chose.

use std::fmt;

/// The id of a node of the mesh. The node chooses it; only a certificate proves it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    pub const BYTES: usize = 32;

    /// `None` unless there are [`Self::BYTES`] bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// `None` unless the text is [`Self::BYTES`] bytes in hexadecimal.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
        let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
        if rest.is_empty() { Self::of(&bytes) } else { None }
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The longest id that needs no allocation.
const SHORT: usize = 22;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Bytes {
    /// The bytes behind the length are zero.
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<[u8]>),
}

impl Bytes {
    fn copy(from: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(from);
                Self::Short { length, bytes }
            }
            (None, _) | (_, Err(_)) => Self::Long(from.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

macro_rules! lengthy_ids {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Hash)]
            pub struct $name(Bytes);

            impl $name {
                /// The length of the ids that the gateway makes.
                pub const BYTES: usize = 16;
                pub const MOST_BYTES: usize = 256;

                /// A copy of the bytes; `None` where there are more than [`Self::MOST_BYTES`].
                pub fn of(bytes: &[u8]) -> Option<Self> {
                    (bytes.len() <= Self::MOST_BYTES).then(|| Self(Bytes::copy(bytes)))
                }

                pub fn bytes(&self) -> &[u8] {
                    self.0.bytes()
                }
            }

            impl Default for $name {
                /// The empty id.
                fn default() -> Self {
                    Self(Bytes::copy(&[]))
                }
            }

            impl From<[u8; 16]> for $name {
                fn from(bytes: [u8; 16]) -> Self {
                    Self(Bytes::copy(&bytes))
                }
            }
        )*
    };
}

lengthy_ids! {
    /// The id of a message, unique within its publisher if the publisher wants that. It may be empty.
    MessageId
    /// The id of a call, unique within its caller.
    CallId
}

macro_rules! hexadecimal {
    ($($name:ident)*) => {
        $(
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

hexadecimal! { NodeId MessageId CallId }

/// Makes ids that nobody else makes, if `seed` is random.
#[derive(Debug)]
pub struct FreshIds {
    seed: [u8; 8],
    last: u64,
}

impl FreshIds {
    pub fn new(seed: [u8; 8]) -> Self {
        Self { seed, last: 0 }
    }

    pub fn next_id(&mut self) -> [u8; 16] {
        self.last = self.last.wrapping_add(1);
        let mut id = [0; 16];
        let (seed, number) = id.split_at_mut(8);
        seed.copy_from_slice(&self.seed);
        number.copy_from_slice(&self.last.to_be_bytes());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_in_hexadecimal() {
        assert_eq!(CallId::from([0xab; 16]).to_string(), "ab".repeat(16));
        assert!(NodeId::of(&[0; 31]).is_none());
    }

    #[test]
    fn an_id_is_read_from_hexadecimal() {
        assert_eq!(NodeId::from_hex(&"aB".repeat(32)), NodeId::of(&[0xab; 32]));
        for wrong in ["", "ab", &"ab".repeat(33), &"g0".repeat(32), &"\u{e9}".repeat(32)] {
            assert_eq!(NodeId::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_is_as_long_as_it_was_made_and_no_longer_than_256_bytes() {
        for length in [0, 1, 12, 16, SHORT, SHORT + 1, 256] {
            let bytes = vec![7; length];
            let id = MessageId::of(&bytes).unwrap();
            assert_eq!(id.bytes(), bytes, "{length}");
            assert_eq!(Some(id), MessageId::of(&bytes));
        }
        assert_eq!(MessageId::of(&[7; 257]), None);
        assert_ne!(CallId::of(&[0; 3]), CallId::of(&[0; 4]));
    }

    #[test]
    fn fresh_ids_differ_within_a_source_and_between_sources() {
        let (mut one, mut other) = (FreshIds::new([1; 8]), FreshIds::new([2; 8]));
        let ids = [one.next_id(), one.next_id(), other.next_id()];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
    }
}
