//! What the protocols of all peers have in common: a client opens, subscribes or serves, and whole messages come out of the
//! bytes that arrive, without a copy. It knows no socket.

use crate::heard::{PROCEDURE, Parsed, TOPIC};
use crate::{macula, mqtt, nats};

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Macula,
    Nats,
    Mqtt,
}

impl Wire {
    /// The first bytes of client `number`.
    pub fn open(self, number: u16) -> Vec<u8> {
        match self {
            Self::Macula => macula::open(number),
            Self::Nats => nats::open(),
            Self::Mqtt => mqtt::open(number),
        }
    }

    pub fn subscribe(self) -> Vec<u8> {
        match self {
            Self::Macula => macula::subscribe(),
            Self::Nats => nats::subscribe(TOPIC),
            Self::Mqtt => mqtt::subscribe(),
        }
    }

    /// Asks for `Heard::Ready` once everything before it was taken.
    pub fn flush(self) -> Vec<u8> {
        match self {
            Self::Macula => macula::ping(),
            Self::Nats => nats::PING.to_vec(),
            Self::Mqtt => mqtt::PINGREQ.to_vec(),
        }
    }

    pub fn publish(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::Macula => macula::publish(body),
            Self::Nats => nats::publish(body),
            Self::Mqtt => mqtt::publish(body),
        }
    }

    /// From now on calls come here. `None`: the protocol knows no calls.
    pub fn serve(self) -> Option<Vec<u8>> {
        match self {
            Self::Macula => Some(macula::serve()),
            Self::Nats => Some(nats::subscribe(PROCEDURE)),
            Self::Mqtt => None,
        }
    }

    /// From now on replies come here. `None`: they come anyway.
    pub fn await_replies(self) -> Option<Vec<u8>> {
        match self {
            Self::Nats => Some(nats::subscribe(nats::INBOXES)),
            Self::Macula | Self::Mqtt => None,
        }
    }

    /// Adds a call with a number of its own.
    pub fn call(self, out: &mut Vec<u8>, number: u64, body: &[u8]) {
        match self {
            Self::Macula => macula::call(out, number, body),
            Self::Nats => nats::call(out, number, body),
            Self::Mqtt => {}
        }
    }

    /// Adds the answer to a call.
    pub fn reply(self, out: &mut Vec<u8>, reply_to: &[u8], body: &[u8]) {
        match self {
            Self::Macula => macula::reply(out, reply_to, body),
            Self::Nats => nats::reply(out, reply_to, body),
            Self::Mqtt => {}
        }
    }

    /// The first whole thing in what has arrived.
    ///
    /// # Errors
    /// It is none of the protocol, or the server refuses something.
    pub fn parse(self, bytes: &[u8]) -> Parsed<'_> {
        match self {
            Self::Macula => macula::parse(bytes),
            Self::Nats => nats::parse(bytes),
            Self::Mqtt => mqtt::parse(bytes),
        }
    }
}
