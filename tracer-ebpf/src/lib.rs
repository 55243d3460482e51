//! What the eBPF programs and user space share: records, map values and the table of kernel
//! struct members whose offsets user space resolves. It must not know aya or any Kubernetes.
#![no_std]

pub mod abi;
pub mod errno;
pub mod offsets;
pub mod signal;
