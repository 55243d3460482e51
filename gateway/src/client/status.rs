//! What a client reports of itself: its connection and its losses. Plain data.

use super::Error;

/// Whether there is a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is a connection.
    Connected,
    /// There is no connection now.
    Reconnecting {
        /// How many attempts failed since the last good connection.
        failures: u32,
        /// Why the connection was lost, or why the last attempt failed.
        why: Error,
    },
    /// There is no connection, and there will be none.
    Closed(Error),
}

impl Status {
    /// Whether the client has ended for good.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Connected | Self::Reconnecting { .. } => false,
        }
    }
}

/// How much did not reach its receiver within this client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Messages for subscriptions that were full.
    pub messages: u64,
    /// Casts that came while as many handlers ran as may, or to a procedure that is not offered here.
    pub casts: u64,
    /// Messages of the gateway that cannot be read, or have a type that the client does not know.
    pub passed_over: u64,
}
