//! Socket addresses, by OpenTelemetry's `network.*` names.

use std::{borrow::Cow, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{names, text::text};
use crate::capture::event::{Address, Protocol};

/// What is known of transport, family and address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `tcp`, `udp`, `unix`, or `ipproto_N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Cow<'static, str>>,
    /// `ipv4` or `ipv6`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'static, str>>,
    /// `AF_INET`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Endpoint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_b64: Option<String>,
    /// IP address, or the path of a unix socket; abstract names begin with @.
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Whose address it is.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Local,
    Peer,
}

impl Network {
    pub(super) fn of(side: Side, address: &Address, protocol: Option<Protocol>) -> Self {
        let transport = protocol.and_then(names::transport);
        match address {
            Address::None => Self { transport, ..Self::default() },
            Address::Inet(socket) => {
                let (version, family) = match socket {
                    SocketAddr::V4(_) => ("ipv4", 2),
                    SocketAddr::V6(_) => ("ipv6", 10),
                };
                let end = Endpoint {
                    address_b64: None,
                    address: socket.ip().to_string(),
                    port: Some(socket.port()),
                };
                let version = Some(version.into());
                let of = Self { transport, version, ..Self::family(family) };
                of.with(side, end)
            }
            Address::Unix(path) => {
                let (address_b64, address) = text(path);
                let of = Self { transport: Some("unix".into()), ..Self::family(1) };
                of.with(side, Endpoint { address_b64, address, port: None })
            }
            Address::Netlink => Self { transport, ..Self::family(16) },
            Address::Family(number) => Self { transport, ..Self::family(u32::from(*number)) },
        }
    }

    fn family(number: u32) -> Self {
        Self { family: Some(names::family(number)), ..Self::default() }
    }

    fn with(self, side: Side, end: Endpoint) -> Self {
        match side {
            Side::Local => Self { local: Some(end), ..self },
            Side::Peer => Self { peer: Some(end), ..self },
        }
    }
}
