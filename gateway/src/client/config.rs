//! What a client is told before it connects. Plain data.

use std::{path::PathBuf, time::Duration};

use crate::{id::NodeId, realm::RealmName};

/// Where to connect, as whom, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port: `gateway.example:9443`, `10.0.0.7:9443`, `[::1]:9443`.
    pub address: String,
    pub realm: RealmName,
    /// Random unless it is set. With a client certificate it must be the certificate's.
    pub node_id: NodeId,
    pub transport: Transport,
    pub trust: Trust,
    /// `None`: the realm asks for no certificate.
    pub certificate: Option<ClientCertificate>,
    /// The longest payload of a frame, sent or received, in bytes. The gateway's own limit is 1 MiB by default.
    pub most_payload_bytes: u32,
    /// Handlers of calls and casts that run at a time. A call above that is answered by `busy`.
    pub most_handlers: usize,
    pub timing: Timing,
}

impl Config {
    /// QUIC, a random node id, no client certificate.
    pub fn new(address: impl Into<String>, realm: RealmName, trust: Trust) -> Self {
        Self {
            address: address.into(),
            realm,
            node_id: NodeId(super::random()),
            transport: Transport::Quic,
            trust,
            certificate: None,
            most_payload_bytes: 1 << 20,
            most_handlers: 256,
            timing: Timing::default(),
        }
    }
}

/// What carries the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    #[default]
    Quic,
    /// TLS over TCP: where UDP is blocked.
    Tcp,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Quic => "QUIC",
            Self::Tcp => "TCP",
        }
    }
}

/// Why the gateway is believed to be the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Its certificate was signed by one of those in this PEM file, or is in it.
    Authority(PathBuf),
    /// Whoever answers is believed: for trials on one's own machine.
    Insecure,
}

/// PEM files that prove the client's node id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, the client's own certificate first.
    pub chain: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For the handshake and the gateway's answer to the connect.
    pub connect_within: Duration,
    /// Between two pings. When nothing came between two of them the connection counts as lost.
    pub ping_every: Duration,
    /// The longest wait before the first attempt to connect again; it doubles with each failure. The wait is a random part of it.
    pub wait_first: Duration,
    pub wait_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(10),
            wait_first: Duration::from_millis(200),
            wait_most: Duration::from_secs(10),
        }
    }
}
