//! What the gateway reports of itself: metrics, health for probes, and the procedures that it answers itself.

pub mod beat;
pub mod diagnostics;
pub mod health;
pub mod metrics;
pub mod process;
