//! Reads kernel type information (BTF): member offsets, enum values. Pure: bytes in, numbers out.
//! Format: Documentation/bpf/btf.rst.

use std::collections::HashMap;

use thiserror::Error;

/// Why BTF could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("not BTF: {0}")]
    Malformed(&'static str),
    #[error("BTF ends in the middle of type {0}")]
    Truncated(u32),
}

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;
/// Bytes of `struct btf_type`.
const TYPE_SIZE: usize = 12;
/// Anonymous structs are followed this deep, and typedefs this far.
const DEPTH: usize = 8;

/// A kernel's type information, indexed.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset in `types` of each type; id 1 is at index 0.
    offsets: Vec<u32>,
    /// Structs and unions by name (first definition).
    structs: HashMap<&'a [u8], u32>,
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    vlen: u32,
    /// Bit-field offsets are in use.
    flag: bool,
    /// `size` or `type`.
    value: u32,
    /// Where what follows begins.
    tail: usize,
}

impl<'a> Btf<'a> {
    /// Indexes `/sys/kernel/btf/vmlinux`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = bytes.get(..2).ok_or(BtfError::Malformed("no header"))?;
        if magic != MAGIC.to_le_bytes() {
            return Err(BtfError::Malformed("wrong magic"));
        }
        let header = |at: usize| word(bytes, at).ok_or(BtfError::Malformed("short header"));
        let base = header(4)? as usize;
        let section = |offset: u32, length: u32| {
            let start = base.checked_add(offset as usize)?;
            bytes.get(start..start.checked_add(length as usize)?)
        };
        let types =
            section(header(8)?, header(12)?).ok_or(BtfError::Malformed("types lie outside"))?;
        let strings =
            section(header(16)?, header(20)?).ok_or(BtfError::Malformed("strings lie outside"))?;
        let mut btf = Self { types, strings, offsets: Vec::new(), structs: HashMap::new() };
        let mut at = 0;
        while at < types.len() {
            let id = u32::try_from(btf.offsets.len() + 1)
                .map_err(|_| BtfError::Malformed("too many types"))?;
            let found = btf.read(at).ok_or(BtfError::Truncated(id))?;
            btf.offsets.push(u32::try_from(at).map_err(|_| BtfError::Malformed("too large"))?);
            if found.kind == KIND_STRUCT || found.kind == KIND_UNION {
                let name = btf.string(found.name);
                if !name.is_empty() {
                    btf.structs.entry(name).or_insert(id);
                }
            }
            at = found.tail + tail_size(&found);
        }
        Ok(btf)
    }

    /// Offset in bytes of `struct.member.member`; `member[3]` is the fourth element of an array of 8 bytes each.
    /// A bit field gives the byte that it begins in.
    pub fn offset(&self, path: &str) -> Option<u32> {
        let mut parts = path.split('.');
        let mut at = *self.structs.get(parts.next()?.as_bytes())?;
        let mut bits = 0;
        for part in parts {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, index.strip_suffix(']')?.parse::<u32>().ok()?),
                None => (part, 0),
            };
            let (offset, member) = self.member(at, name.as_bytes(), DEPTH)?;
            bits += offset + index * 64;
            at = member;
        }
        Some(bits / 8)
    }

    /// Size in bytes of a struct.
    pub fn struct_size(&self, name: &str) -> Option<u32> {
        Some(self.get(*self.structs.get(name.as_bytes())?)?.value)
    }

    /// Value of an enumerator, whatever enum it belongs to.
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        for id in 1..=self.offsets.len() {
            let Some(found) = self.get(u32::try_from(id).ok()?) else { continue };
            if found.kind != KIND_ENUM {
                continue;
            }
            for index in 0..found.vlen as usize {
                let at = found.tail + index * 8;
                if self.string(word(self.types, at)?) == name.as_bytes() {
                    return word(self.types, at + 4);
                }
            }
        }
        None
    }

    /// Kinds of the parameters of a tracepoint's `btf_trace_NAME`, the hidden first one left out: true for a pointer.
    pub fn tracepoint_parameters(&self, name: &str) -> Option<Vec<bool>> {
        let wanted = format!("btf_trace_{name}");
        for id in 1..=self.offsets.len() {
            let found = self.get(u32::try_from(id).ok()?)?;
            if found.kind != KIND_TYPEDEF || self.string(found.name) != wanted.as_bytes() {
                continue;
            }
            // typedef -> pointer -> function prototype
            let proto = self.get(self.get(found.value)?.value)?;
            if proto.kind != KIND_FUNC_PROTO {
                return None;
            }
            let parameters = (1..proto.vlen as usize)
                .map(|index| {
                    Some(
                        self.plain(word(self.types, proto.tail + index * 8 + 4)?)?.kind == KIND_PTR,
                    )
                })
                .collect();
            return parameters;
        }
        None
    }

    /// Offset in bits and type of a member, searched through anonymous structs and unions.
    fn member(&self, id: u32, name: &[u8], depth: usize) -> Option<(u32, u32)> {
        let found = self.plain(id)?;
        if depth == 0 || (found.kind != KIND_STRUCT && found.kind != KIND_UNION) {
            return None;
        }
        for index in 0..found.vlen as usize {
            let at = found.tail + index * 12;
            let member_name = self.string(word(self.types, at)?);
            let member_type = word(self.types, at + 4)?;
            let raw = word(self.types, at + 8)?;
            // With bit fields the top byte of the offset is the field's size.
            let bits = if found.flag { raw & 0x00ff_ffff } else { raw };
            if member_name == name {
                return Some((bits, member_type));
            }
            if member_name.is_empty()
                && let Some((inner, inner_type)) = self.member(member_type, name, depth - 1)
            {
                return Some((bits + inner, inner_type));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn plain(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEPTH {
            let found = self.get(id)?;
            match found.kind {
                KIND_TYPEDEF | KIND_VOLATILE..=KIND_RESTRICT | KIND_TYPE_TAG => id = found.value,
                _ => return Some(found),
            }
        }
        None
    }

    fn get(&self, id: u32) -> Option<Type> {
        let index = (id as usize).checked_sub(1)?;
        self.read(*self.offsets.get(index)? as usize)
    }

    fn read(&self, at: usize) -> Option<Type> {
        let info = word(self.types, at + 4)?;
        let found = Type {
            name: word(self.types, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            flag: info >> 31 != 0,
            value: word(self.types, at + 8)?,
            tail: at + TYPE_SIZE,
        };
        (found.tail + tail_size(&found) <= self.types.len()).then_some(found)
    }

    fn string(&self, at: u32) -> &'a [u8] {
        let tail = self.strings.get(at as usize..).unwrap_or_default();
        tail.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

fn tail_size(found: &Type) -> usize {
    let vlen = found.vlen as usize;
    match found.kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => vlen * 12,
        KIND_ENUM | KIND_FUNC_PROTO => vlen * 8,
        _ => 0,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(chunk.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// BTF of `struct outer { int a; struct { int b; unsigned c:4; }; }` as the kernel lays it out.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0b\0c\0";
        let mut types = Vec::new();
        let mut put = |words: &[u32]| words.iter().for_each(|w| types.extend(w.to_le_bytes()));
        put(&[1, KIND_INT << 24, 4, 32]);
        put(&[0, (KIND_STRUCT << 24) | 2 | (1 << 31), 8, 13, 1, 0, 15, 1, 32 | (4 << 24)]);
        put(&[5, (KIND_STRUCT << 24) | 2, 12, 11, 1, 0, 0, 2, 32]);
        let mut out = Vec::new();
        out.extend(MAGIC.to_le_bytes());
        out.extend([1, 0]);
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend(types);
        out.extend(strings);
        out
    }

    #[test]
    fn members_are_found_through_anonymous_structs_and_as_bit_fields() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset("outer.a"), Some(0));
        assert_eq!(btf.offset("outer.b"), Some(4));
        assert_eq!(btf.offset("outer.c"), Some(8));
        assert_eq!(btf.offset("outer.d"), None);
        assert_eq!(btf.struct_size("outer"), Some(12));
    }

    #[test]
    fn what_is_not_btf_is_refused() {
        assert_eq!(Btf::parse(b"ELF").unwrap_err(), BtfError::Malformed("wrong magic"));
        assert_eq!(Btf::parse(b"").unwrap_err(), BtfError::Malformed("no header"));
    }

    proptest! {
        #[test]
        fn broken_btf_never_panics(at in 0usize..110, byte: u8) {
            let mut bytes = sample();
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            if let Ok(btf) = Btf::parse(&bytes) {
                btf.offset("outer.c");
                btf.enumerator("x");
                btf.tracepoint_parameters("x");
            }
        }
    }
}
