//! A gateway of the macula mesh: frames over QUIC, realms, publish/subscribe, remote procedure calls.

#![forbid(unsafe_code)]

pub mod backlog;
pub mod bind;
pub mod cli;
pub mod client;
pub mod config;
pub mod connection;
pub mod diagnostics;
pub mod entrance;
pub mod file;
pub mod flood;
pub mod frame;
pub mod health;
pub mod hub;
pub mod id;
pub mod keys;
pub mod life;
pub mod limits;
pub mod message;
pub mod metrics;
pub mod outbox;
pub mod quic;
pub mod realm;
pub mod router;
pub mod session;
pub mod tcp;
pub mod tls;
pub mod topic;
