//! The frame of every record: header, body of fixed size, tails of counted bytes. It must not know
//! what the fields of a body mean.

use std::ops::Deref;

use tracer_ebpf::abi::{
    ABI,
    header::{Header, Kind},
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{error::DecodeError, task};
use crate::capture::event::{BootNs, Event, What};

/// Ring buffer records are aligned to this (kernel/bpf/ringbuf.c), so less than it may be padding.
const ALIGN: usize = 8;

/// Bytes whose header has been checked.
pub(super) struct Record<'a> {
    pub kind: Kind,
    pub header: Header,
    /// As many as the header says, header included.
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, _) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::Short {
            part: "header",
            needed: size_of::<Header>(),
            got: bytes.len(),
        })?;
        if header.abi != ABI {
            return Err(DecodeError::Abi(header.abi));
        }
        let kind = Kind::of(header.kind).ok_or(DecodeError::Kind(header.kind))?;
        let wrong_size = DecodeError::Size { said: header.size, got: bytes.len() };
        let size = usize::try_from(header.size).map_err(|_| wrong_size)?;
        if size < size_of::<Header>()
            || bytes.len().checked_sub(size).is_none_or(|pad| pad >= ALIGN)
        {
            return Err(wrong_size);
        }
        Ok(Self { kind, header, bytes: &bytes[..size] })
    }

    /// The body, and what comes behind it. Of a shorter one, as an older program wrote it, the fields that it lacks are
    /// zero and [`Body::has`] tells; of a longer one, of a newer program, what is known of it is read.
    pub fn body<T>(&self) -> Result<(Body<T>, Tail<'a>), DecodeError>
    where
        T: FromBytes + KnownLayout + Immutable,
    {
        let name = self.name();
        let size = match self.header.body {
            0 => self.kind.first_body(),
            size => usize::try_from(size).unwrap_or(usize::MAX),
        };
        let short = |needed| DecodeError::Short { part: name, needed, got: self.bytes.len() };
        if size < self.kind.first_body() {
            return Err(short(self.kind.first_body()));
        }
        let (body, rest) = self.bytes.split_at_checked(size).ok_or(short(size))?;
        let known = size.min(size_of::<T>());
        let mut whole = vec![0; size_of::<T>()];
        whole[..known].copy_from_slice(&body[..known]);
        let fields = T::read_from_bytes(&whole).map_err(|_| short(size_of::<T>()))?;
        Ok((Body { fields, known }, Tail { record: name, rest }))
    }

    /// The body of a record that has nothing behind it.
    pub fn whole<T>(&self) -> Result<Body<T>, DecodeError>
    where
        T: FromBytes + KnownLayout + Immutable,
    {
        let (body, tail) = self.body()?;
        tail.finish()?;
        Ok(body)
    }

    pub fn event(&self, what: What) -> Event {
        self.event_at(self.header.time_ns, what)
    }

    pub fn event_at(&self, time_ns: BootNs, what: What) -> Event {
        Event {
            time_ns,
            cgroup: self.header.cgroup,
            process: task::process(&self.header.task),
            what,
        }
    }

    /// An error that names a field whose value has no meaning.
    pub fn meaningless(&self, field: &'static str, value: impl Into<i64>) -> DecodeError {
        DecodeError::Value { record: self.name(), field, value: value.into() }
    }

    /// `value` as an index or size, if it is at most `most`.
    pub fn at_most(
        &self,
        field: &'static str,
        value: u32,
        most: usize,
    ) -> Result<usize, DecodeError> {
        at_most(self.name(), field, value, most)
    }

    /// The kind's word.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }
}

/// The fixed part of a record, and how much of it was there.
pub(super) struct Body<T> {
    fields: T,
    known: usize,
}

impl<T> Body<T> {
    /// Whether the field that ends at this offset was written.
    pub fn has(&self, end: usize) -> bool {
        end <= self.known
    }
}

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.fields
    }
}

/// Counted bytes behind a body.
pub(super) struct Tail<'a> {
    record: &'static str,
    rest: &'a [u8],
}

impl<'a> Tail<'a> {
    /// The next `size` bytes, at most `most`.
    pub fn take(
        &mut self,
        field: &'static str,
        size: u32,
        most: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let size = at_most(self.record, field, size, most)?;
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(DecodeError::Short {
            part: field,
            needed: size,
            got: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(taken)
    }

    /// An error if more than padding is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.len() < ALIGN {
            return Ok(());
        }
        Err(DecodeError::Trailing { record: self.record, bytes: self.rest.len() })
    }
}

fn at_most(
    record: &'static str,
    field: &'static str,
    value: u32,
    most: usize,
) -> Result<usize, DecodeError> {
    let too_much = DecodeError::Bounds {
        record,
        field,
        value: value.into(),
        most: u64::try_from(most).unwrap_or(u64::MAX),
    };
    match usize::try_from(value) {
        Ok(value) if value <= most => Ok(value),
        _ => Err(too_much),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::capture::decode::{Arch, decode, golden};

    fn fork() -> Vec<u8> {
        golden::fork()
    }

    #[test]
    fn a_header_is_needed() {
        let error = decode(&fork()[..103], Arch::X86_64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "record is too short for its header: 103 bytes, 104 are needed"
        );
        assert!(decode(&[], Arch::X86_64).is_err());
    }

    #[test]
    fn another_abi_is_refused_by_its_version() {
        let mut bytes = fork();
        bytes[2] = 77;
        assert_eq!(decode(&bytes, Arch::X86_64), Err(DecodeError::Abi(77)));
    }

    #[test]
    fn an_unknown_kind_is_refused_by_its_number() {
        for number in [0_u16, 15, 500] {
            let mut bytes = fork();
            bytes[..2].copy_from_slice(&number.to_ne_bytes());
            assert_eq!(decode(&bytes, Arch::X86_64), Err(DecodeError::Kind(number)));
        }
    }

    #[test]
    fn up_to_seven_bytes_of_padding_are_accepted() {
        let expected = decode(&fork(), Arch::X86_64).unwrap();
        for padding in 0..8 {
            let mut bytes = fork();
            bytes.resize(bytes.len() + padding, 0xaa);
            assert_eq!(decode(&bytes, Arch::X86_64).unwrap(), expected);
        }
        let mut bytes = fork();
        bytes.resize(bytes.len() + 8, 0);
        assert_eq!(decode(&bytes, Arch::X86_64), Err(DecodeError::Size { said: 112, got: 120 }));
    }

    #[test]
    fn a_size_beyond_the_bytes_is_refused() {
        let mut bytes = fork();
        bytes[4] = 113;
        assert_eq!(decode(&bytes, Arch::X86_64), Err(DecodeError::Size { said: 113, got: 112 }));
        bytes[4] = 8;
        bytes.truncate(104);
        assert!(matches!(decode(&bytes, Arch::X86_64), Err(DecodeError::Size { .. })));
    }

    #[test]
    fn bytes_that_belong_to_no_field_are_refused() {
        let mut bytes = fork();
        bytes[4] = 120;
        bytes.resize(120, 0);
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Trailing { record: "fork", bytes: 8 })
        );
    }

    #[test]
    fn a_longer_body_of_a_newer_program_is_read_as_far_as_it_is_known() {
        let expected = decode(&fork(), Arch::X86_64).unwrap();
        let mut bytes = fork();
        let offset = offset_of!(Header, body);
        bytes[offset..offset + 4].copy_from_slice(&120_u32.to_ne_bytes());
        bytes[4] = 120;
        bytes.resize(120, 0xee);
        assert_eq!(decode(&bytes, Arch::X86_64).unwrap(), expected);
    }

    #[test]
    fn a_body_shorter_than_the_first_layout_is_refused() {
        let mut bytes = fork();
        let offset = offset_of!(Header, body);
        bytes[offset..offset + 4].copy_from_slice(&104_u32.to_ne_bytes());
        assert!(matches!(decode(&bytes, Arch::X86_64), Err(DecodeError::Short { .. })));
    }
}
