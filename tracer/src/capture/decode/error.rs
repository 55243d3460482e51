//! Why bytes are not a record.

use tracer_ebpf::abi::ABI;

/// Bytes that no decoder accepts. Each names the thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("record is too short for its {part}: {got} bytes, {needed} are needed")]
    Short { part: &'static str, needed: usize, got: usize },
    #[error(
        "record has ABI version {0}, this program decodes {ABI}: program and eBPF object must be of one build"
    )]
    Abi(u16),
    #[error("record is of unknown kind {0}")]
    Kind(u16),
    #[error("record says it has {said} bytes, {got} were received")]
    Size { said: u32, got: usize },
    #[error("{record} record has {field} {value}, {most} is the most")]
    Bounds { record: &'static str, field: &'static str, value: u64, most: u64 },
    #[error("{record} record has {bytes} bytes that belong to no field")]
    Trailing { record: &'static str, bytes: usize },
    #[error("{record} record has {field} {value}, which means nothing")]
    Value { record: &'static str, field: &'static str, value: i64 },
}
