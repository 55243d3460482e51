//! The gateway as its clients meet it: over QUIC and over TLS, in this process and as the binary.

#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod authority;
mod certificates;
mod client;
mod ends;
mod neighbours;
mod peer;
mod process;
mod refusals;
mod replicas;
mod serving;
mod sessions;
mod signals;
mod stopping;
mod wire;
mod world;
