//! The arguments or the result of a call: one value of MessagePack of any type. The gateway passes it on as it was packed.

use std::fmt;

use bytes::Bytes;
use rmp::encode::ByteBuf;
use thiserror::Error;

use super::{
    CallError,
    call_error::call_error,
    pack::{PackError, Reader, Value, Writer},
};

/// One packed value of any type: a map, a list, a number, bytes, nil. `From` makes one of bytes or text, as `bin`, since so
/// macula peers write both.
///
/// ```
/// use gateway::client::Term;
///
/// let bytes = Term::from("abc");
/// assert_eq!(bytes.packed()[..], *b"\xc4\x03abc");
/// assert_eq!(bytes, "abc");
/// let three = Term::of_packed(vec![3].into())?;
/// assert_eq!(three.bytes().unwrap_err().to_string(), "bytes are wanted, and a number is there");
/// # Ok::<(), gateway::client::PackError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Term(Bytes);

/// A value is neither `bin` nor `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("bytes are wanted, and {found} is there")]
pub struct NotBytes {
    /// The type of the value, in words.
    pub found: &'static str,
}

impl Term {
    /// A term of bytes that are one packed value.
    ///
    /// # Errors
    /// The bytes are no value, or more follows, or it is nested too deep.
    pub fn of_packed(packed: Bytes) -> Result<Self, PackError> {
        let mut reader = Reader::new(&packed);
        reader.packed()?;
        match reader.left() {
            0 => Ok(Self(packed)),
            more => Err(PackError::Follows(more)),
        }
    }

    /// A term of a value that a [`Reader`] has read.
    pub(super) fn checked(packed: Bytes) -> Self {
        Self(packed)
    }

    /// A term of the value that `write` writes; it must write one.
    pub(crate) fn written(bytes: usize, write: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut out = ByteBuf::with_capacity(bytes);
        write(&mut Writer(&mut out));
        Self(out.into_vec().into())
    }

    /// Nil.
    pub fn nil() -> Self {
        Self(Bytes::from_static(&[0xc0]))
    }

    /// The value as it is packed.
    pub fn packed(&self) -> &Bytes {
        &self.0
    }

    /// The bytes of a `bin` or `str`.
    ///
    /// # Errors
    /// The value is of another type.
    pub fn bytes(&self) -> Result<Bytes, NotBytes> {
        let found = match Reader::new(&self.0).value() {
            Ok(Value::Bytes(bytes)) => return Ok(self.0.slice_ref(bytes)),
            Ok(Value::Nil) => "nil",
            Ok(Value::Boolean(_)) => "a boolean",
            Ok(Value::Unsigned(_) | Value::Negative(_)) => "a number",
            Ok(Value::Fraction(_)) => "a number with a fraction",
            Ok(Value::Array(_)) => "an array",
            Ok(Value::Map(_)) => "a map",
            Ok(Value::Extension(..)) => "an extension",
            // The constructor has checked it.
            Err(_) => "nothing",
        };
        Err(NotBytes { found })
    }

    /// The error in a result that is a map with an error in it.
    pub(crate) fn error(&self) -> Option<CallError> {
        let mut reader = self.reader();
        let Ok(Value::Map(pairs)) = reader.value() else { return None };
        let (mut error, mut message) = (None, None);
        for _ in 0..pairs {
            let key = reader.packed().ok()?;
            let value = reader.packed().ok()?;
            match Reader::new(key).bytes() {
                Ok(b"error") => error = call_error(value),
                Ok(b"message") => message = call_error(value),
                Ok(_) | Err(_) => {}
            }
        }
        let mut error = error?;
        if error.message.is_empty()
            && let Some(message) = message
        {
            error.message = message.code;
        }
        Some(error)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.0)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Term({})", self.0.escape_ascii())
    }
}

impl From<&[u8]> for Term {
    fn from(bytes: &[u8]) -> Self {
        Self::written(5 + bytes.len(), |out| {
            out.bytes(bytes);
        })
    }
}

macro_rules! from_bytes {
    ($($type:ty)*) => {
        $(
            impl From<$type> for Term {
                fn from(bytes: $type) -> Self {
                    let bytes: &[u8] = bytes.as_ref();
                    bytes.into()
                }
            }
        )*
    };
}

from_bytes! { Bytes Vec<u8> String &str }

/// Whether the term is these bytes, as `bin` or `str`.
impl PartialEq<[u8]> for Term {
    fn eq(&self, other: &[u8]) -> bool {
        self.bytes().is_ok_and(|bytes| bytes == other)
    }
}

impl PartialEq<str> for Term {
    fn eq(&self, other: &str) -> bool {
        *self == *other.as_bytes()
    }
}

impl PartialEq<&str> for Term {
    fn eq(&self, other: &&str) -> bool {
        *self == *other.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_again_whatever_their_length() {
        for length in [0, 1, 255, 256, 65_535, 65_536] {
            let bytes = vec![7; length];
            let term = Term::from(bytes.clone());
            assert_eq!(term.bytes().unwrap(), bytes);
            assert_eq!(Term::of_packed(term.packed().clone()), Ok(term));
        }
        assert_eq!(Term::of_packed(b"\xa2ab"[..].into()).unwrap(), "ab", "str is as good");
    }

    #[test]
    fn what_is_no_single_value_is_no_term() {
        let of = |packed: &[u8]| Term::of_packed(Bytes::copy_from_slice(packed));
        assert_eq!(of(b""), Err(PackError::Ends));
        assert_eq!(of(b"\x81\x01"), Err(PackError::Ends));
        assert_eq!(of(b"\x01\x02"), Err(PackError::Follows(1)));
        assert_eq!(of(b"\x91\xc1"), Err(PackError::NoValue));
        assert_eq!(of(b"\xdd\xff\xff\xff\xff"), Err(PackError::Ends));
        let nested = |deep: usize| of(&[vec![0x91; deep], vec![0xc0]].concat());
        assert!(nested(100).is_ok());
        assert_eq!(nested(101), Err(PackError::TooDeep));
        assert_eq!(nested(1 << 20), Err(PackError::TooDeep));
    }
}
