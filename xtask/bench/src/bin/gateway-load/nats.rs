//! The protocol of NATS, as far as a load needs it: lines, and payloads behind some of them. TLS comes before its first line
//! (`handshake_first`). Its client protocol is documented in the reference of NATS.

use std::io::Write as _;

use anyhow::{Context as _, bail, ensure};

use crate::heard::{Heard, Message, PROCEDURE, Parsed, TOPIC};

pub const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// The inboxes of all calls.
pub const INBOXES: &str = "_INBOX.load.*";
const INBOX: &str = "_INBOX.load.";

/// Nothing but errors is answered; the PING is, once the server has taken both.
pub fn open() -> Vec<u8> {
    let options = r#"{"verbose":false,"pedantic":false,"lang":"load","version":"1","protocol":1,"echo":false}"#;
    format!("CONNECT {options}\r\nPING\r\n").into_bytes()
}

pub fn subscribe(subject: &str) -> Vec<u8> {
    format!("SUB {subject} 1\r\nPING\r\n").into_bytes()
}

pub fn publish(body: &[u8]) -> Vec<u8> {
    let mut out = format!("PUB {TOPIC} {}\r\n", body.len()).into_bytes();
    append(&mut out, body);
    out
}

pub fn call(out: &mut Vec<u8>, number: u64, body: &[u8]) {
    // Writing to memory does not fail.
    let _ = write!(out, "PUB {PROCEDURE} {INBOX}{number:x} {}\r\n", body.len());
    append(out, body);
}

pub fn reply(out: &mut Vec<u8>, inbox: &[u8], body: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(inbox);
    let _ = write!(out, " {}\r\n", body.len());
    append(out, body);
}

fn append(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    // A line is short, but for INFO, which comes once.
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = bytes[..end].strip_suffix(b"\r").context("a line of NATS has no CR")?;
    let after = end + 1;
    if let Some(fields) = line.strip_prefix(b"MSG ") {
        return message(bytes, fields, after);
    }
    let heard = match line {
        b"PONG" => Heard::Ready,
        b"PING" => Heard::Asks(PONG.to_vec()),
        line if line.starts_with(b"INFO ") || line == b"+OK" => Heard::Nothing,
        other => bail!("NATS says {}", String::from_utf8_lossy(other)),
    };
    Ok(Some((heard, after)))
}

/// `SUBJECT SID [REPLY-TO] BYTES`, and the payload in the next line.
fn message<'a>(bytes: &'a [u8], fields: &'a [u8], after: usize) -> Parsed<'a> {
    let (mut count, mut begin, mut reply_to) = (0, 0, &b""[..]);
    for (at, byte) in fields.iter().enumerate() {
        if *byte == b' ' {
            if count == 2 {
                reply_to = &fields[begin..at];
            }
            (count, begin) = (count + 1, at + 1);
        }
    }
    ensure!((2..=3).contains(&count), "MSG has {} fields", count + 1);
    let length = fields[begin..].iter().try_fold(0_usize, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    });
    let length = length.context("MSG has no length")?;
    let Some(end) = bytes.get(after + length..after + length + 2) else { return Ok(None) };
    ensure!(end == b"\r\n", "a payload of NATS does not end where it must");
    let body = &bytes[after..after + length];
    Ok(Some((Heard::Message(Message { reply_to, body }), after + length + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_with_and_without_a_reply_subject() {
        let plain = b"MSG bench.load 1 4\r\n\r\nab\r\nPING\r\n";
        let (heard, bytes) = parse(plain).unwrap().unwrap();
        assert_eq!(heard, Heard::Message(Message { reply_to: b"", body: b"\r\nab" }));
        assert_eq!(parse(&plain[bytes..]).unwrap(), Some((Heard::Asks(PONG.to_vec()), 6)));
        let asked = b"MSG bench.echo 1 _INBOX.load.a 2\r\nxy\r\n";
        let (heard, bytes) = parse(asked).unwrap().unwrap();
        assert_eq!(heard, Heard::Message(Message { reply_to: b"_INBOX.load.a", body: b"xy" }));
        assert_eq!(bytes, asked.len());
        for cut in 0..asked.len() {
            assert_eq!(parse(&asked[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn a_call_names_an_inbox_of_its_own() {
        let mut out = Vec::new();
        call(&mut out, 255, b"xy");
        assert_eq!(out, b"PUB bench.echo _INBOX.load.ff 2\r\nxy\r\n");
        out.clear();
        reply(&mut out, b"_INBOX.load.ff", b"z");
        assert_eq!(out, b"PUB _INBOX.load.ff 1\r\nz\r\n");
        assert_eq!(publish(b"ab"), b"PUB bench.load 2\r\nab\r\n");
    }

    #[test]
    fn a_refusal_of_the_server_is_an_error() {
        assert!(parse(b"-ERR 'Slow Consumer'\r\n").is_err());
        assert!(parse(b"MSG a 1 x\r\n").is_err());
        assert_eq!(parse(b"INFO {}\r\n").unwrap(), Some((Heard::Nothing, 9)));
    }
}
