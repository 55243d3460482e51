//! Every chore of this repository: its file or folder has its name. It knows nothing about how any of them works.

pub mod bench;
pub mod build_ebpf;
pub mod check_deploy;
pub mod demo;
pub mod e2e;
pub mod image;
pub mod install;
pub mod lint;
pub mod record;
pub mod test;
pub mod vmtest;
pub mod wild;
