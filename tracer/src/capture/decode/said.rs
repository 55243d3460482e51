//! What a process wrote to one stream: the end, and the beginning of a burst that is longer than what is kept of it.

use tracer_ebpf::abi::said::{self as abi, KEPT, stream};

use super::{error::DecodeError, record::Record};
use crate::{
    capture::event::{Event, Stream, What, Words},
    linux::text::Text,
};

pub(super) fn said(record: &Record<'_>) -> Result<Event, DecodeError> {
    let (said, mut tail) = record.body::<abi::Said>()?;
    let end = tail.take("tail_size", said.tail_size, KEPT)?;
    let begin = tail.take("head_size", said.head_size, KEPT)?;
    tail.finish()?;
    let stream = match said.stream {
        stream::STDOUT => Stream::Stdout,
        stream::STDERR => Stream::Stderr,
        stream::INIT => Stream::Init,
        other => return Err(record.meaningless("stream", other)),
    };
    let end = in_order(end, record.at_most("tail_next", said.tail_next, KEPT)?);
    let begin = in_order(begin, record.at_most("head_start", said.head_start, KEPT)?);
    let (head, skipped_bytes, bytes) = joined(begin, end, said.burst);
    let since = said.total.saturating_sub(said.earlier);
    let bytes = of_last_program(bytes, since);
    let total_bytes = if since > 0 { since } else { said.total };
    let time_ns = if said.time_ns == 0 { record.header.time_ns } else { said.time_ns };
    let discarded = said.discarded == 1;
    let words = Words {
        stream,
        head: Text(head),
        skipped_bytes,
        bytes: Text(bytes),
        total_bytes,
        discarded,
    };
    Ok(record.event_at(time_ns, What::Words(words)))
}

/// A ring that is full begins where the next byte would go; one that is not, at its first.
fn in_order(bytes: &[u8], next: usize) -> Vec<u8> {
    if bytes.len() < KEPT {
        return bytes.to_vec();
    }
    let (newer, older) = bytes.split_at(next.min(bytes.len()));
    [older, newer].concat()
}

/// Without what the process wrote before its last exec, unless it has written nothing since.
fn of_last_program(bytes: Vec<u8>, since: u64) -> Vec<u8> {
    let since = usize::try_from(since).unwrap_or(usize::MAX);
    match bytes.len().checked_sub(since) {
        Some(earlier) if since > 0 => bytes[earlier..].to_vec(),
        Some(_) | None => bytes,
    }
}

/// The beginning, the bytes lost behind it, and the end; one text where the two meet.
fn joined(head: Vec<u8>, tail: Vec<u8>, burst: u64) -> (Vec<u8>, u64, Vec<u8>) {
    let kept = head.len() + tail.len();
    let lost = burst.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
    if head.is_empty() || lost > 0 {
        return (head, lost, tail);
    }
    // They overlap by what the burst is shorter than both.
    let overlap = kept.saturating_sub(usize::try_from(burst).unwrap_or(usize::MAX));
    let rest = tail.get(overlap..).unwrap_or_default();
    (Vec::new(), 0, [&head, rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{Arch, decode, golden};

    fn decoded(said: &golden::Stream<'_>) -> Words {
        match decode(&golden::said(said), Arch::X86_64).unwrap().remove(0).what {
            What::Words(words) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_short_text_is_kept_whole() {
        let words = decoded(&golden::Stream {
            stream: 1,
            next: 4,
            tail: b"oops",
            head: None,
            burst: 4,
            total: 4,
            earlier: 0,
            discarded: false,
        });
        assert_eq!(words.stream, Stream::Stderr);
        assert_eq!(words.bytes, Text::from("oops"));
        assert_eq!((words.head, words.skipped_bytes, words.total_bytes), (Text::default(), 0, 4));
    }

    #[test]
    fn of_what_went_to_dev_null_nobody_wanted_to_know() {
        let said = |discarded| {
            let (next, burst, total) = (4, 4, 4);
            let tail = b"oops";
            golden::said(&golden::Stream {
                stream: 1,
                next,
                tail,
                head: None,
                burst,
                total,
                earlier: 0,
                discarded,
            })
        };
        let discarded = |record: &[u8]| match decode(record, Arch::X86_64).unwrap().remove(0).what {
            What::Words(words) => words.discarded,
            other => panic!("{other:?}"),
        };
        assert!(discarded(&said(true)));
        assert!(!discarded(&said(false)));
    }

    /// A burst of so many bytes, as the kernel side keeps it.
    fn burst(length: usize, before: usize) -> (Vec<u8>, Words) {
        let all: Vec<u8> =
            (0..before + length).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
        let ring = |upto: usize| {
            let mut ring = vec![0; KEPT];
            for at in upto.saturating_sub(KEPT)..upto {
                ring[at % KEPT] = all[at];
            }
            (ring, u32::try_from(upto % KEPT).unwrap())
        };
        let (tail, next) = ring(all.len());
        let (head, start) = ring(before + KEPT);
        let head = (length > KEPT).then_some((start, head.as_slice()));
        let total = u64::try_from(all.len()).unwrap();
        let words = decoded(&golden::Stream {
            stream: 0,
            next,
            tail: &tail,
            head,
            burst: u64::try_from(length).unwrap(),
            total,
            earlier: 0,
            discarded: false,
        });
        (all, words)
    }

    #[test]
    fn a_burst_that_fits_head_and_tail_is_one_text() {
        for (length, before) in
            [(KEPT + 1, 0), (KEPT + 700, 0), (2 * KEPT - 1, 77), (2 * KEPT, 5000)]
        {
            let (all, words) = burst(length, before);
            assert_eq!(words.bytes.0, all[before..], "{length} after {before}");
            assert_eq!((words.head.0.len(), words.skipped_bytes), (0, 0));
        }
    }

    #[test]
    fn of_a_longer_burst_both_ends_are_kept_and_the_gap_is_counted() {
        let (all, words) = burst(3 * KEPT, 10);
        assert_eq!(words.head.0, all[10..10 + KEPT]);
        assert_eq!(words.bytes.0, all[all.len() - KEPT..]);
        assert_eq!(words.skipped_bytes, u64::try_from(KEPT).unwrap());
    }

    #[test]
    fn what_was_written_before_an_exec_is_not_the_next_program_s() {
        let said = |tail: &'static [u8], earlier| golden::Stream {
            stream: 1,
            next: u32::try_from(tail.len()).unwrap(),
            tail,
            head: None,
            burst: 0,
            total: u64::try_from(tail.len()).unwrap(),
            earlier,
            discarded: false,
        };
        assert_eq!(decoded(&said(b"warn\nfatal\n", 5)).bytes, Text::from("fatal\n"));
        assert_eq!(decoded(&said(b"warn\n", 5)).bytes, Text::from("warn\n"));
    }

    #[test]
    fn a_stream_without_meaning_is_refused() {
        let said = golden::Stream {
            stream: 9,
            next: 1,
            tail: b"x",
            head: None,
            burst: 1,
            total: 1,
            earlier: 0,
            discarded: false,
        };
        assert!(decode(&golden::said(&said), Arch::X86_64).is_err());
    }
}
