//! Bytes that nobody should send: random, mutated and almost right. What comes from outside may be refused, but nothing
//! panics and nobody else notices. `GATEWAY_FUZZ_FRAMES` and `GATEWAY_FUZZ_SEED` make it longer and different.

#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod clients;
mod codec;
mod dice;
mod files;
mod http;
mod shapes;
