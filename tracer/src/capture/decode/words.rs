//! Last words: what a process wrote last.

use tracer_ebpf::abi::words as abi;

use super::{
    error::DecodeError,
    record::{Body, Record},
};
use crate::{
    capture::event::{Event, Stream, What, Words},
    linux::text::Text,
};

/// In the order of `abi::words::Words::streams`.
const STREAMS: [Stream; abi::STREAMS] = [Stream::Stdout, Stream::Stderr, Stream::Init];

/// One event for each stream that was written to, at the time of its last write.
pub(super) fn words(record: &Record<'_>) -> Result<Vec<Event>, DecodeError> {
    let words: Body<abi::Words> = record.whole()?;
    let mut events = Vec::new();
    for (stream, raw) in STREAMS.into_iter().zip(&words.streams) {
        let bytes = kept(record, raw)?;
        if bytes.is_empty() && raw.total == 0 {
            continue;
        }
        let time_ns = if raw.time_ns == 0 { record.header.time_ns } else { raw.time_ns };
        let what = What::Words(Words {
            stream,
            head: Text::default(),
            skipped_bytes: 0,
            bytes: Text(bytes),
            total_bytes: raw.total,
            discarded: false,
        });
        events.push(record.event_at(time_ns, what));
    }
    Ok(events)
}

/// The ring in the order of writing: what is left of the older bytes, then the newer ones.
fn kept(record: &Record<'_>, stream: &abi::Stream) -> Result<Vec<u8>, DecodeError> {
    let next = record.at_most("next", stream.next, abi::RING)?;
    let end = record.at_most("end", stream.end, abi::RING)?;
    let older = stream.ring.get(next..end).unwrap_or_default();
    Ok([older, &stream.ring[..next]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{Arch, decode, golden};

    const NOTHING: golden::Ring<'static> = (0, 0, 0, 0, b"");

    fn decoded(rings: [golden::Ring<'_>; 3]) -> Vec<(u64, Words)> {
        let events = decode(&golden::words(rings), Arch::X86_64).unwrap();
        let words = events.into_iter().map(|event| match event.what {
            What::Words(words) => (event.time_ns, words),
            other => panic!("{other:?}"),
        });
        words.collect()
    }

    #[test]
    fn a_stream_that_was_not_written_to_says_nothing() {
        assert_eq!(decoded([NOTHING; 3]), []);
    }

    #[test]
    fn each_stream_speaks_at_its_last_write() {
        let stdout = (6, 400, 6, 0, b"hello\n".as_slice());
        let init = (4, 0, 4, 0, b"oops".as_slice());
        let words = |stream, bytes, total_bytes| Words {
            stream,
            head: Text::default(),
            skipped_bytes: 0,
            bytes: Text::from(bytes),
            total_bytes,
            discarded: false,
        };
        assert_eq!(
            decoded([stdout, NOTHING, init]),
            [
                (400, words(Stream::Stdout, "hello\n", 6)),
                (1_000_000_007, words(Stream::Init, "oops", 4)),
            ]
        );
    }

    #[test]
    fn older_bytes_behind_the_newer_ones_come_first() {
        let wrapped = (5000, 1, 4, 9, b"new:older".as_slice());
        assert_eq!(decoded([NOTHING, wrapped, NOTHING])[0].1.bytes, Text::from("oldernew:"));
    }

    #[test]
    fn older_bytes_that_were_all_overwritten_are_gone() {
        let wrapped = (5000, 1, 9, 4, b"all newer".as_slice());
        assert_eq!(decoded([NOTHING, wrapped, NOTHING])[0].1.bytes, Text::from("all newer"));
    }

    #[test]
    fn a_place_outside_the_ring_is_refused() {
        for (next, end) in [(1025, 0), (0, 1025)] {
            let bytes = golden::words([(1, 1, next, end, b"".as_slice()), NOTHING, NOTHING]);
            assert!(matches!(decode(&bytes, Arch::X86_64), Err(DecodeError::Bounds { .. })));
        }
    }
}
