//! What holds of any bytes, whoever wrote them.

use proptest::prelude::*;
use tracer_ebpf::abi::header::Kind;

use super::{Arch, decode, golden};

/// A valid record with some bytes changed and its length kept, cut or extended.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    let size = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::sample::select(golden::all()), changes, size, 0..9_usize).prop_map(
        |(mut bytes, changes, size, padding)| {
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Some(size) = size {
                bytes.truncate(size.index(bytes.len()));
            }
            bytes.resize(bytes.len() + padding, 0);
            bytes
        },
    )
}

/// A header that is valid for a random body, so that bodies are reached.
fn headed() -> impl Strategy<Value = Vec<u8>> {
    (1..15_u16, prop::collection::vec(any::<u8>(), 104..9000)).prop_map(|(kind, mut bytes)| {
        let size = u32::try_from(bytes.len()).unwrap();
        bytes[..2].copy_from_slice(&kind.to_ne_bytes());
        bytes[2..4].copy_from_slice(&tracer_ebpf::abi::ABI.to_ne_bytes());
        bytes[4..8].copy_from_slice(&size.to_ne_bytes());
        bytes
    })
}

fn decodes_the_same_again(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(events) = decode(bytes, Arch::X86_64) else {
        return Ok(());
    };
    let size = usize::try_from(u32::from_ne_bytes(bytes[4..8].try_into().unwrap())).unwrap();
    prop_assert_eq!(&decode(&bytes[..size], Arch::X86_64).unwrap(), &events);
    let mut padded = bytes[..size].to_vec();
    padded.resize(size.next_multiple_of(8), 0xff);
    prop_assert_eq!(&decode(&padded, Arch::X86_64).unwrap(), &events);
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        decodes_the_same_again(&bytes)?;
    }

    #[test]
    fn random_bodies_never_panic(bytes in headed()) {
        decodes_the_same_again(&bytes)?;
    }

    #[test]
    fn mutated_records_never_panic_and_decode_the_same_again(bytes in mutated()) {
        decodes_the_same_again(&bytes)?;
    }
}

#[test]
fn every_kind_has_a_golden_record_that_decodes() {
    let records = golden::all();
    assert_eq!(records.len(), Kind::ALL.len());
    for (kind, bytes) in (1..).zip(&records) {
        assert_eq!(bytes[0], kind);
        assert!(!decode(bytes, Arch::X86_64).unwrap().is_empty());
    }
}
