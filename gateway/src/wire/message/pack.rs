//! MessagePack as macula peers write it: strings are `bin`; the reader accepts `str` too. Messages are not known here. The
//! format: <https://github.com/msgpack/msgpack/blob/master/spec.md>

use bytes::BufMut;
use rmp::{
    Marker,
    encode::{self, ByteBuf},
};
use thiserror::Error;

/// How deep maps and arrays may be nested within one value.
pub const DEEPEST: usize = 100;

/// Why bytes are not MessagePack, or not of the type that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PackError {
    #[error("the payload ends within a value")]
    Ends,
    #[error("{wanted} is wanted, and {found} is there")]
    Type { wanted: &'static str, found: &'static str },
    #[error("a text is not UTF-8")]
    NotText,
    #[error("values are nested deeper than {DEEPEST}")]
    TooDeep,
    #[error("the byte 0xc1 begins no value")]
    NoValue,
    #[error("{0} bytes follow the message")]
    Follows(usize),
}

/// One value, or the head of one that holds others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    /// A number below zero.
    Negative(i64),
    Fraction(f64),
    /// `bin` or `str`.
    Bytes(&'a [u8]),
    /// The number of values that follow.
    Array(usize),
    /// The number of pairs that follow.
    Map(usize),
    Extension(i8, &'a [u8]),
}

/// Reads values one after the other. The bytes that it returns are parts of the payload.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
    plain: bool,
}

impl<'a> Reader<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self { left: payload, plain: true }
    }

    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// Whether all values so far had forms that every macula peer reads: no text as `str`, no atom as bytes.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Reads the head of a map: how many pairs follow.
    pub fn map(&mut self) -> Result<usize, PackError> {
        match self.marker()? {
            Marker::FixMap(pairs) => Ok(usize::from(pairs)),
            Marker::Map16 => self.long(Self::u16),
            Marker::Map32 => self.long(Self::u32),
            other => Err(wrong("a map", other)),
        }
    }

    /// Reads the head of an array: how many values follow. An empty `str` is an empty array too, since so an empty list of
    /// Erlang is packed.
    pub fn array(&mut self) -> Result<usize, PackError> {
        match self.marker()? {
            Marker::FixArray(values) => Ok(usize::from(values)),
            Marker::Array16 => self.long(Self::u16),
            Marker::Array32 => self.long(Self::u32),
            Marker::FixStr(0) => Ok(0),
            other => Err(wrong("an array", other)),
        }
    }

    /// `bin` or `str`.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], PackError> {
        let marker = self.marker()?;
        let length = match marker {
            Marker::FixStr(length) => length.into(),
            Marker::Bin8 | Marker::Str8 => self.u8()?.into(),
            Marker::Bin16 | Marker::Str16 => self.long(Self::u16)?,
            Marker::Bin32 | Marker::Str32 => self.long(Self::u32)?,
            other => return Err(wrong("bytes", other)),
        };
        self.plain &= matches!(marker, Marker::Bin8 | Marker::Bin16 | Marker::Bin32);
        self.next_bytes(length)
    }

    /// Reads `bin` or `str` that is UTF-8.
    pub fn text(&mut self) -> Result<&'a str, PackError> {
        str::from_utf8(self.bytes()?).map_err(|_| PackError::NotText)
    }

    /// Reads a whole number that is not negative, in any form.
    pub fn number(&mut self) -> Result<u64, PackError> {
        let signed = |value: i64, marker| {
            u64::try_from(value).map_err(|_| wrong("a number that is not negative", marker))
        };
        let marker = self.marker()?;
        if let Marker::FixPos(value) = marker {
            return Ok(value.into());
        }
        self.plain = false;
        match marker {
            Marker::U8 => Ok(self.u8()?.into()),
            Marker::U16 => Ok(self.u16()?.into()),
            Marker::U32 => Ok(self.u32()?.into()),
            Marker::U64 => self.fixed().map(u64::from_be_bytes),
            Marker::I8 => signed(self.fixed().map(i8::from_be_bytes)?.into(), marker),
            Marker::I16 => signed(self.fixed().map(i16::from_be_bytes)?.into(), marker),
            Marker::I32 => signed(self.fixed().map(i32::from_be_bytes)?.into(), marker),
            Marker::I64 => signed(self.fixed().map(i64::from_be_bytes)?, marker),
            other => Err(wrong("a number that is not negative", other)),
        }
    }

    /// Reads a boolean; Erlang's atoms `true` and `false` come as bytes.
    pub fn boolean(&mut self) -> Result<bool, PackError> {
        match self.peek()? {
            marker @ (Marker::True | Marker::False) => {
                self.marker()?;
                Ok(marker == Marker::True)
            }
            other => {
                self.plain = false;
                match self.bytes() {
                    Ok(b"true") => Ok(true),
                    Ok(b"false") => Ok(false),
                    Ok(_) | Err(_) => Err(wrong("a boolean", other)),
                }
            }
        }
    }

    /// Reads one value of any type, and returns it as it is packed. Looks at each byte once.
    pub fn packed(&mut self) -> Result<&'a [u8], PackError> {
        let all = self.left;
        self.skip_below(0)?;
        Ok(all.get(..all.len() - self.left.len()).unwrap_or_default())
    }

    /// Skips one value of any type.
    pub fn skip(&mut self) -> Result<(), PackError> {
        self.plain = false;
        self.skip_below(0)
    }

    /// Reads a value that may be of another type: then it is skipped.
    pub fn if_it_is<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, PackError>,
    ) -> Result<Option<T>, PackError> {
        let before = self.clone();
        if let Ok(value) = read(self) {
            return Ok(Some(value));
        }
        *self = before;
        self.skip().map(|()| None)
    }

    /// Reads the next value; the values within it come next.
    pub fn value(&mut self) -> Result<Value<'a>, PackError> {
        Ok(match self.marker()? {
            Marker::Null => Value::Nil,
            Marker::True => Value::Boolean(true),
            Marker::False => Value::Boolean(false),
            Marker::FixPos(value) => Value::Unsigned(value.into()),
            Marker::U8 => Value::Unsigned(self.u8()?.into()),
            Marker::U16 => Value::Unsigned(self.fixed().map(u16::from_be_bytes)?.into()),
            Marker::U32 => Value::Unsigned(self.fixed().map(u32::from_be_bytes)?.into()),
            Marker::U64 => Value::Unsigned(self.fixed().map(u64::from_be_bytes)?),
            Marker::FixNeg(value) => signed(value.into()),
            Marker::I8 => signed(self.fixed().map(i8::from_be_bytes)?.into()),
            Marker::I16 => signed(self.fixed().map(i16::from_be_bytes)?.into()),
            Marker::I32 => signed(self.fixed().map(i32::from_be_bytes)?.into()),
            Marker::I64 => signed(self.fixed().map(i64::from_be_bytes)?),
            Marker::F32 => Value::Fraction(self.fixed().map(f32::from_be_bytes)?.into()),
            Marker::F64 => Value::Fraction(self.fixed().map(f64::from_be_bytes)?),
            Marker::FixStr(length) => self.bytes_of(length.into())?,
            Marker::Str8 | Marker::Bin8 => self.u8().and_then(|it| self.bytes_of(it.into()))?,
            Marker::Str16 | Marker::Bin16 => {
                self.long(Self::u16).and_then(|length| self.bytes_of(length))?
            }
            Marker::Str32 | Marker::Bin32 => {
                self.long(Self::u32).and_then(|length| self.bytes_of(length))?
            }
            Marker::FixArray(values) => Value::Array(values.into()),
            Marker::Array16 => Value::Array(self.long(Self::u16)?),
            Marker::Array32 => Value::Array(self.long(Self::u32)?),
            Marker::FixMap(pairs) => Value::Map(pairs.into()),
            Marker::Map16 => Value::Map(self.long(Self::u16)?),
            Marker::Map32 => Value::Map(self.long(Self::u32)?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => self.u8().and_then(|length| self.extension(length.into()))?,
            Marker::Ext16 => self.long(Self::u16).and_then(|length| self.extension(length))?,
            Marker::Ext32 => self.long(Self::u32).and_then(|length| self.extension(length))?,
            Marker::Reserved => return Err(PackError::NoValue),
        })
    }

    fn bytes_of(&mut self, length: usize) -> Result<Value<'a>, PackError> {
        self.next_bytes(length).map(Value::Bytes)
    }

    fn extension(&mut self, length: usize) -> Result<Value<'a>, PackError> {
        let kind = self.fixed().map(i8::from_be_bytes)?;
        self.next_bytes(length).map(|bytes| Value::Extension(kind, bytes))
    }

    fn skip_below(&mut self, depth: usize) -> Result<(), PackError> {
        if depth > DEEPEST {
            return Err(PackError::TooDeep);
        }
        let values = match self.value()? {
            Value::Nil
            | Value::Boolean(_)
            | Value::Unsigned(_)
            | Value::Negative(_)
            | Value::Fraction(_)
            | Value::Bytes(_)
            | Value::Extension(..) => return Ok(()),
            Value::Array(values) => values,
            Value::Map(pairs) => pairs.saturating_mul(2),
        };
        // Each value has at least one byte: a count of more values than bytes ends with an error soon.
        (0..values).try_for_each(|_| self.skip_below(depth + 1))
    }

    fn peek(&self) -> Result<Marker, PackError> {
        self.left.first().copied().map(Marker::from_u8).ok_or(PackError::Ends)
    }

    fn marker(&mut self) -> Result<Marker, PackError> {
        self.u8().map(Marker::from_u8)
    }

    fn long<N: TryInto<usize>>(
        &mut self,
        length: fn(&mut Self) -> Result<N, PackError>,
    ) -> Result<usize, PackError> {
        length(self)?.try_into().map_err(|_| PackError::Ends)
    }

    fn u8(&mut self) -> Result<u8, PackError> {
        self.fixed().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, PackError> {
        self.fixed().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, PackError> {
        self.fixed().map(u32::from_be_bytes)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], PackError> {
        let (bytes, left) = self.left.split_first_chunk().ok_or(PackError::Ends)?;
        self.left = left;
        Ok(*bytes)
    }

    #[inline]
    fn next_bytes(&mut self, bytes: usize) -> Result<&'a [u8], PackError> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or(PackError::Ends)?;
        self.left = left;
        Ok(taken)
    }
}

fn signed(value: i64) -> Value<'static> {
    u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned)
}

fn wrong(wanted: &'static str, found: Marker) -> PackError {
    let found = match found {
        Marker::Null => "nil",
        Marker::True | Marker::False => "a boolean",
        Marker::FixNeg(_) => "a negative number",
        Marker::FixPos(_)
        | Marker::U8
        | Marker::U16
        | Marker::U32
        | Marker::U64
        | Marker::I8
        | Marker::I16
        | Marker::I32
        | Marker::I64 => "a number",
        Marker::F32 | Marker::F64 => "a number with a fraction",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a text",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32 => "an extension",
        Marker::Reserved => "the byte 0xc1",
    };
    PackError::Type { wanted, found }
}

/// Writes values one after the other, each in its shortest form; only an extension always says its length.
#[derive(Debug)]
pub struct Writer<'a>(pub &'a mut ByteBuf);

impl Writer<'_> {
    /// The number of pairs that follow.
    pub fn map(&mut self, pairs: usize) -> &mut Self {
        let Ok(_) = encode::write_map_len(self.0, count(pairs));
        self
    }

    /// The number of values that follow.
    pub fn array(&mut self, values: usize) -> &mut Self {
        let Ok(_) = encode::write_array_len(self.0, count(values));
        self
    }

    /// Writes `bin`, for text too.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let Ok(()) = encode::write_bin(self.0, bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Writes a value that is packed already.
    pub fn packed(&mut self, value: &[u8]) -> &mut Self {
        self.0.as_mut_vec().extend_from_slice(value);
        self
    }

    pub fn nil(&mut self) -> &mut Self {
        let Ok(()) = encode::write_nil(self.0);
        self
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        let Ok(_) = encode::write_uint(self.0, number);
        self
    }

    pub fn integer(&mut self, number: i64) -> &mut Self {
        let Ok(_) = encode::write_sint(self.0, number);
        self
    }

    pub fn fraction(&mut self, number: f64) -> &mut Self {
        let Ok(()) = encode::write_f64(self.0, number);
        self
    }

    pub fn boolean(&mut self, value: bool) -> &mut Self {
        let Ok(()) = encode::write_bool(self.0, value);
        self
    }

    /// By hand: rmp's encoder would choose the forms of fixed lengths for some.
    pub fn extension(&mut self, kind: i8, bytes: &[u8]) -> &mut Self {
        let out = self.0.as_mut_vec();
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(length), _) => {
                out.put_u8(Marker::Ext8.to_u8());
                out.put_u8(length);
            }
            (Err(_), Ok(length)) => {
                out.put_u8(Marker::Ext16.to_u8());
                out.put_u16(length);
            }
            (Err(_), Err(_)) => {
                out.put_u8(Marker::Ext32.to_u8());
                out.put_u32(count(bytes.len()));
            }
        }
        out.put_i8(kind);
        out.put_slice(bytes);
        self
    }
}

/// Nothing that is written has 2^32 values or bytes.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
