//! Frames to messages. Accepts or refuses a payload whole and never panics, whatever the bytes.

use bytes::Bytes;
use thiserror::Error;

use super::{
    Call, CallError, Cast, Connect, Disconnect, Incoming, Message, PackError, Ping, Pong,
    Procedure, Publication, Publish, Qos, RealmId, RegisterProcedure, Reply, Subscribe,
    Unsubscribe, pack::Reader,
};
use crate::{
    frame::{Frame, Kind},
    id::{CallId, MessageId, NodeId},
    topic::{self, Pattern, Topic, TopicError},
};

/// Most keys of a message, unknown ones included.
const MOST_KEYS: usize = 64;
/// Most topics in one subscription, or capabilities of one client.
const MOST_VALUES: usize = 1024;

/// Why a payload is not the message that its frame says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("{key}: {error}")]
    Pack { key: &'static str, error: PackError },
    #[error("{key} is missing")]
    Missing { key: &'static str },
    #[error("{key} has {found} bytes, {wanted} are wanted")]
    Length { key: &'static str, found: usize, wanted: usize },
    #[error("{key}: {error}")]
    Topic { key: &'static str, error: TopicError },
    #[error("qos is {0}: 0, 1 or 2 are wanted")]
    Qos(u64),
    #[error("{key} has {found} values, {most} are allowed")]
    TooMany { key: &'static str, found: usize, most: usize },
    #[error("a reply has neither a result nor an error")]
    NoOutcome,
    #[error("procedure: {0}")]
    Procedure(&'static str),
}

/// What a frame says.
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
        | Kind::FindValue => Message::Unserved(frame.kind),
    })
}

/// Calls `take` with each key; `take` says whether it has read the value. Returns how many keys there are.
fn each_key<'a>(
    reader: &mut Reader<'a>,
    mut take: impl FnMut(&[u8], &mut Reader<'a>) -> Result<bool, DecodeError>,
) -> Result<usize, DecodeError> {
    let of_map = |error| DecodeError::Pack { key: "payload", error };
    let keys = reader.map().map_err(of_map)?;
    if keys > MOST_KEYS {
        return Err(DecodeError::TooMany { key: "payload", found: keys, most: MOST_KEYS });
    }
    for _ in 0..keys {
        let key = reader.bytes().map_err(of_map)?;
        if !take(key, reader)? {
            reader.skip().map_err(of_map)?;
        }
    }
    Ok(keys)
}

/// The keys of a whole payload.
fn fields<'a>(
    payload: &'a [u8],
    take: impl FnMut(&[u8], &mut Reader<'a>) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    each_key(&mut reader, take)?;
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

fn id<T>(
    key: &'static str,
    make: fn(&[u8]) -> Option<T>,
    wanted: usize,
    value: Option<&[u8]>,
) -> Result<T, DecodeError> {
    let bytes = required(key, value)?;
    make(bytes).ok_or(DecodeError::Length { key, found: bytes.len(), wanted })
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
            b"token" => token = of("token", reader.bytes())?,
            b"capabilities" => {
                for _ in 0..values("capabilities", reader)? {
                    capabilities.extend(of("capabilities", reader.text())?.map(str::to_owned));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let realm = required("realm_id", realm)?;
    // A name is text; of 32 bytes, one with a dot or in plain letters is a name all the same.
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
    Ok(Connect {
        version: required("version", version)?.to_owned(),
        node_id: id("node_id", NodeId::of, NodeId::BYTES, node)?,
        realm_id,
        capabilities,
        token: token.map(Bytes::copy_from_slice),
    })
}

fn disconnect(frame: &Frame) -> Result<Disconnect, DecodeError> {
    let (mut reason, mut message) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"reason" => reason = of("reason", reader.text())?,
            b"message" => message = of("message", reader.text())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Disconnect {
        reason: required("reason", reason)?.to_owned(),
        message: required("message", message)?.to_owned(),
    })
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
            b"timestamp" => timestamp = of("timestamp", reader.number())?,
            b"server_time" => server_time = of("server_time", reader.number())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Pong {
        timestamp: required("timestamp", timestamp)?,
        server_time: required("server_time", server_time)?,
    })
}

fn publish(frame: &Frame) -> Result<Publish, DecodeError> {
    PublishFields::read(frame)?.publish(frame)
}

/// What a frame says to the gateway. A publish passes on as it came where that is how every macula peer reads it; else it is
/// written anew.
///
/// # Errors
/// Its payload is not the message of its type.
pub fn incoming(frame: &Frame) -> Result<Incoming, DecodeError> {
    match frame.kind {
        Kind::Publish => publication(frame).map(Incoming::Publication),
        _ => decode(frame).map(Incoming::Message),
    }
}

fn publication(frame: &Frame) -> Result<Publication, DecodeError> {
    let fields = PublishFields::read(frame)?;
    if !fields.is_plain {
        return fields.publish(frame).map(Publication::from);
    }
    Ok(Publication {
        topic: fields.topic(frame)?,
        retain: fields.retain,
        is_empty: fields.payload.is_empty(),
        frame: frame.whole().clone(),
    })
}

struct PublishFields<'a> {
    topic: &'a [u8],
    payload: &'a [u8],
    qos: Qos,
    retain: bool,
    message_id: MessageId,
    /// Each key is there once and no other, in the forms that every macula peer reads.
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
                b"qos" => qos = of("qos", reader.number())?,
                b"retain" => retain = of("retain", reader.boolean())?,
                b"message_id" => message_id = of("message_id", reader.bytes())?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        at_end(&reader)?;
        Ok(Self {
            topic: required("topic", topic)?,
            payload: required("payload", payload)?,
            qos: self::qos(required("qos", qos)?)?,
            retain: required("retain", retain)?,
            message_id: id("message_id", MessageId::of, MessageId::BYTES, message_id)?,
            is_plain: keys == 5 && reader.is_plain() && frame.is_plain(),
        })
    }

    fn publish(&self, frame: &Frame) -> Result<Publish, DecodeError> {
        Ok(Publish {
            topic: self.topic(frame)?,
            payload: frame.part(self.payload),
            qos: self.qos,
            retain: self.retain,
            message_id: self.message_id,
        })
    }

    fn topic(&self, frame: &Frame) -> Result<Topic, DecodeError> {
        Topic::new(frame.part(self.topic))
            .map_err(|error| DecodeError::Topic { key: "topic", error })
    }
}

fn qos(number: u64) -> Result<Qos, DecodeError> {
    Qos::of(number).ok_or(DecodeError::Qos(number))
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
            b"qos" => qos = of("qos", reader.number())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let topics = required("topics", topics)?;
    Ok(Subscribe { topics, qos: self::qos(required("qos", qos)?)? })
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
    let name = required("procedure", name)?;
    if name.is_empty() {
        return Err(DecodeError::Procedure("it is empty"));
    }
    if name.len() > topic::LONGEST {
        return Err(DecodeError::Procedure("it is longer than 1024 bytes"));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(DecodeError::Procedure("it has a space or a control character in it"));
    }
    Ok(Procedure(name.to_owned()))
}

fn call(frame: &Frame) -> Result<Call, DecodeError> {
    let (mut name, mut args, mut call_id, mut timeout) = (None, None, None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"procedure" => name = of("procedure", reader.text())?,
            b"args" => args = of("args", reader.bytes())?,
            b"call_id" => call_id = of("call_id", reader.bytes())?,
            b"timeout" => {
                let nil = reader.nil().map_err(|error| DecodeError::Pack { key: "timeout", error });
                timeout = if nil? { None } else { of("timeout", reader.number())? };
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Call {
        procedure: procedure(name)?,
        args: frame.part(required("args", args)?),
        call_id: id("call_id", CallId::of, CallId::BYTES, call_id)?,
        timeout,
    })
}

fn reply(frame: &Frame) -> Result<Reply, DecodeError> {
    let (mut call_id, mut result, mut error) = (None, None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"call_id" => call_id = of("call_id", reader.bytes())?,
            b"result" => result = of("result", reader.bytes())?,
            b"error" => error = Some(call_error(reader)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let outcome = match (error, result) {
        (Some(error), _) => Err(error),
        (None, Some(result)) => Ok(frame.part(result)),
        (None, None) => return Err(DecodeError::NoOutcome),
    };
    Ok(Reply { call_id: id("call_id", CallId::of, CallId::BYTES, call_id)?, outcome })
}

fn call_error(reader: &mut Reader<'_>) -> Result<CallError, DecodeError> {
    let (mut code, mut message) = (None, None);
    each_key(reader, |key, reader| {
        match key {
            b"code" => code = of("error.code", reader.text())?,
            b"message" => message = of("error.message", reader.text())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(CallError {
        code: required("error.code", code)?.to_owned(),
        message: required("error.message", message)?.to_owned(),
    })
}

fn cast(frame: &Frame) -> Result<Cast, DecodeError> {
    let (mut name, mut args) = (None, None);
    fields(frame.payload(), |key, reader| {
        match key {
            b"procedure" => name = of("procedure", reader.text())?,
            b"args" => args = of("args", reader.bytes())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Cast { procedure: procedure(name)?, args: frame.part(required("args", args)?) })
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
