//! MessagePack as macula peers write it: strings are `bin`, and `str` is accepted in their place. It must not know
//! messages. The format: https://github.com/msgpack/msgpack/blob/master/spec.md

use bytes::{BufMut, BytesMut};
use rmp::Marker;
use thiserror::Error;

/// How deep maps and arrays of unknown keys may be nested.
const DEEPEST: usize = 32;

/// Why bytes are not MessagePack, or not the value that was wanted.
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
    #[error("{0} bytes follow the message")]
    Follows(usize),
}

/// Reads values one after the other. Bytes that it gives are those of the payload.
#[derive(Debug)]
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

    /// Whether all that was read so far is in forms that every macula peer reads: no text is `str`, no atom is bytes.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The number of pairs that follow.
    pub fn map(&mut self) -> Result<usize, PackError> {
        match self.marker()? {
            Marker::FixMap(pairs) => Ok(usize::from(pairs)),
            Marker::Map16 => self.long(Self::u16),
            Marker::Map32 => self.long(Self::u32),
            other => Err(wrong("a map", other)),
        }
    }

    /// The number of values that follow. An empty `str` is an empty array: so an empty list of Erlang is packed.
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
        self.take(length)
    }

    /// `bin` or `str` that is UTF-8.
    pub fn text(&mut self) -> Result<&'a str, PackError> {
        str::from_utf8(self.bytes()?).map_err(|_| PackError::NotText)
    }

    /// A whole number that is not negative, in whatever form.
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

    /// A boolean; Erlang's atoms `true` and `false` come as bytes.
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

    /// Whether nil is next; takes it.
    pub fn nil(&mut self) -> Result<bool, PackError> {
        let nil = self.peek()? == Marker::Null;
        if nil {
            self.marker()?;
        }
        Ok(nil)
    }

    /// Passes over one value, whatever it is.
    pub fn skip(&mut self) -> Result<(), PackError> {
        self.plain = false;
        self.skip_below(0)
    }

    fn skip_below(&mut self, depth: usize) -> Result<(), PackError> {
        if depth > DEEPEST {
            return Err(PackError::TooDeep);
        }
        let values = match self.marker()? {
            Marker::Null
            | Marker::True
            | Marker::False
            | Marker::FixPos(_)
            | Marker::FixNeg(_)
            | Marker::Reserved => 0,
            Marker::U8 | Marker::I8 => return self.pass(1),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => return self.pass(2),
            Marker::FixExt2 => return self.pass(3),
            Marker::U32 | Marker::I32 | Marker::F32 => return self.pass(4),
            Marker::FixExt4 => return self.pass(5),
            Marker::U64 | Marker::I64 | Marker::F64 => return self.pass(8),
            Marker::FixExt8 => return self.pass(9),
            Marker::FixExt16 => return self.pass(17),
            Marker::FixStr(length) => return self.pass(usize::from(length)),
            Marker::Str8 | Marker::Bin8 => return self.pass_counted(Self::u8, 0),
            Marker::Str16 | Marker::Bin16 => return self.pass_counted(Self::u16, 0),
            Marker::Str32 | Marker::Bin32 => return self.pass_counted(Self::u32, 0),
            Marker::Ext8 => return self.pass_counted(Self::u8, 1),
            Marker::Ext16 => return self.pass_counted(Self::u16, 1),
            Marker::Ext32 => return self.pass_counted(Self::u32, 1),
            Marker::FixArray(values) => usize::from(values),
            Marker::Array16 => self.long(Self::u16)?,
            Marker::Array32 => self.long(Self::u32)?,
            Marker::FixMap(pairs) => 2 * usize::from(pairs),
            Marker::Map16 => 2 * self.long(Self::u16)?,
            Marker::Map32 => self.long(Self::u32)?.saturating_mul(2),
        };
        // Each value has at least one byte: more of them than bytes are left end with an error soon.
        (0..values).try_for_each(|_| self.skip_below(depth + 1))
    }

    fn pass_counted<N: TryInto<usize>>(
        &mut self,
        length: fn(&mut Self) -> Result<N, PackError>,
        more: usize,
    ) -> Result<(), PackError> {
        let length = self.long(length)?;
        self.pass(length.saturating_add(more))
    }

    fn pass(&mut self, bytes: usize) -> Result<(), PackError> {
        self.take(bytes).map(drop)
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
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], PackError> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or(PackError::Ends)?;
        self.left = left;
        Ok(taken)
    }
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

/// Writes values one after the other, each in its shortest form.
#[derive(Debug)]
pub struct Writer<'a>(pub &'a mut BytesMut);

impl Writer<'_> {
    /// `pairs` follow; a message has few.
    pub fn map(&mut self, pairs: u8) -> &mut Self {
        self.0.put_u8(Marker::FixMap(pairs & 0x0f).to_u8());
        self
    }

    pub fn array(&mut self, values: usize) -> &mut Self {
        match (u8::try_from(values), u16::try_from(values)) {
            (Ok(few @ 0..=15), _) => self.0.put_u8(Marker::FixArray(few).to_u8()),
            (_, Ok(many)) => {
                self.0.put_u8(Marker::Array16.to_u8());
                self.0.put_u16(many);
            }
            _ => {
                self.0.put_u8(Marker::Array32.to_u8());
                self.0.put_u32(u32::try_from(values).unwrap_or(u32::MAX));
            }
        }
        self
    }

    /// As `bin`, text too.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = bytes.len();
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length), _) => {
                self.0.put_u8(Marker::Bin8.to_u8());
                self.0.put_u8(length);
            }
            (_, Ok(length)) => {
                self.0.put_u8(Marker::Bin16.to_u8());
                self.0.put_u16(length);
            }
            _ => {
                self.0.put_u8(Marker::Bin32.to_u8());
                self.0.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
            }
        }
        self.0.put_slice(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        match (u8::try_from(number), u16::try_from(number), u32::try_from(number)) {
            (Ok(small @ 0..=127), _, _) => self.0.put_u8(Marker::FixPos(small).to_u8()),
            (Ok(byte), _, _) => {
                self.0.put_u8(Marker::U8.to_u8());
                self.0.put_u8(byte);
            }
            (_, Ok(short), _) => {
                self.0.put_u8(Marker::U16.to_u8());
                self.0.put_u16(short);
            }
            (_, _, Ok(word)) => {
                self.0.put_u8(Marker::U32.to_u8());
                self.0.put_u32(word);
            }
            _ => {
                self.0.put_u8(Marker::U64.to_u8());
                self.0.put_u64(number);
            }
        }
        self
    }

    pub fn boolean(&mut self, value: bool) -> &mut Self {
        let marker = if value { Marker::True } else { Marker::False };
        self.0.put_u8(marker.to_u8());
        self
    }
}
