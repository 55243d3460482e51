//! The kernel side as user space sees it: what to tell the eBPF programs, loading them, reading what they say.
//! It must not know what the records mean.

pub mod heap;
pub mod layout;
pub mod load;
pub mod object;
pub mod pins;
pub mod rings;

pub use layout::{Layout, LayoutError, Options};
pub use load::{LoadError, Programs};
pub use rings::Rings;
