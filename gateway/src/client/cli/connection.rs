//! The options that every command has: which gateway, as whom, and why it is believed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    client::{Client, ClientCertificate, Config, Error, Transport, Trust},
    id::NodeId,
    realm::RealmName,
};

#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Host and port of the gateway
    #[arg(long, default_value = "localhost:9443", value_name = "HOST:PORT")]
    pub address: String,
    /// Realm to enter
    #[arg(long, env = "GATEWAY_REALM", default_value = "be.cortexiq.energy")]
    pub realm: RealmName,
    /// TLS over TCP instead of QUIC
    #[arg(long)]
    pub tcp: bool,
    /// PEM file with the certificate of the gateway, or of who signed it
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Believe whoever answers: for trials on your own machine
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
    /// PEM file with the client's own certificate chain
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Node id, 64 hexadecimal digits; random by default
    #[arg(long, value_parser = node_id)]
    pub node_id: Option<NodeId>,
}

impl Connection {
    /// What the client is told.
    ///
    /// # Errors
    /// Nothing says why the gateway is to be believed.
    pub fn config(&self) -> Result<Config> {
        let trust = match (&self.ca, self.insecure) {
            (Some(path), _) => Trust::Authority(path.clone()),
            (None, true) => Trust::Insecure,
            (None, false) => bail!(
                "nothing says which gateway to believe: give its certificate by --ca FILE, \
                 or --insecure for a trial on your own machine"
            ),
        };
        let mut config = Config::new(&self.address, self.realm.clone(), trust);
        config.transport = if self.tcp { Transport::Tcp } else { Transport::Quic };
        let pair = self.cert.clone().zip(self.key.clone());
        config.certificate = pair.map(|(chain, key)| ClientCertificate { chain, key });
        config.node_id = self.node_id.unwrap_or(config.node_id);
        Ok(config)
    }

    /// # Errors
    /// There is no connection; the text says what to try.
    pub async fn connect(&self) -> Result<Client> {
        connect(self.config()?).await
    }
}

/// # Errors
/// There is no connection; the text says what to try.
pub async fn connect(config: Config) -> Result<Client> {
    let transport = config.transport;
    match Client::connect(config).await {
        Ok(client) => Ok(client),
        Err(error) => {
            let next = next_step(&error, transport);
            Err(error).context(next)
        }
    }
}

fn next_step(error: &Error, transport: Transport) -> &'static str {
    match error {
        Error::Connect { why, .. } if why.contains("certificate") => {
            "the gateway's certificate is not believed: is --ca its own, or of who signed it, and does it name this host?"
        }
        Error::Connect { .. } => match transport {
            Transport::Quic => {
                "no connection: does the gateway run, and does UDP pass? --tcp goes where it does not"
            }
            Transport::Tcp => "no connection: does the gateway run, and is its port right?",
        },
        Error::Disconnected { reason, .. } => match reason.as_str() {
            "unknown_realm" => "refused: another realm is named by --realm or GATEWAY_REALM",
            "identity" => {
                "refused: the realm asks for a certificate of this node, by --cert, --key and --node-id"
            }
            "draining" => "refused: this gateway is about to stop",
            _ => "refused by the gateway",
        },
        Error::Address { .. }
        | Error::File { .. }
        | Error::Tls(_)
        | Error::Lost(_)
        | Error::Closed
        | Error::Topic(_)
        | Error::Procedure { .. }
        | Error::TooLong { .. }
        | Error::TooMany { .. } => "cannot connect",
    }
}

fn node_id(text: &str) -> Result<NodeId, String> {
    let pair = |at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
    let id = bytes.and_then(|bytes| NodeId::of(&bytes));
    id.ok_or_else(|| "a node id has 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_64_hexadecimal_digits() {
        assert_eq!(node_id(&"0f".repeat(32)), Ok(NodeId([0x0f; 32])));
        for wrong in ["", "0f", &"0f".repeat(33), &"zz".repeat(32), &"é".repeat(32)] {
            assert!(node_id(wrong).is_err(), "{wrong}");
        }
    }
}
