//! Error numbers of Linux, as both sides know them.

pub use tracer_ebpf::errno::Errno;
