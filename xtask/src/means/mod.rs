//! What several chores work with. It must not know any chore.

pub mod bpf_linker;
pub mod bpf_toolchain;
pub mod exec;
pub mod host_files;
pub mod packages;
pub mod page;
pub mod qemu;
pub mod rootfs;
pub mod setup;
pub mod static_build;
pub mod tools;
pub mod tree;
pub mod wheels;
pub mod workspace;
