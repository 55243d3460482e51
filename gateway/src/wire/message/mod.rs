//! The messages of the protocol. Plain data; `decode` reads them from frames, `encode` writes them to frames.

mod call_error;
mod decode;
mod encode;
pub(crate) mod pack;
mod term;

use bytes::Bytes;

use crate::wire::{
    frame::Kind,
    id::{CallId, MessageId, NodeId},
    topic::{self, Pattern, Topic},
};

pub use call_error::CallError;
pub use decode::{DecodeError, Unread, decode, incoming};
pub use encode::encode;
pub use pack::{DEEPEST, PackError, Value};
pub use term::{NotBytes, Term};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Connect(Connect),
    Disconnect(Disconnect),
    Ping(Ping),
    Pong(Pong),
    Publish(Publish),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Call(Call),
    Reply(Reply),
    Cast(Cast),
    RegisterProcedure(RegisterProcedure),
    /// A type that the gateway does not serve, maybe one that the protocol does not name: its payload is not read.
    Unserved(Kind),
}

/// The capability of a client that wants to be disconnected where a message would be passed over.
pub const STRICT: &str = "strict";

/// The first frame of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub version: String,
    pub node_id: NodeId,
    pub realm_id: RealmId,
    pub capabilities: Vec<String>,
    /// A proof of the client's identity, for gateways that ask for one.
    pub token: Option<Bytes>,
}

/// How a client names its realm: in words, or by the SHA-256 of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealmId {
    Name(String),
    Sha256([u8; 32]),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// `normal`, `error`, `timeout`, `draining`, `replaced`, `unknown_realm` and others.
    pub reason: String,
    /// A text for people.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The time of the sender's clock, in milliseconds since 1970.
    pub timestamp: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The timestamp of the PING.
    pub timestamp: u64,
    /// The time of the answering clock, in milliseconds since 1970; 0 where it is no such time. Nobody needs it.
    pub server_time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub topic: Topic,
    pub payload: Bytes,
    /// Passed on to the subscribers. Delivery is at most once, for every value.
    pub qos: Qos,
    /// Whether the message is kept for later subscribers.
    pub retain: bool,
    /// As long as the publisher chose, and empty where there is none; this gateway makes ids of 16 bytes.
    pub message_id: MessageId,
}

/// A message of a client, as the gateway handles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Publication(Publication),
    Message(Message),
    Unread(Unread),
}

/// A publish on its way through the gateway: what decides who gets it, and the frame that receivers get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub topic: Topic,
    pub retain: bool,
    /// The message has no payload: the topic's retained message is removed.
    pub is_empty: bool,
    pub frame: Bytes,
}

impl From<Publish> for Publication {
    fn from(publish: Publish) -> Self {
        Self {
            topic: publish.topic.clone(),
            retain: publish.retain,
            is_empty: publish.payload.is_empty(),
            frame: encode(&Message::Publish(publish)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos {
    #[default]
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub topics: Vec<Pattern>,
    pub qos: Qos,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    pub topics: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub procedure: Procedure,
    pub args: Term,
    pub call_id: CallId,
    /// Milliseconds.
    pub timeout: Option<u64>,
}

/// The name of a procedure; as long as a topic may be, and any text without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Procedure(pub String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub call_id: CallId,
    pub outcome: Result<Term, CallError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    pub procedure: Procedure,
    pub args: Term,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterProcedure {
    pub procedure: Procedure,
}

impl Procedure {
    /// # Errors
    /// The text is no name of a procedure.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        if name.is_empty() {
            return Err("it is empty");
        }
        if name.len() > topic::LONGEST {
            return Err("it is longer than 1024 bytes");
        }
        if name.chars().any(char::is_control) {
            return Err("it has a control character in it");
        }
        Ok(Self(name.to_owned()))
    }
}

impl Qos {
    pub fn of(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

impl Message {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect(_) => Kind::Connect,
            Self::Disconnect(_) => Kind::Disconnect,
            Self::Ping(_) => Kind::Ping,
            Self::Pong(_) => Kind::Pong,
            Self::Publish(_) => Kind::Publish,
            Self::Subscribe(_) => Kind::Subscribe,
            Self::Unsubscribe(_) => Kind::Unsubscribe,
            Self::Call(_) => Kind::Call,
            Self::Reply(_) => Kind::Reply,
            Self::Cast(_) => Kind::Cast,
            Self::RegisterProcedure(_) => Kind::RegisterProcedure,
            Self::Unserved(kind) => *kind,
        }
    }
}

#[cfg(test)]
mod tests;
