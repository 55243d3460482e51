//! A gateway of the macula mesh: frames over QUIC, realms, publish/subscribe, remote procedure calls.

#![forbid(unsafe_code)]

pub mod connection;
pub mod diagnostics;
pub mod frame;
pub mod hub;
pub mod id;
pub mod message;
pub mod metrics;
pub mod outbox;
pub mod realm;
pub mod router;
pub mod session;
pub mod tls;
pub mod topic;
