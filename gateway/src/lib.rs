//! A gateway of the macula mesh: frames over QUIC, realms, publish/subscribe, remote procedure calls.

#![forbid(unsafe_code)]

pub mod frame;
pub mod id;
pub mod message;
pub mod realm;
pub mod router;
pub mod session;
pub mod topic;
