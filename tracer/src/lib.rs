//! The tracer as a library: from kernel records to a verdict. The binary `tracer` is a thin shell over it.

pub mod btf;
pub mod cgroup;
pub mod cli;
pub mod crash;
pub mod decode;
pub mod doctor;
pub mod errno;
pub mod event;
pub mod exec;
pub mod facts;
pub mod identity;
pub mod kernel;
pub mod render;
pub mod signal;
pub mod syscall;
pub mod text;
pub mod timeline;
pub mod verdict;
