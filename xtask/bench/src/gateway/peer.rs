//! Who is measured, and with what. It is pure, and does not know how any is started.

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    GatewayTcp,
    GatewayQuic,
    /// Over TLS.
    Nats,
    /// MQTT 3.1.1 over TLS, qos 0.
    Mosquitto,
    /// Its router, over QUIC.
    Zenoh,
    /// A stream of quinn's from one process to another.
    Quinn,
}

impl Peer {
    /// Whether it is measured with calls.
    pub fn answers(self) -> bool {
        match self {
            Self::GatewayTcp | Self::GatewayQuic | Self::Nats | Self::Zenoh => true,
            Self::Mosquitto | Self::Quinn => false,
        }
    }

    /// By what its messages are divided, so that a cell takes seconds with it too.
    pub fn slower(self) -> u64 {
        match self {
            Self::Mosquitto => 4,
            Self::GatewayTcp | Self::GatewayQuic | Self::Nats | Self::Zenoh | Self::Quinn => 1,
        }
    }

    pub fn is_gateway(self) -> bool {
        matches!(self, Self::GatewayTcp | Self::GatewayQuic)
    }
}
