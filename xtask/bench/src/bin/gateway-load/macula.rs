//! The frames of the macula protocol that a load needs, in their canonical form: keys and texts are `bin`. Replies and
//! messages are looked through for their payload alone.

use anyhow::{Context as _, Result, bail, ensure};

use crate::heard::{Heard, Message, PROCEDURE, Parsed, TOPIC};

const HEADER: usize = 8;
const CONNECT: u8 = 0x01;
const DISCONNECT: u8 = 0x02;
const PING: u8 = 0x03;
const PONG: u8 = 0x04;
const PUBLISH: u8 = 0x10;
const SUBSCRIBE: u8 = 0x11;
const CALL: u8 = 0x20;
const REPLY: u8 = 0x21;
const REGISTER: u8 = 0x26;

/// The realm that a gateway serves when it is told nothing else.
const REALM: &str = "be.cortexiq.energy";

pub fn open(number: u16) -> Vec<u8> {
    let mut node = [0; 32];
    node[..2].copy_from_slice(&number.to_be_bytes());
    frame(CONNECT, |out| {
        map(out, 4);
        pair(out, "version", b"1.0");
        pair(out, "node_id", &node);
        pair(out, "realm_id", REALM.as_bytes());
        bin(out, b"capabilities");
        out.push(0x90);
    })
}

pub fn ping() -> Vec<u8> {
    frame(PING, |out| {
        map(out, 1);
        bin(out, b"timestamp");
        out.push(0);
    })
}

pub fn subscribe() -> Vec<u8> {
    let mut out = frame(SUBSCRIBE, |out| {
        map(out, 2);
        bin(out, b"topics");
        out.push(0x91);
        bin(out, TOPIC.as_bytes());
        bin(out, b"qos");
        out.push(0);
    });
    out.extend(ping());
    out
}

pub fn publish(body: &[u8]) -> Vec<u8> {
    frame(PUBLISH, |out| {
        map(out, 5);
        pair(out, "topic", TOPIC.as_bytes());
        pair(out, "payload", body);
        bin(out, b"qos");
        out.push(0);
        bin(out, b"retain");
        out.push(0xc2);
        pair(out, "message_id", &[0; 16]);
    })
}

pub fn serve() -> Vec<u8> {
    let mut out = frame(REGISTER, |out| {
        map(out, 1);
        pair(out, "procedure", PROCEDURE.as_bytes());
    });
    out.extend(ping());
    out
}

pub fn call(out: &mut Vec<u8>, number: u64, body: &[u8]) {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    append(out, CALL, |out| {
        map(out, 3);
        pair(out, "procedure", PROCEDURE.as_bytes());
        pair(out, "args", body);
        pair(out, "call_id", &id);
    });
}

pub fn reply(out: &mut Vec<u8>, call_id: &[u8], body: &[u8]) {
    append(out, REPLY, |out| {
        map(out, 2);
        pair(out, "call_id", call_id);
        pair(out, "result", body);
    });
}

pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((&[version, kind, _, _, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER>()
    else {
        return Ok(None);
    };
    ensure!(version == 1, "a frame has version {version}");
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let heard = match kind {
        PONG => Heard::Ready,
        PING => Heard::Asks(pong(payload)),
        PUBLISH => message(payload, b"payload", b"")?,
        CALL => message(payload, b"args", b"call_id")?,
        REPLY => message(payload, b"result", b"")?,
        DISCONNECT => bail!("the gateway disconnects: {}", String::from_utf8_lossy(payload)),
        _ => Heard::Nothing,
    };
    Ok(Some((heard, HEADER + length)))
}

/// A PING's map with the same timestamp in it, and a time of ours, which nobody reads.
fn pong(ping: &[u8]) -> Vec<u8> {
    frame(PONG, |out| {
        map(out, 2);
        out.extend_from_slice(ping.get(1..).unwrap_or_default());
        bin(out, b"server_time");
        out.push(0);
    })
}

/// Looks for two keys in a map.
fn message<'a>(payload: &'a [u8], body_key: &[u8], reply_key: &[u8]) -> Result<Heard<'a>> {
    let (&marker, mut rest) = payload.split_first().context("an empty payload")?;
    ensure!(marker & 0xf0 == 0x80, "a payload is no small map");
    let (mut body, mut reply_to) = (None, &b""[..]);
    for _ in 0..marker & 0x0f {
        let (key, after) = value(rest)?;
        let (found, after) = value(after)?;
        if key == body_key {
            body = Some(found);
        } else if key == reply_key {
            reply_to = found;
        }
        rest = after;
    }
    let body = body.with_context(|| format!("no body in {}", String::from_utf8_lossy(payload)))?;
    Ok(Heard::Message(Message { reply_to, body }))
}

/// The bytes of a `bin`, or those of another value whole, and what follows.
fn value(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (&marker, rest) = bytes.split_first().context("a map ends early")?;
    let (length, rest) = match marker {
        0xc4 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest)),
        0xc5 => rest
            .split_first_chunk()
            .map(|(&length, rest)| (usize::from(u16::from_be_bytes(length)), rest)),
        0xc6 => rest.split_first_chunk().and_then(|(&length, rest)| {
            Some((usize::try_from(u32::from_be_bytes(length)).ok()?, rest))
        }),
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 => Some((0, rest)),
        // A call's deadline, and times.
        0xcc => Some((1, rest)),
        0xcd => Some((2, rest)),
        0xce => Some((4, rest)),
        0xcf => Some((8, rest)),
        other => bail!("a value begins with {other:#x}"),
    }
    .context("a length ends early")?;
    rest.split_at_checked(length).context("a value ends early")
}

fn frame(kind: u8, payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, kind, payload);
    out
}

fn append(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[1, kind, 0, 0, 0, 0, 0, 0]);
    payload(out);
    let length = u32::try_from(out.len() - begin - HEADER).unwrap_or(u32::MAX);
    out[begin + 4..begin + HEADER].copy_from_slice(&length.to_be_bytes());
}

fn map(out: &mut Vec<u8>, keys: u8) {
    out.push(0x80 | keys);
}

fn pair(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    bin(out, key.as_bytes());
    bin(out, value);
}

fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(length) = u8::try_from(bytes.len()) {
        out.extend_from_slice(&[0xc4, length]);
    } else if let Ok(length) = u16::try_from(bytes.len()) {
        out.push(0xc5);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0xc6);
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_frame_is_found_again_and_its_body_is_not_copied() {
        for size in [16, 300, 70_000] {
            let body = vec![7; size];
            let frame = publish(&body);
            let (heard, bytes) = parse(&frame).unwrap().unwrap();
            assert_eq!(heard, Heard::Message(Message { reply_to: b"", body: &body }));
            assert_eq!(bytes, frame.len());
            assert_eq!(parse(&frame[..frame.len() - 1]).unwrap(), None);
        }
    }

    #[test]
    fn a_call_says_where_its_reply_goes() {
        let mut out = Vec::new();
        call(&mut out, 5, b"x");
        let id = 5_u128.to_be_bytes();
        let (heard, bytes) = parse(&out).unwrap().unwrap();
        assert_eq!(heard, Heard::Message(Message { reply_to: &id, body: b"x" }));
        assert_eq!(bytes, out.len());
        let mut answer = Vec::new();
        reply(&mut answer, &id, b"y");
        let (heard, _) = parse(&answer).unwrap().unwrap();
        assert_eq!(heard, Heard::Message(Message { reply_to: b"", body: b"y" }));
    }

    #[test]
    fn a_ping_is_answered_with_its_own_time() {
        let frame = ping();
        let (Heard::Asks(answer), _) = parse(&frame).unwrap().unwrap() else { panic!() };
        assert_eq!(answer[1], PONG);
        assert_eq!(&answer[HEADER..HEADER + 1], [0x82]);
        assert_eq!(&answer[HEADER + 1..HEADER + 13], &frame[HEADER + 1..]);
        assert_eq!(parse(&answer).unwrap().unwrap().0, Heard::Ready);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(parse(&[2; 16]).is_err());
        let cut = frame(PUBLISH, |out| out.extend_from_slice(&[0x81, 0xc4, 9, b'p']));
        assert!(parse(&cut).is_err());
    }
}
