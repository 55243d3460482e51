//! A gateway of the macula mesh: frames over QUIC and TLS, realms, publish/subscribe, remote procedure calls.
//!
//! A tour, in the order in which to read:
//!
//! - [`wire`]: what travels: frames, messages, topics, names of realms, ids. Pure.
//! - [`budget`]: the memory that is held for clients, and whose turn it is to go when it is used up.
//! - [`router`]: who gets a message: subscribers, retained messages, providers, calls under way. Pure.
//! - [`session`]: what a realm does with each message of a client: messages and time in, actions out. Pure.
//! - [`outbox`]: what waits to be written to one client.
//! - [`hub`]: all realms with the outboxes of their clients; the hub carries out what `session` decides.
//! - [`door`]: how clients come in over QUIC and TCP, how many, and the connection of each.
//! - [`config`]: the settings of `gateway run`; [`mod@file`] reads the files that they name.
//! - [`life`]: the start, the signals and the end of a gateway.
//! - [`observe`]: what the gateway shows of itself: metrics, health, built-in procedures.
//! - [`client`]: the client library and `gateway client`. Of the modules above it uses `wire` alone.
//! - [`cli`]: the command line.

pub mod wire;

pub mod budget;

pub mod router;
pub mod session;

pub mod outbox;

pub mod hub;

pub mod door;

pub mod config;
pub mod file;
pub mod life;
pub mod observe;

pub mod client;

pub mod cli;
