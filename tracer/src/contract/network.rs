//! Socket addresses, by OpenTelemetry's `network.*` names.

use std::net::SocketAddr;

use super::{fields::Fields, names};
use crate::event::{Address, Protocol};

/// Whose address it is.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Local,
    Peer,
}

/// `network`, with what is known of transport, family and address.
pub(super) fn network(
    fields: &mut Fields,
    side: Side,
    address: &Address,
    protocol: Option<Protocol>,
) {
    let side = match side {
        Side::Local => "local",
        Side::Peer => "peer",
    };
    fields.object("network", |network| {
        if let Some(transport) = protocol.and_then(names::transport) {
            network.put("transport", transport);
        }
        match address {
            Address::None => {}
            Address::Inet(socket) => {
                let (version, family) = match socket {
                    SocketAddr::V4(_) => ("ipv4", 2),
                    SocketAddr::V6(_) => ("ipv6", 10),
                };
                network.put("type", version).put("family", names::family(family)).object(
                    side,
                    |end| {
                        end.put("address", socket.ip().to_string()).put("port", socket.port());
                    },
                );
            }
            Address::Unix(path) => {
                network.put("transport", "unix").put("family", names::family(1)).object(
                    side,
                    |end| {
                        end.text("address", path);
                    },
                );
            }
            Address::Netlink => {
                network.put("family", names::family(16));
            }
            Address::Family(number) => {
                network.put("family", names::family(u32::from(*number)));
            }
        }
    });
}
