//! What the gateway passes over: messages that it cannot serve, but that harm nobody. What follows for the client is not
//! known here.

use std::fmt;

use crate::wire::{frame::Kind, id::NodeId, message::DecodeError};

/// Why a message is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// The gateway does not serve messages of this type.
    Type(Kind),
    /// The payload is not the message of its type.
    Unreadable(Kind, DecodeError),
    /// A CONNECT after the first.
    Connect,
    Forbidden {
        what: &'static str,
        name: String,
    },
}

impl PassedOver {
    /// The label `reason` in the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Type(kind) => of_type(kind.code()),
            Self::Unreadable(_, DecodeError::Topic { .. }) => "topic",
            Self::Unreadable(
                _,
                DecodeError::Pack { .. }
                | DecodeError::Missing { .. }
                | DecodeError::Length { .. }
                | DecodeError::TooLong { .. }
                | DecodeError::TooMany { .. }
                | DecodeError::NoOutcome
                | DecodeError::Procedure(_),
            ) => "unreadable",
            Self::Connect => "connect",
            Self::Forbidden { .. } => "forbidden",
        }
    }
}

/// The types that the protocol knows; a label for each other type would be as many as clients want.
fn of_type(code: u8) -> &'static str {
    match code {
        0x27 => "type_0x27",
        0x28 => "type_0x28",
        0x29 => "type_0x29",
        0x2a => "type_0x2a",
        0x2b => "type_0x2b",
        0x30 => "type_0x30",
        0x31 => "type_0x31",
        0x32 => "type_0x32",
        0x40 => "type_0x40",
        0x41 => "type_0x41",
        0x42 => "type_0x42",
        0x43 => "type_0x43",
        _ => "type_other",
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "type 0x{:02x} is not served", kind.code()),
            Self::Unreadable(kind, error) => write!(f, "{} cannot be read: {error}", kind.name()),
            Self::Connect => f.write_str("a connect came twice"),
            Self::Forbidden { what, name } => write!(f, "{what} {name} is not permitted"),
        }
    }
}

/// The first message of a client that was passed over, which is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstPassedOver {
    pub node: NodeId,
    pub what: String,
}
