//! The soft limits of a process (setrlimit(2)).

use tracer_ebpf::offsets as at;

use super::kernel::{Ptr, load, member};

/// Indexes of `signal_struct.rlim` (include/uapi/asm-generic/resource.h).
pub const CPU: usize = 0;
pub const FSIZE: usize = 1;
pub const DATA: usize = 2;
pub const STACK: usize = 3;
pub const CORE: usize = 4;
pub const NPROC: usize = 6;
pub const NOFILE: usize = 7;
pub const MEMLOCK: usize = 8;
pub const AS: usize = 9;
/// Size of one `struct rlimit`: the soft limit and the hard one, an unsigned long each.
const RLIMIT: usize = 16;

/// One limit of the process that a `signal_struct` is of.
#[inline(always)]
pub fn soft(signal: Ptr, index: usize) -> u64 {
    load(member(signal, at::SIGNAL_RLIM).wrapping_add(index * RLIMIT))
}
