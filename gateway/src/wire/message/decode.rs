//! Frames to messages. A payload is accepted or refused as a whole, and no payload causes a panic. Decoding is lenient: an
//! optional key may be missing, and one with a value of another type counts as missing.

use bytes::Bytes;
use thiserror::Error;

use super::{
    Call, Cast, Connect, Disconnect, Incoming, Message, PackError, Ping, Pong, Procedure,
    Publication, Publish, Qos, RealmId, RegisterProcedure, Reply, Subscribe, Term, Unsubscribe,
    call_error::call_error, pack::Reader,
};
use crate::wire::{
    frame::{Frame, Kind},
    id::{CallId, FreshIds, MessageId, NodeId},
    topic::{Pattern, Topic, TopicError},
};

/// The most keys of a message, unknown ones included.
const MOST_KEYS: usize = 64;
/// The most topics in one subscription, or capabilities of one client.
const MOST_VALUES: usize = 1024;

/// Why a payload is not the message that its frame announces.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("{key}: {error}")]
    Pack { key: &'static str, error: PackError },
    #[error("{key} is missing")]
    Missing { key: &'static str },
    #[error("{key} has {found} bytes, {wanted} are wanted")]
    Length { key: &'static str, found: usize, wanted: usize },
    #[error("{key} has {found} bytes, {most} are allowed")]
    TooLong { key: &'static str, found: usize, most: usize },
    #[error("{key}: {error}")]
    Topic { key: &'static str, error: TopicError },
    #[error("{key} has {found} values, {most} are allowed")]
    TooMany { key: &'static str, found: usize, most: usize },
    #[error("a reply has neither a result nor an error")]
    NoOutcome,
    #[error("procedure: {0}")]
    Procedure(&'static str),
}

/// A frame whose payload is not the message of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub kind: Kind,
    pub error: DecodeError,
    /// The id under which the sender waits for an answer, if the id could be read.
    pub call_id: Option<CallId>,
}

/// Decodes the message of a frame.
///
/// # Errors
/// Its payload is not the message of its type.
pub fn decode(frame: &Frame) -> Result<Message, DecodeError> {
    Ok(match frame.kind {
        Kind::Connect => Message::Connect(connect(frame)?),
        Kind::Disconnect => Message::Disconnect(disconnect(frame)?),
        Kind::Ping => Message::Ping(ping(frame)?),
        Kind::Pong => Message::Pong(pong(frame)?),
        Kind::Publish => Message::Publish(publish(frame)?),
        Kind::Subscribe => Message::Subscribe(subscribe(frame)?),
        Kind::Unsubscribe => Message::Unsubscribe(unsubscribe(frame)?),
        Kind::Call => Message::Call(call(frame)?),
        Kind::Reply => Message::Reply(reply(frame)?),
        Kind::Cast => Message::Cast(cast(frame)?),
        Kind::RegisterProcedure => Message::RegisterProcedure(register(frame)?),
        Kind::SwimPing
        | Kind::SwimAck
        | Kind::SwimPingReq
        | Kind::FindNode
        | Kind::FindNodeReply
        | Kind::Store
        | Kind::FindValue
        | Kind::Other(_) => Message::Unserved(frame.kind),
    })
}

/// Calls `read_value` with each key; `read_value` says whether it has read the value. Returns how many keys there are.
fn each_key<'a>(
    reader: &mut Reader<'a>,
    mut read_value: impl FnMut(&[u8], &mut Reader<'a>) -> Result<bool, DecodeError>,
) -> Result<usize, DecodeError> {
    let of_map = |error| DecodeError::Pack { key: "payload", error };
    let keys = reader.map().map_err(of_map)?;
    if keys > MOST_KEYS {
        return Err(DecodeError::TooMany { key: "payload", found: keys, most: MOST_KEYS });
    }
    for _ in 0..keys {
        let key = reader.bytes().map_err(of_map)?;
        if !read_value(key, reader)? {
            reader.skip().map_err(of_map)?;
        }
    }
    Ok(keys)
}

/// Calls `read_value` with each key of a whole payload.
fn fields<'a>(
    payload: &'a [u8],
    read_value: impl FnMut(&[u8], &mut Reader<'a>) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    each_key(&mut reader, read_value)?;
    at_end(&reader)
}

fn at_end(reader: &Reader<'_>) -> Result<(), DecodeError> {
    if reader.is_at_end() {
        return Ok(());
    }
    Err(DecodeError::Pack { key: "payload", error: PackError::Follows(reader.left()) })
}

fn of<T>(key: &'static str, read: Result<T, PackError>) -> Result<Option<T>, DecodeError> {
    read.map(Some).map_err(|error| DecodeError::Pack { key, error })
}

fn required<T>(key: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { key })
}

/// The value of an optional key.
fn optional<'a, T>(
    key: &'static str,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, PackError>,
) -> Result<Option<T>, DecodeError> {
    reader.if_it_is(read).map_err(|error| DecodeError::Pack { key, error })
}

fn text(reader: &mut Reader<'_>) -> Result<String, PackError> {
    reader.text().map(str::to_owned)
}

fn call_id(value: Option<&[u8]>) -> Result<CallId, DecodeError> {
    let bytes = required("call_id", value)?;
    CallId::of(bytes).ok_or(DecodeError::TooLong {
        key: "call_id",
        found: bytes.len(),
        most: CallId::MOST_BYTES,
    })
}

/// Nil where there is no value.
fn term(frame: &Frame, packed: Option<&[u8]>) -> Term {
    packed.map_or_else(Term::nil, |packed| Term::checked(frame.part(packed)))
}

fn values(key: &'static str, reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let found = reader.array().map_err(|error| DecodeError::Pack { key, error })?;
    if found > MOST_VALUES {
        return Err(DecodeError::TooMany { key, found, most: MOST_VALUES });
    }
    Ok(found)
}

fn connect(frame: &Frame) -> Result<Connect, DecodeError> {
    let (mut version, mut node, mut realm, mut token) = (None, None, None, None);
    let mut capabilities = Vec::new();
    fields(frame.payload(), |key, reader| {
        match key {
            b"version" => version = of("version", reader.text())?,
            b"node_id" => node = of("node_id", reader.bytes())?,
            b"realm_id" => realm = of("realm_id", reader.bytes())?,
            b"token" => {
                token = optional("token", reader, |it| it.bytes().map(Bytes::copy_from_slice))?;
            }
            b"capabilities" => {
                for _ in 0..values("capabilities", reader)? {
                    capabilities.extend(optional("capabilities", reader, text)?);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let realm = required("realm_id", realm)?;
    // A name is text, so 32 printable bytes are a name and not a hash.
    let is_name = |bytes: &[u8]| bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    let realm_id = match <[u8; 32]>::try_from(realm) {
        Ok(hash) if !is_name(&hash) => RealmId::Sha256(hash),
        Ok(_) | Err(_) => match str::from_utf8(realm) {
            Ok(name) => RealmId::Name(name.to_owned()),
            Err(_) => {
                return Err(DecodeError::Pack { key: "realm_id", error: PackError::NotText });
            }
        },
    };
    let node = required("node_id", node)?;
    let (found, wanted) = (node.len(), NodeId::BYTES);
    Ok(Connect {
        version: required("version", version)?.to_owned(),
        node_id: NodeId::of(node).ok_or(DecodeError::Length { key: "node_id", found, wanted })?,
        realm_id,
        capabilities,
        token,
    })
}

fn disconnect(frame: &Frame) -> Result<Disconnect, DecodeError> {
    let (mut reason, mut message) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"reason" => reason = optional("reason", reader, text)?,
            b"message" => message = optional("message", reader, text)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Disconnect { reason: reason.unwrap_or_default(), message: message.unwrap_or_default() })
}

fn ping(frame: &Frame) -> Result<Ping, DecodeError> {
    let mut timestamp = None;
    fields(frame.payload(), |key, reader| {
        match key {
            b"timestamp" => timestamp = of("timestamp", reader.number())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Ping { timestamp: required("timestamp", timestamp)? })
}

fn pong(frame: &Frame) -> Result<Pong, DecodeError> {
    let (mut timestamp, mut server_time) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"timestamp" => timestamp = optional("timestamp", reader, Reader::number)?,
            b"server_time" => server_time = optional("server_time", reader, Reader::number)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Pong {
        timestamp: timestamp.unwrap_or_default(),
        server_time: server_time.unwrap_or_default(),
    })
}

fn publish(frame: &Frame) -> Result<Publish, DecodeError> {
    PublishFields::read(frame)?.publish(frame)
}

/// Decodes a frame for the gateway. A publish keeps the bytes that came, if every macula peer reads them so; else it is
/// written again, with an id from `fresh` if its own id has not 16 bytes.
pub fn incoming(frame: &Frame, fresh: &mut FreshIds) -> Incoming {
    let read = if frame.kind == Kind::Publish {
        publication(frame, fresh).map(Incoming::Publication)
    } else {
        decode(frame).map(Incoming::Message)
    };
    let kind = frame.kind;
    read.unwrap_or_else(|error| {
        Incoming::Unread(Unread { kind, error, call_id: call_id_of(frame) })
    })
}

/// The id of a call or reply that cannot be read as a whole.
fn call_id_of(frame: &Frame) -> Option<CallId> {
    if frame.kind != Kind::Call && frame.kind != Kind::Reply {
        return None;
    }
    let mut id = None;
    // Errors behind the id do not matter.
    let _ = fields(frame.payload(), |key, reader| {
        let is_id = key == b"call_id";
        if is_id {
            id = of("call_id", reader.bytes())?.and_then(CallId::of);
        }
        Ok(is_id)
    });
    id
}

fn publication(frame: &Frame, fresh: &mut FreshIds) -> Result<Publication, DecodeError> {
    let fields = PublishFields::read(frame)?;
    if fields.is_plain {
        return Ok(Publication {
            topic: fields.topic(frame)?,
            retain: fields.retain,
            is_empty: fields.payload.is_empty(),
            frame: frame.whole().clone(),
        });
    }
    let mut publish = fields.publish(frame)?;
    if publish.message_id.bytes().len() != MessageId::BYTES {
        publish.message_id = fresh.next_id().into();
    }
    Ok(publish.into())
}

struct PublishFields<'a> {
    topic: &'a [u8],
    payload: &'a [u8],
    qos: Qos,
    retain: bool,
    message_id: &'a [u8],
    /// Each key is there once, no other key is, and all values have forms that every macula peer reads.
    is_plain: bool,
}

impl<'a> PublishFields<'a> {
    fn read(frame: &'a Frame) -> Result<Self, DecodeError> {
        let (mut topic, mut payload, mut qos, mut retain, mut message_id) =
            (None, None, None, None, None);
        let mut reader = Reader::new(frame.payload());
        let keys = each_key(&mut reader, |key, reader| {
            match key {
                b"topic" => topic = of("topic", reader.bytes())?,
                b"payload" => payload = of("payload", reader.bytes())?,
                b"qos" => qos = optional("qos", reader, Reader::number)?.and_then(Qos::of),
                b"retain" => retain = optional("retain", reader, Reader::boolean)?,
                b"message_id" => message_id = optional("message_id", reader, Reader::bytes)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        at_end(&reader)?;
        let has_all = qos.is_some() && retain.is_some();
        let message_id = message_id.unwrap_or_default();
        let has_id = message_id.len() == MessageId::BYTES;
        Ok(Self {
            topic: required("topic", topic)?,
            payload: required("payload", payload)?,
            qos: qos.unwrap_or_default(),
            retain: retain.unwrap_or_default(),
            message_id,
            is_plain: keys == 5 && has_all && has_id && reader.is_plain() && frame.is_plain(),
        })
    }

    fn publish(&self, frame: &Frame) -> Result<Publish, DecodeError> {
        Ok(Publish {
            topic: self.topic(frame)?,
            payload: frame.part(self.payload),
            qos: self.qos,
            retain: self.retain,
            // An id that is too long to be kept is as good as none.
            message_id: MessageId::of(self.message_id).unwrap_or_default(),
        })
    }

    fn topic(&self, frame: &Frame) -> Result<Topic, DecodeError> {
        Topic::new(frame.part(self.topic))
            .map_err(|error| DecodeError::Topic { key: "topic", error })
    }
}

fn patterns(frame: &Frame, reader: &mut Reader<'_>) -> Result<Vec<Pattern>, DecodeError> {
    let count = values("topics", reader)?;
    let mut patterns = Vec::with_capacity(count);
    for _ in 0..count {
        let text = reader.bytes().map_err(|error| DecodeError::Pack { key: "topics", error })?;
        let pattern = Pattern::new(frame.part(text));
        patterns.push(pattern.map_err(|error| DecodeError::Topic { key: "topics", error })?);
    }
    Ok(patterns)
}

fn subscribe(frame: &Frame) -> Result<Subscribe, DecodeError> {
    let (mut topics, mut qos) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"topics" => topics = Some(patterns(frame, reader)?),
            b"qos" => qos = optional("qos", reader, Reader::number)?.and_then(Qos::of),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Subscribe { topics: required("topics", topics)?, qos: qos.unwrap_or_default() })
}

fn unsubscribe(frame: &Frame) -> Result<Unsubscribe, DecodeError> {
    let mut topics = None;
    fields(frame.payload(), |key, reader| {
        match key {
            b"topics" => topics = Some(patterns(frame, reader)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Unsubscribe { topics: required("topics", topics)? })
}

fn procedure(name: Option<&str>) -> Result<Procedure, DecodeError> {
    Procedure::new(required("procedure", name)?).map_err(DecodeError::Procedure)
}

fn call(frame: &Frame) -> Result<Call, DecodeError> {
    let (mut name, mut args, mut id, mut timeout) = (None, None, None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"procedure" => name = of("procedure", reader.text())?,
            b"args" => args = of("args", reader.packed())?,
            b"call_id" => id = of("call_id", reader.bytes())?,
            b"timeout" => timeout = optional("timeout", reader, Reader::number)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (procedure, args, call_id) = (procedure(name)?, term(frame, args), call_id(id)?);
    Ok(Call { procedure, args, call_id, timeout })
}

fn reply(frame: &Frame) -> Result<Reply, DecodeError> {
    let (mut id, mut result, mut error) = (None, None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"call_id" => id = of("call_id", reader.bytes())?,
            b"result" => result = of("result", reader.packed())?,
            b"error" => error = of("error", reader.packed())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let outcome = match (error.and_then(call_error), result) {
        (Some(error), _) => Err(error),
        (None, Some(result)) => Ok(term(frame, Some(result))),
        (None, None) => return Err(DecodeError::NoOutcome),
    };
    Ok(Reply { call_id: call_id(id)?, outcome })
}

fn cast(frame: &Frame) -> Result<Cast, DecodeError> {
    let (mut name, mut args) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"procedure" => name = of("procedure", reader.text())?,
            b"args" => args = of("args", reader.packed())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Cast { procedure: procedure(name)?, args: term(frame, args) })
}

fn register(frame: &Frame) -> Result<RegisterProcedure, DecodeError> {
    let mut name = None;
    fields(frame.payload(), |key, reader| {
        match key {
            b"procedure" => name = of("procedure", reader.text())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(RegisterProcedure { procedure: procedure(name)? })
}
