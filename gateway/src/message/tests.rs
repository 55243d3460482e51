//! Messages against frames that another implementation of MessagePack packed, and against whatever bytes.

use proptest::prelude::*;

use super::*;
use crate::{
    frame::{FrameError, Frames, HEADER_BYTES, header},
    message::pack::Reader,
};

const GOLDEN: &str = include_str!("golden.txt");

fn golden() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let [name, spelling, hex] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name, spelling, (0..hex.len()).step_by(2).map(byte).collect())
    })
}

fn named(name: &str) -> Message {
    let id = |first: u8| std::array::from_fn(|at| first + u8::try_from(at).unwrap());
    let call_id = CallId(id(16));
    let bytes = Bytes::from_static;
    let procedure = || Procedure("com.example.add".to_owned());
    match name {
        "connect" => Message::Connect(Connect {
            version: "1.0".to_owned(),
            node_id: NodeId(std::array::from_fn(|at| u8::try_from(at).unwrap())),
            realm_id: RealmId::Name("be.cortexiq.energy".to_owned()),
            capabilities: vec!["pubsub".to_owned(), "rpc".to_owned()],
            token: None,
        }),
        "disconnect" => Message::Disconnect(Disconnect {
            reason: "normal".to_owned(),
            message: "bye".to_owned(),
        }),
        "ping" => Message::Ping(Ping { timestamp: 1_764_000_000_000 }),
        "pong" => {
            Message::Pong(Pong { timestamp: 1_764_000_000_000, server_time: 1_764_000_000_001 })
        }
        "publish" => Message::Publish(Publish {
            topic: "energy.home.power".parse().unwrap(),
            payload: bytes(b"{\"w\":1}"),
            qos: Qos::AtLeastOnce,
            retain: true,
            message_id: MessageId(id(0)),
        }),
        "subscribe" => Message::Subscribe(Subscribe {
            topics: vec!["energy.*.power".parse().unwrap(), "energy.#".parse().unwrap()],
            qos: Qos::AtMostOnce,
        }),
        "unsubscribe" => {
            Message::Unsubscribe(Unsubscribe { topics: vec!["energy.#".parse().unwrap()] })
        }
        "call" => Message::Call(Call {
            procedure: procedure(),
            args: bytes(b"[1,2]"),
            call_id,
            timeout: Some(5000),
        }),
        "reply" => Message::Reply(Reply { call_id, outcome: Ok(bytes(b"3")) }),
        "reply_error" => {
            let error = CallError { code: "handler_error".to_owned(), message: "no".to_owned() };
            Message::Reply(Reply { call_id, outcome: Err(error) })
        }
        "cast" => Message::Cast(Cast {
            procedure: Procedure("com.example.log".to_owned()),
            args: bytes(b"[]"),
        }),
        "register_procedure" => {
            Message::RegisterProcedure(RegisterProcedure { procedure: procedure() })
        }
        other => panic!("{other} is no message"),
    }
}

fn read(bytes: &[u8]) -> Result<Message, DecodeError> {
    let mut frames = Frames::new(1 << 20);
    frames.push(bytes);
    decode(&frames.take().unwrap().unwrap())
}

fn read_payload(kind: Kind, payload: &[u8]) -> Result<Message, DecodeError> {
    let length = u32::try_from(payload.len()).unwrap();
    read(&[&header(kind, length)[..], payload].concat())
}

#[test]
fn both_spellings_of_each_message_are_read() {
    for (name, spelling, bytes) in golden() {
        assert_eq!(read(&bytes), Ok(named(name)), "{name} as {spelling}");
    }
}

#[test]
fn each_message_is_written_with_bin_as_peers_read_it() {
    let mut kinds = Vec::new();
    for (name, spelling, bytes) in golden().filter(|(_, spelling, _)| *spelling == "bin") {
        assert_eq!(encode(&named(name)), bytes, "{name} as {spelling}");
        kinds.push(named(name).kind());
    }
    let served: Vec<_> = Kind::ALL.iter().filter(|kind| kind.code() < 0x30).collect();
    assert!(served.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}

#[test]
fn a_publish_passes_as_it_came_if_that_is_how_peers_read_it_and_is_else_written_anew() {
    let passed = |bytes: &[u8]| {
        let mut frames = Frames::new(1 << 20);
        frames.push(bytes);
        match incoming(&frames.take().unwrap().unwrap()).unwrap() {
            Incoming::Publication(publication) => publication.frame,
            Incoming::Message(other) => panic!("{other:?} is no publication"),
        }
    };
    let written = encode(&named("publish"));
    for (name, spelling, bytes) in golden().filter(|(name, ..)| *name == "publish") {
        assert_eq!(passed(&bytes), written, "{name} as {spelling}");
    }
    let payload = &written[HEADER_BYTES..];
    let framed = |payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap();
        [&header(Kind::Publish, length)[..], payload].concat()
    };
    // In another order of keys, as peers may write it: `topic` comes last.
    let topic = &payload[1..1 + 7 + 2 + "energy.home.power".len()];
    let turned = framed(&[&payload[..1], &payload[1 + topic.len()..], topic].concat());
    assert_eq!(passed(&turned), turned);
    let mut flagged = written.to_vec();
    flagged[2] = 0x80;
    assert_eq!(passed(&flagged), written, "flags");
    let more = framed(&[b"\x86\xc4\x01x\x00", &payload[1..]].concat());
    assert_eq!(passed(&more), written, "an unknown key");
    let twice = framed(&[b"\x86", &payload[1..], b"\xc4\x06retain\xc3"].concat());
    assert_eq!(passed(&twice), written, "a key twice");
    let atom = payload.windows(8).position(|it| it == b"\xc4\x06retain").unwrap() + 8;
    let atom = framed(&[&payload[..atom], b"\xc4\x04true", &payload[atom + 1..]].concat());
    assert_eq!(passed(&atom), written, "an atom");
}

#[test]
fn an_empty_list_of_erlang_is_an_empty_array() {
    let payload = b"\x82\xc4\x06topics\xa0\xc4\x03qos\x00";
    let empty = Subscribe { topics: Vec::new(), qos: Qos::AtMostOnce };
    assert_eq!(read_payload(Kind::Subscribe, payload), Ok(Message::Subscribe(empty)));
}

#[test]
fn unknown_keys_are_passed_over_whatever_they_hold() {
    let nested = b"\x83\xa1a\x92\x81\xa1b\xc0\xcb0000000\x00\xa1c\xd6\x01abcd\xc4\x09timestamp\x07";
    assert_eq!(read_payload(Kind::Ping, nested), Ok(Message::Ping(Ping { timestamp: 7 })));
}

#[test]
fn a_realm_may_be_named_by_its_hash() {
    let Message::Connect(connect) = named("connect") else { panic!("no connect") };
    for (id, expect) in [
        (RealmId::Sha256([0x9c; 32]), RealmId::Sha256([0x9c; 32])),
        (RealmId::Name("a".repeat(32)), RealmId::Name("a".repeat(32))),
    ] {
        let message = Message::Connect(Connect { realm_id: id, ..connect.clone() });
        let Ok(Message::Connect(read)) = read(&encode(&message)) else { panic!("no connect") };
        assert_eq!(read.realm_id, expect);
    }
}

#[test]
fn a_token_is_optional_and_kept() {
    let Message::Connect(connect) = named("connect") else { panic!("no connect") };
    let token = Some(Bytes::from_static(b"secret"));
    let with_token = Message::Connect(Connect { token, ..connect });
    assert_eq!(read(&encode(&with_token)), Ok(with_token));
}

#[test]
fn what_is_no_message_says_which_key_is_wrong() {
    let check = |kind, payload: &[u8], expect: &str| {
        let error = read_payload(kind, payload).unwrap_err().to_string();
        assert_eq!(error, expect);
    };
    check(Kind::Ping, b"\x80", "timestamp is missing");
    check(Kind::Ping, b"\xc0", "payload: a map is wanted, and nil is there");
    check(Kind::Ping, b"", "payload: the payload ends within a value");
    check(
        Kind::Ping,
        b"\x81\xa9timestamp\xff",
        "timestamp: a number that is not negative is wanted, and a negative number is there",
    );
    check(Kind::Ping, b"\x81\xa9timestamp\x01\x00", "payload: 1 bytes follow the message");
    check(Kind::Call, b"\x81\xa7call_id\xa2ab", "procedure is missing");
    check(Kind::RegisterProcedure, b"\x81\xa9procedure\xa3a b", {
        "procedure: it has a space or a control character in it"
    });
    let deep = [&b"\x82\xa1x"[..], &[0x91; 40], b"\xc0\xa9timestamp\x01"].concat();
    check(Kind::Ping, &deep, "payload: values are nested deeper than 32");
}

#[test]
fn a_list_that_claims_to_be_long_costs_no_memory() {
    let payload = b"\x81\xa6topics\xdd\xff\xff\xff\xff";
    let error = read_payload(Kind::Unsubscribe, payload).unwrap_err();
    assert!(matches!(error, DecodeError::TooMany { key: "topics", .. }), "{error}");
}

#[test]
fn a_type_without_use_here_is_no_error() {
    let read = read_payload(Kind::SwimPing, b"whatever");
    assert_eq!(read, Ok(Message::Unserved(Kind::SwimPing)));
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let frames: Vec<Vec<u8>> = golden().map(|(_, _, bytes)| bytes).collect();
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (prop::sample::select(frames), prop::collection::vec(change, 0..6)).prop_map(
        |(mut frame, changes)| {
            for (at, byte) in changes {
                // The length stays: another one would only make the frame wait for more.
                let at = HEADER_BYTES + at.index(frame.len() - HEADER_BYTES);
                frame[at] = byte;
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_mutated_frame_is_read_or_refused_and_what_is_read_is_written_as_read(frame in mutated()) {
        if let Ok(message) = read(&frame) {
            prop_assert_eq!(read(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn whatever_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut frames = Frames::new(64);
        frames.push(&bytes);
        loop {
            match frames.take() {
                Ok(Some(frame)) => drop(decode(&frame)),
                Ok(None) => break,
                Err(FrameError::Version(_) | FrameError::Kind(_) | FrameError::TooLong { .. }) => {
                    break;
                }
            }
        }
    }

    #[test]
    fn whatever_bytes_are_passed_over_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut reader = Reader::new(&bytes);
        while reader.skip().is_ok() {}
    }
}
