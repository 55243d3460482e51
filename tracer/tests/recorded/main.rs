//! All recorded deaths judged again, on every machine and without root: the wild set against its answers, and what must hold
//! of every verdict whatever it is. It must not know how the deaths were provoked.
#![allow(clippy::unwrap_used, reason = "a broken recording must fail the test where it is broken")]

mod deaths;
mod mutation;
mod noise;
mod redaction;
mod wild;
