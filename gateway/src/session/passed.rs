//! What the gateway passes over: messages that it cannot serve, but that harm nobody. A client that was disconnected for one
//! would connect and send it again. Each is counted and uses the client's allowance; the first of a client is logged.

use std::fmt;

use super::{Action, Close, Realm, refusal, send};
use crate::{
    router::ClientId,
    session::Now,
    wire::{
        frame::Kind,
        id::NodeId,
        message::{CallError, DecodeError, Reply, Unread},
    },
};

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

/// The most characters that are logged.
const LONGEST: usize = 256;

impl Realm {
    /// Passes over a message; returns the units that it uses.
    ///
    /// # Errors
    /// The client is strict: its connection must be closed.
    pub fn pass_over(
        &mut self,
        from: ClientId,
        what: PassedOver,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let Some(Some(client)) = self.clients.get_mut(from.index()) else { return Ok(1) };
        if client.strict {
            return Err(Close::Strict(what));
        }
        let first = !std::mem::replace(&mut client.was_passed_over, true);
        let shortened = || what.to_string().chars().take(LONGEST).collect();
        let first = first.then(|| FirstPassedOver { node: client.node, what: shortened() });
        out.push(Action::PassedOver(what.reason(), first));
        Ok(1)
    }

    /// Passes over a message that cannot be read. A client that waits for an answer to it gets one.
    ///
    /// # Errors
    /// The client is strict: its connection must be closed.
    pub fn pass_over_unread(
        &mut self,
        from: ClientId,
        unread: Unread,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let Unread { kind, error, call_id } = unread;
        if let Some(call_id) = call_id {
            let message = format!("{} cannot be read: {error}", kind.name());
            if kind == Kind::Call {
                send(from, &refusal(call_id, "invalid_call", message, out), out);
            } else {
                let outcome = Err(CallError { code: "handler_error".to_owned(), message });
                self.reply(from, Reply { call_id, outcome }, now, out);
            }
        }
        self.pass_over(from, PassedOver::Unreadable(kind, error), out)
    }
}
