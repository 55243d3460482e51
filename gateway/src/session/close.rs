//! The reasons for which a connection ends, with the texts and codes that the client gets: in a DISCONNECT, and as QUIC's
//! application error code. docs/gateway.md has the table.

use thiserror::Error;

use super::PassedOver;
use crate::wire::{
    frame::FrameError,
    message::{DecodeError, Disconnect},
};

/// The most characters of the text that a client gets.
const LONGEST: usize = 256;

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Close {
    #[error("the client said goodbye: {0}")]
    ByClient(String),
    #[error("the client ended its stream")]
    Ended,
    #[error("realm {0} is not served here")]
    UnknownRealm(String),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{kind} cannot be read: {error}")]
    Message { kind: &'static str, error: DecodeError },
    #[error("the first frame must be a connect")]
    NotConnected,
    #[error("the handshake names no protocol: ALPN macula is wanted")]
    NoProtocol,
    #[error("version {0:?} is not spoken here: 1.0 is")]
    Version(String),
    #[error("the certificate is not of this node and realm: {0}")]
    Identity(String),
    /// The client is strict: it wants to be disconnected where other messages would be passed over.
    #[error("{0}")]
    Strict(PassedOver),
    #[error("{what}: {most} are allowed")]
    TooMany { what: &'static str, most: usize },
    #[error("another connection of this node has taken its place")]
    Replaced,
    #[error("the gateway stops: connect to another")]
    Draining,
    #[error("it reads too slowly: {0} messages were dropped")]
    Slow(u64),
    #[error("nothing came in {0} seconds")]
    Idle(u64),
    #[error("the gateway has no memory left for this client")]
    Memory,
}

impl Close {
    /// QUIC's application error code.
    pub fn code(&self) -> u32 {
        match self {
            Self::ByClient(_) | Self::Ended => 0x00,
            Self::Frame(_) | Self::Message { .. } => 0x01,
            Self::NotConnected | Self::NoProtocol | Self::Version(_) => 0x02,
            Self::UnknownRealm(_) => 0x03,
            Self::Identity(_) => 0x04,
            Self::Strict(PassedOver::Type(_) | PassedOver::Unreadable(..)) => 0x01,
            Self::Strict(PassedOver::Connect) => 0x02,
            Self::Strict(PassedOver::Forbidden { .. }) => 0x05,
            Self::TooMany { .. } => 0x06,
            Self::Slow(_) => 0x07,
            Self::Replaced => 0x08,
            Self::Draining => 0x09,
            Self::Idle(_) => 0x0a,
            Self::Memory => 0x0b,
        }
    }

    /// `reason` of the DISCONNECT, and the label in the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ByClient(_) | Self::Ended => "normal",
            Self::Frame(_) | Self::Message { .. } => "error",
            Self::NotConnected | Self::NoProtocol | Self::Version(_) => "protocol",
            Self::UnknownRealm(_) => "unknown_realm",
            Self::Identity(_) => "identity",
            Self::Strict(PassedOver::Type(_) | PassedOver::Unreadable(..)) => "error",
            Self::Strict(PassedOver::Connect) => "protocol",
            Self::Strict(PassedOver::Forbidden { .. }) => "forbidden",
            Self::TooMany { .. } => "limit",
            Self::Slow(_) => "slow",
            Self::Replaced => "replaced",
            Self::Draining => "draining",
            Self::Idle(_) => "timeout",
            Self::Memory => "memory",
        }
    }

    /// Whether the client itself ended the connection.
    pub fn is_wish_of_client(&self) -> bool {
        match self {
            Self::ByClient(_) | Self::Ended => true,
            Self::UnknownRealm(_)
            | Self::Frame(_)
            | Self::Message { .. }
            | Self::NotConnected
            | Self::NoProtocol
            | Self::Version(_)
            | Self::Identity(_)
            | Self::Strict(_)
            | Self::TooMany { .. }
            | Self::Replaced
            | Self::Draining
            | Self::Slow(_)
            | Self::Idle(_)
            | Self::Memory => false,
        }
    }

    /// Whether the same client would be refused again for the same reason, as soon as it connects.
    pub fn would_recur(&self) -> bool {
        match self {
            Self::UnknownRealm(_) | Self::Version(_) | Self::Identity(_) => true,
            Self::ByClient(_)
            | Self::Ended
            | Self::Frame(_)
            | Self::Message { .. }
            | Self::NotConnected
            | Self::NoProtocol
            | Self::Strict(_)
            | Self::TooMany { .. }
            | Self::Replaced
            | Self::Draining
            | Self::Slow(_)
            | Self::Idle(_)
            | Self::Memory => false,
        }
    }

    /// The DISCONNECT for the client. Its text may quote the client, whose words may fill a frame, and is cut.
    pub fn disconnect(&self) -> Disconnect {
        let message = self.to_string().chars().take(LONGEST).collect();
        Disconnect { reason: self.reason().to_owned(), message }
    }
}
