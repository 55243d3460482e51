//! Ids of the protocol: bytes of a fixed length, shown in hexadecimal. They must not know who has them.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident: $bytes:literal)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(pub [u8; $bytes]);

            impl $name {
                pub const BYTES: usize = $bytes;

                /// `None` where the bytes are not as many.
                pub fn of(bytes: &[u8]) -> Option<Self> {
                    bytes.try_into().ok().map(Self)
                }

                /// `None` where it is not as many bytes in hexadecimal.
                pub fn from_hex(text: &str) -> Option<Self> {
                    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let byte = |[high, low]: &[u8; 2]| {
                        u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
                    };
                    let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
                    if rest.is_empty() { Self::of(&bytes) } else { None }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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

ids! {
    /// Of a node of the mesh. Chosen by the node; proven only by a certificate.
    NodeId: 32
    /// Of a message, unique within its publisher.
    MessageId: 16
    /// Of a call, unique within its caller.
    CallId: 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_in_hexadecimal() {
        let id = CallId::of(&[0xab; 16]).unwrap();
        assert_eq!(id.to_string(), "ab".repeat(16));
        assert!(CallId::of(&[0; 15]).is_none());
    }

    #[test]
    fn an_id_is_read_from_hexadecimal() {
        assert_eq!(CallId::from_hex(&"aB".repeat(16)), CallId::of(&[0xab; 16]));
        for wrong in ["", "ab", &"ab".repeat(17), &"g0".repeat(16), &"\u{e9}".repeat(16)] {
            assert_eq!(CallId::from_hex(wrong), None, "{wrong}");
        }
    }
}
