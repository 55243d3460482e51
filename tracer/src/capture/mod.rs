//! From the kernel to events: programs are loaded, rings read, records decoded. Bytes end here.

pub mod decode;
pub mod event;
pub mod kernel;
