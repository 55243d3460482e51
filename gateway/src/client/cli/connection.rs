//! The options that every command has: which gateway, as which node, and how the client verifies the gateway.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, anyhow, bail};
use clap::Args;

use crate::{
    client::{Client, Config, Error, Transport, Trust},
    wire::{id::NodeId, realm::RealmName},
};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The gateway
    #[arg(short, long, env = "GATEWAY_SERVER", default_value = "localhost:9443")]
    #[arg(value_name = "HOST:PORT", alias = "address")]
    pub server: String,
    /// Realm to enter
    #[arg(long, env = "GATEWAY_REALM", default_value = "be.cortexiq.energy")]
    pub realm: RealmName,
    /// PEM file with the certificate of the gateway, or of who signed it
    #[arg(long, env = "GATEWAY_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Believe whoever answers: for trials on your own machine
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
    /// PEM file with the client's own certificate and its chain
    #[arg(long, env = "GATEWAY_CERT", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, env = "GATEWAY_KEY", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Node id, 64 hexadecimal digits [default: the certificate's, or random]
    #[arg(long, value_parser = node_id, conflicts_with = "cert")]
    pub node_id: Option<NodeId>,
    /// TLS over TCP instead of QUIC
    #[arg(long)]
    pub tcp: bool,
    /// Wait so long for the gateway to answer
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::seconds)]
    pub connect_timeout: Duration,
}

impl Connection {
    /// The configuration of the client.
    ///
    /// # Errors
    /// The options do not say how to verify the gateway, or the certificate names no node.
    pub fn config(&self) -> Result<Config> {
        let trust = match (&self.ca, self.insecure) {
            (Some(path), _) => Trust::Authority(path.clone()),
            (None, true) => Trust::Insecure,
            (None, false) => bail!(
                "nothing says which gateway to believe: give its certificate by --ca FILE or GATEWAY_CA, \
                 or --insecure for a trial on your own machine"
            ),
        };
        let mut config = Config::new(&self.server, self.realm.clone(), trust);
        config.transport = if self.tcp { Transport::Tcp } else { Transport::Quic };
        config.timing.connect_within = self.connect_timeout;
        config.node_id = self.node_id.unwrap_or(config.node_id);
        match (&self.cert, &self.key) {
            (Some(chain), Some(key)) => Ok(config.with_certificate(chain, key)?),
            (None, _) | (_, None) => Ok(config),
        }
    }

    /// # Errors
    /// The client cannot connect; the text says what to try.
    pub async fn connect(&self) -> Result<Client> {
        connect(self.config()?).await
    }
}

/// # Errors
/// The client cannot connect; the text says what to try.
pub async fn connect(config: Config) -> Result<Client> {
    let (transport, has_certificate) = (config.transport, config.certificate.is_some());
    Client::connect(config).await.map_err(|error| {
        match next_step(&error, transport, has_certificate) {
            Some(next) => anyhow!("{error}; {next}"),
            None => error.into(),
        }
    })
}

fn next_step(error: &Error, transport: Transport, has_certificate: bool) -> Option<&'static str> {
    // The words of quinn and rustls for an alert of the other side.
    let is_alert = |why: &str| why.contains("aborted by peer") || why.contains("fatal alert");
    match error {
        Error::Connect { why, .. } if has_certificate && is_alert(why) => {
            Some("is --cert signed by an authority of the gateway's --client-ca, and still valid?")
        }
        Error::Connect { why, .. } if why.contains("certificate") => Some(
            "is --ca its certificate, or that of who signed it, and does it name this host? \
             For a trial on your own machine: --insecure",
        ),
        Error::Connect { why, .. } if why.contains("refused") => {
            Some("does the gateway run, and is the port of --server right?")
        }
        Error::Connect { .. } => match transport {
            Transport::Quic => {
                Some("does the gateway run, and does UDP pass? --tcp goes where it does not")
            }
            Transport::Tcp => Some("does the gateway run, and is --server right?"),
        },
        Error::Disconnected { reason, .. } => match reason.as_str() {
            "unknown_realm" => Some("name another realm by --realm or GATEWAY_REALM"),
            "identity" => {
                Some("the realm asks for a certificate of a node of it, by --cert and --key")
            }
            "draining" => Some("this gateway is about to stop: ask another, or later"),
            _ => None,
        },
        Error::Address { .. }
        | Error::File { .. }
        | Error::Tls(_)
        | Error::Lost(_)
        | Error::Closed
        | Error::Topic(_)
        | Error::Procedure { .. }
        | Error::TooLong { .. }
        | Error::TooMany { .. } => None,
    }
}

fn node_id(text: &str) -> Result<NodeId, String> {
    NodeId::from_hex(text).ok_or_else(|| "a node id has 64 hexadecimal digits".to_owned())
}
