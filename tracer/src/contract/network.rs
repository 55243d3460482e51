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
    /// IP address, of a link with the number of its interface: `fe80::1%2`. Or the path of a unix socket; abstract names
    /// begin with @.
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// With the zone of RFC 4007, without which a link-local address names nobody.
fn with_zone(socket: &SocketAddr) -> String {
    match socket {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => socket.ip().to_string(),
    }
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
                    address: with_zone(socket),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_link_says_of_which() {
        let check = |socket: &str, expected: &str| {
            let network = Network::of(Side::Peer, &Address::Inet(socket.parse().unwrap()), None);
            let peer = network.peer.unwrap();
            assert_eq!((peer.address.as_str(), peer.port), (expected, Some(80)));
        };
        check("[fe80::1%2]:80", "fe80::1%2");
        check("[fe80::1]:80", "fe80::1");
        check("[2001:db8::1]:80", "2001:db8::1");
        check("10.0.0.7:80", "10.0.0.7");
    }
}
