//! MQTT 3.1.1 with qos 0, as far as a load needs it. Names and numbers of packets are those of the standard.

use anyhow::{bail, ensure};

use crate::heard::{Heard, Message, Parsed, TOPIC};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGRESP: u8 = 0xd0;
pub const PINGREQ: &[u8] = &[0xc0, 0];

/// A clean session without keep-alive.
pub fn open(number: u16) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend_from_slice(&[4, 0x02, 0, 0]);
    text(&mut body, &format!("load-{number}"));
    packet(CONNECT, &[&body])
}

pub fn subscribe() -> Vec<u8> {
    let mut body = vec![0, 1];
    text(&mut body, TOPIC);
    body.push(0);
    packet(SUBSCRIBE, &[&body])
}

pub fn publish(payload: &[u8]) -> Vec<u8> {
    let mut topic = Vec::new();
    text(&mut topic, TOPIC);
    packet(PUBLISH, &[&topic, payload])
}

pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, taken)) = length(rest)? else { return Ok(None) };
    let Some(body) = rest.get(taken..taken + length) else { return Ok(None) };
    let heard = match kind {
        PUBLISH => {
            let Some((&topic, rest)) = body.split_first_chunk() else { bail!("no topic") };
            let Some(payload) = rest.get(usize::from(u16::from_be_bytes(topic))..) else {
                bail!("a topic ends early")
            };
            Heard::Message(Message { reply_to: b"", body: payload })
        }
        CONNACK | SUBACK => {
            ensure!(body.last() == Some(&0), "the broker refuses: {body:?}");
            Heard::Ready
        }
        PINGRESP => Heard::Ready,
        other => bail!("a packet of type {other:#x}"),
    };
    Ok(Some((heard, 1 + taken + length)))
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut left = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = vec![kind];
    loop {
        let more = if left > 0x7f { 0x80 } else { 0 };
        out.push((left & 0x7f) as u8 | more);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    out.extend(parts.iter().copied().flatten());
    out
}

/// The remaining length: seven bits a byte, the least first, and how many bytes it took.
fn length(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let mut length = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((length, at + 1)));
        }
    }
    ensure!(bytes.len() < 4, "a remaining length of more than four bytes");
    Ok(None)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_packet_is_found_again_whatever_its_length_takes() {
        for size in [16, 127, 128, 16_384, 70_000] {
            let body = vec![7; size];
            let packet = publish(&body);
            let (heard, bytes) = parse(&packet).unwrap().unwrap();
            assert_eq!(heard, Heard::Message(Message { reply_to: b"", body: &body }));
            assert_eq!(bytes, packet.len());
            for cut in [0, 1, 2, packet.len() - 1] {
                assert_eq!(parse(&packet[..cut]).unwrap(), None, "{cut} of {size}");
            }
        }
    }

    #[test]
    fn a_refused_connection_is_an_error() {
        assert_eq!(parse(&[0x20, 2, 0, 0]).unwrap(), Some((Heard::Ready, 4)));
        assert!(parse(&[0x20, 2, 0, 5]).is_err());
        assert_eq!(parse(&[0x90, 3, 0, 1, 0]).unwrap(), Some((Heard::Ready, 5)));
    }

    #[test]
    fn the_first_packet_is_as_the_standard_has_it() {
        assert_eq!(open(7), b"\x10\x12\0\x04MQTT\x04\x02\0\0\0\x06load-7");
    }
}
