//! The settings of a client. Plain data.

use std::{path::PathBuf, time::Duration};

use super::{Error, pem};
use crate::wire::{id::NodeId, realm::RealmName};

/// Where a client connects, as which node, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port: `gateway.example:9443`, `10.0.0.7:9443`, `[::1]:9443`.
    pub address: String,
    /// The client's realm.
    pub realm: RealmName,
    /// The client's node id, random unless it is set. With a client certificate it must be the certificate's, as
    /// [`Config::with_certificate`] sets it.
    pub node_id: NodeId,
    /// What carries the frames.
    pub transport: Transport,
    /// How the client verifies the gateway. Files are read once, when the client connects for the first time.
    pub trust: Trust,
    /// The client's own certificate. `None`: the realm asks for no certificate.
    pub certificate: Option<ClientCertificate>,
    /// The longest payload of a frame, sent or received, in bytes. The gateway's own limit is 1 MiB by default.
    pub most_payload_bytes: u32,
    /// How many handlers of calls and casts run at a time. A call above that gets the error `busy`.
    pub most_handlers: usize,
    /// The times of a client.
    pub timing: Timing,
}

impl Config {
    /// A configuration with QUIC, a random node id and no client certificate.
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

    /// Sets the client certificate, and the node that it names by `macula://REALM/NODE_ID_HEX`, for realms that ask for one.
    ///
    /// ```no_run
    /// # use gateway::client::{Config, Error, Trust};
    /// # fn config() -> Result<Config, Box<dyn std::error::Error>> {
    /// let trust = Trust::Authority("ca.pem".into());
    /// let config = Config::new("gateway.example:9443", "plant.example".parse()?, trust);
    /// Ok(config.with_certificate("node.crt", "node.key")?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::File`]: the chain cannot be read, or names no node. The key is read when the client connects.
    pub fn with_certificate(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        let (chain, key) = (chain.into(), key.into());
        self.node_id = pem::node_of(&chain)?;
        self.certificate = Some(ClientCertificate { chain, key });
        Ok(self)
    }
}

/// What carries the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// QUIC over UDP.
    #[default]
    Quic,
    /// TLS over TCP, for networks that block UDP.
    Tcp,
}

impl Transport {
    /// `QUIC` or `TCP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quic => "QUIC",
            Self::Tcp => "TCP",
        }
    }
}

/// How the client verifies the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One of the certificates in this PEM file has signed the gateway's, or is the gateway's.
    Authority(PathBuf),
    /// Trusts whoever answers: for trials on one's own machine.
    Insecure,
}

/// PEM files that prove the client's node id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, the client's own certificate first.
    pub chain: PathBuf,
    /// The private key of the first certificate.
    pub key: PathBuf,
}

/// The times of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The time for the handshake and the gateway's answer to the CONNECT.
    pub connect_within: Duration,
    /// The time between two pings. When nothing came between two of them the connection counts as lost.
    pub ping_every: Duration,
    /// The longest wait before the first attempt to connect again; it doubles with each failure. The wait is a random part of it.
    pub wait_first: Duration,
    /// The limit to which that wait grows.
    pub wait_most: Duration,
}

impl Timing {
    /// The wait before another attempt: random, so that all clients of a gateway that was restarted do not come at once.
    /// `random` is from 0 to 1.
    pub(super) fn wait(&self, failures: u32, random: f64) -> Duration {
        let longest = self.wait_first.saturating_mul(1 << failures.min(16)).min(self.wait_most);
        Duration::try_from_secs_f64(longest.as_secs_f64() * random).unwrap_or(longest)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_with_each_failure_and_is_a_random_part_of_that() {
        let timing = Timing::default();
        let wait = |failures, random| timing.wait(failures, random).as_millis();
        assert_eq!(
            [0, 1, 2, 5, 6, u32::MAX].map(|failures| wait(failures, 1.0)),
            [200, 400, 800, 6400, 10_000, 10_000]
        );
        assert_eq!((wait(2, 0.5), wait(2, 0.0)), (400, 0));
        let never = Timing { wait_first: Duration::MAX, wait_most: Duration::MAX, ..timing };
        assert_eq!(never.wait(3, 1.0), Duration::MAX);
    }
}
