//! The eBPF object that this binary carries.

use sha2::{Digest, Sha256};

use crate::linux::text;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// The embedded object, or `None` in a binary that was built without it.
pub fn bytes() -> Option<&'static [u8]> {
    (!cfg!(ebpf_stub) && !OBJECT.is_empty()).then_some(OBJECT)
}

/// SHA-256 of the embedded object, hexadecimal.
pub fn hash() -> Option<String> {
    let digest = Sha256::digest(bytes()?);
    Some(text::hex(&digest, ""))
}
