//! What the gateway shows of itself: counters, health for probes, and the procedures that the gateway answers itself.

pub mod beat;
pub mod diagnostics;
pub mod health;
pub mod metrics;
pub mod process;
