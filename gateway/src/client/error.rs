//! The errors of a client: why it cannot do what its user asked for.

use std::{fmt, path::PathBuf};

use thiserror::Error;

use crate::wire::{
    message::{CallError, NotBytes},
    topic::TopicError,
};

/// Why a client cannot do what its user asked for. The text says what to do where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum Error {
    /// The address is not HOST:PORT.
    #[error("{address:?} is no gateway's address: {why}; it is like gateway.example:9443")]
    Address { address: String, why: String },
    /// A PEM file cannot be read, or does not hold what it should.
    #[error("cannot use the {what} {}: {why}", path.display())]
    File { what: &'static str, path: PathBuf, why: String },
    /// The cryptography for TLS is missing.
    #[error("cannot begin TLS: {0}")]
    Tls(String),
    /// Nobody answers at the address, or not as a gateway that the client trusts.
    #[error("cannot connect to {address} over {transport}: {why}")]
    Connect { address: String, transport: &'static str, why: String },
    /// The gateway said goodbye. `reason` is the protocol's word.
    #[error("the gateway said {reason}{}{message}", if message.is_empty() { "" } else { ": " })]
    Disconnected { reason: String, message: String },
    /// The connection was lost; the client connects again.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The user closed the client.
    #[error("the client was closed")]
    Closed,
    /// A text is no topic or pattern.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A text is no name of a procedure.
    #[error("{procedure:?} is no procedure: {why}")]
    Procedure { procedure: String, why: &'static str },
    /// A payload does not fit into a frame.
    #[error("{bytes} bytes are too many for one message: {most} are allowed")]
    TooLong { bytes: usize, most: usize },
    /// The client has as many of them as a gateway allows.
    #[error("too many {what}: {most} are allowed")]
    TooMany { what: &'static str, most: usize },
}

impl Error {
    /// Whether another attempt with the same configuration would end the same way.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Disconnected { reason, .. } => matches!(
                reason.as_str(),
                "unknown_realm" | "forbidden" | "identity" | "protocol" | "limit" | "replaced"
            ),
            Self::Connect { .. } | Self::Lost(_) => false,
            Self::Address { .. }
            | Self::File { .. }
            | Self::Tls(_)
            | Self::Closed
            | Self::Topic(_)
            | Self::Procedure { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. } => true,
        }
    }

    /// The error of a QUIC connection that was closed with an application's error code, where the DISCONNECT was lost.
    pub(super) fn of_close_code(code: u64, message: &[u8]) -> Self {
        let reason = match code {
            0x00 => "normal",
            0x02 => "protocol",
            0x03 => "unknown_realm",
            0x04 => "identity",
            0x05 => "forbidden",
            0x06 => "limit",
            0x07 => "slow",
            0x08 => "replaced",
            0x09 => "draining",
            0x0a => "timeout",
            _ => "error",
        };
        let message = String::from_utf8_lossy(message).into_owned();
        Self::Disconnected { reason: reason.to_owned(), message }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// An error with a code of the handler's own, and a text for people.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The error of a handler that failed.
    pub fn handler(message: impl Into<String>) -> Self {
        Self::new("handler_error", message)
    }
}

impl From<NotBytes> for CallError {
    /// The error of a handler that needs bytes and got another value.
    fn from(error: NotBytes) -> Self {
        Self::handler(error.to_string())
    }
}

impl From<Error> for CallError {
    /// The error of a call that was not sent, or whose connection was lost.
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::TooMany { .. } => "busy",
            Error::Connect { .. } | Error::Disconnected { .. } | Error::Lost(_) | Error::Closed => {
                "peer_disconnected"
            }
            Error::Address { .. }
            | Error::File { .. }
            | Error::Tls(_)
            | Error::Topic(_)
            | Error::Procedure { .. }
            | Error::TooLong { .. } => "invalid_call",
        };
        Self::new(code, error.to_string())
    }
}
