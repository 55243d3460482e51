//! The eBPF programs of the tracer: they watch, they decide nothing. On the host this binary is empty.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// For the atomic add, which core does not offer on this target.
#![cfg_attr(target_arch = "bpf", allow(internal_features), feature(core_intrinsics))]

#[cfg(target_arch = "bpf")]
mod programs;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
