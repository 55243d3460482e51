//! What Linux says, in types: numbers, names and texts of the kernel, and its type information. It must not know the tracer.

pub mod btf;
pub mod cgroup;
pub mod errno;
pub mod signal;
pub mod syscall;
pub mod text;
