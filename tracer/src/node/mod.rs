//! One node of a cluster, watched: the agent, whose containers are whose, what is stored, reported and answered.

pub mod agent;
pub mod api;
pub mod attribute;
pub mod health;
pub mod identity;
pub mod kubernetes;
pub mod live;
pub mod metrics;
pub mod redact;
pub mod store;
