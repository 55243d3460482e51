//! The tracer as a library: from what a kernel saw of a process to why it died. The binary `tracer` is a thin shell over it.
//!
//! A tour, in the order in which a death passes through:
//!
//! - [`linux`]: numbers, names and texts of the kernel.
//! - [`capture`]: the programs in the kernel, and events out of the bytes that they write.
//! - [`diagnose`]: events become a timeline, facts are looked up, a verdict names the cause.
//! - [`contract`]: entries, crashes and lines as everybody outside reads them.
//! - [`render`]: the same for people, as text and as a page.
//! - [`node`]: the agent of a node, with all that it asks, stores and answers.
//! - [`exec`], [`doctor`], [`query`]: the other commands: run one program, look at this machine, ask agents and stores.
//! - [`config`] and [`cli`]: settings and the command line.

pub mod capture;
pub mod cli;
pub mod config;
pub mod contract;
pub mod diagnose;
pub mod doctor;
pub mod exec;
pub mod linux;
pub mod node;
pub mod query;
pub mod render;
