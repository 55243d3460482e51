//! Messages, compared with frames that another implementation of MessagePack packed, and with random bytes.

use proptest::prelude::*;

use super::*;
use crate::wire::{
    frame::{FrameError, Frames, HEADER_BYTES, header},
    id::FreshIds,
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
    let call_id = CallId::from(id(16));
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
            message_id: MessageId::from(id(0)),
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
            args: "[1,2]".into(),
            call_id,
            timeout: Some(5000),
        }),
        "reply" => Message::Reply(Reply { call_id, outcome: Ok("3".into()) }),
        "reply_error" => {
            let error = CallError { code: "handler_error".to_owned(), message: "no".to_owned() };
            Message::Reply(Reply { call_id, outcome: Err(error) })
        }
        "cast" => Message::Cast(Cast {
            procedure: Procedure("com.example.log".to_owned()),
            args: "[]".into(),
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
    decode(&frames.next_frame().unwrap().unwrap())
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
        match incoming(&frames.next_frame().unwrap().unwrap(), &mut FreshIds::new([7; 8])) {
            Incoming::Publication(publication) => publication.frame,
            other => panic!("{other:?} is no publication"),
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
    check(Kind::RegisterProcedure, b"\x81\xa9procedure\xa3a\nb", {
        "procedure: it has a control character in it"
    });
    let deep = [&b"\x82\xa1x"[..], &[0x91; 101], b"\xc0\xa9timestamp\x01"].concat();
    check(Kind::Ping, &deep, "payload: values are nested deeper than 100");
}

#[test]
fn a_list_that_claims_to_be_long_costs_no_memory() {
    let payload = b"\x81\xa6topics\xdd\xff\xff\xff\xff";
    let error = read_payload(Kind::Unsubscribe, payload).unwrap_err();
    assert!(matches!(error, DecodeError::TooMany { key: "topics", .. }), "{error}");
}

#[test]
fn what_need_not_be_there_may_be_missing_or_be_something_else() {
    let none = Publish {
        topic: "a".parse().unwrap(),
        payload: Bytes::from_static(b"x"),
        qos: Qos::AtMostOnce,
        retain: false,
        message_id: MessageId::default(),
    };
    let publish = |more: &[u8]| {
        let pairs = 2 + u8::from(!more.is_empty());
        let payload = [&[0x80 | pairs][..], b"\xa5topic\xa1a\xa7payload\xa1x", more].concat();
        read_payload(Kind::Publish, &payload).unwrap()
    };
    for more in [
        &b""[..],
        b"\xa3qos\xc0",
        b"\xa3qos\x03",
        b"\xa3qos\x93\x01\x02\x03",
        b"\xa6retain\xc0",
        b"\xaamessage_id\xc0",
        b"\xaamessage_id\x07",
    ] {
        assert_eq!(publish(more), Message::Publish(none.clone()), "{more:?}");
    }
    let of_twelve = MessageId::of(b"twelve bytes").unwrap();
    let expect = Message::Publish(Publish { message_id: of_twelve, ..none });
    assert_eq!(publish(b"\xaamessage_id\xactwelve bytes"), expect);

    let empty = Message::Disconnect(Disconnect { reason: String::new(), message: String::new() });
    assert_eq!(read_payload(Kind::Disconnect, b"\x80"), Ok(empty));
    for pong in
        [&b"\x80"[..], b"\x81\xabserver_time\xff", b"\x81\xabserver_time\xd3\x80\0\0\0\0\0\0\0"]
    {
        let zero = Pong { timestamp: 0, server_time: 0 };
        assert_eq!(read_payload(Kind::Pong, pong), Ok(Message::Pong(zero)));
    }
    let subscribe = Subscribe { topics: vec!["a".parse().unwrap()], qos: Qos::AtMostOnce };
    let read = read_payload(Kind::Subscribe, b"\x81\xa6topics\x91\xa1a");
    assert_eq!(read, Ok(Message::Subscribe(subscribe)));
}

#[test]
fn a_call_carries_any_value_any_id_and_whatever_else_it_says() {
    for args in [
        &b"\x80"[..],
        b"\x81\xc4\x01a\x01",
        b"\xc0",
        b"\xc3",
        b"\x07",
        b"\xff",
        b"\x92\x01\xcb\x40\x08\0\0\0\0\0\0",
        b"\xa0",
        b"\xd4\x01a",
    ] {
        for id in [&b""[..], b"x", &[7; 256]] {
            let length = u16::try_from(id.len()).unwrap().to_be_bytes();
            let id_packed = [&[0xc5][..], &length, id].concat();
            let payload = [
                &b"\x86\xc4\x09procedure\xc4\x03a b\xc4\x04args"[..],
                args,
                b"\xc4\x07call_id",
                &id_packed,
                b"\xc4\x07timeout\xc0\xc4\x06target\x81\xc0\xc0\xc4\x06_trace\x91\x01",
            ]
            .concat();
            let Ok(Message::Call(call)) = read_payload(Kind::Call, &payload) else {
                panic!("no call")
            };
            assert_eq!((&call.args.packed()[..], call.call_id.bytes()), (args, id));
            assert_eq!((call.procedure.0.as_str(), call.timeout), ("a b", None));
        }
    }
    let without = b"\x82\xa9procedure\xa1p\xa7call_id\xa1x";
    let Ok(Message::Call(call)) = read_payload(Kind::Call, without) else { panic!("no call") };
    assert_eq!(call.args, Term::nil());
    let long = [&b"\x82\xa9procedure\xa1p\xa7call_id\xc5\x01\x01"[..], &[7; 257]].concat();
    let error = read_payload(Kind::Call, &long).unwrap_err().to_string();
    assert_eq!(error, "call_id has 257 bytes, 256 are allowed");
}

#[test]
fn an_error_needs_no_message_and_no_map() {
    let outcome = |error: &[u8]| {
        let payload = [&b"\x82\xa7call_id\xa1x\xa5error"[..], error].concat();
        read_payload(Kind::Reply, &payload).map(|message| match message {
            Message::Reply(Reply { outcome: Err(CallError { code, message }), .. }) => {
                format!("{code}|{message}")
            }
            other => panic!("{other:?} is no error"),
        })
    };
    let say = |text: &str| Ok(text.to_owned());
    assert_eq!(outcome(b"\x81\xc4\x04code\xc4\x09not_found"), say("not_found|"));
    assert_eq!(outcome(b"\x82\xa4code\xa1a\xa7message\xc0"), say("a|"));
    assert_eq!(outcome(b"\x82\xa4code\x07\xa7message\xa1b"), say("7|b"));
    assert_eq!(outcome(b"\xa4busy"), say("busy|"));
    assert_eq!(outcome(b"\x80"), say("error|"));
    assert_eq!(outcome(b"\xc0"), Err(DecodeError::NoOutcome));
    let both = b"\x83\xa7call_id\xa1x\xa5error\xc0\xa6result\x07";
    let Ok(Message::Reply(reply)) = read_payload(Kind::Reply, both) else { panic!("no reply") };
    assert_eq!(reply.outcome.unwrap().packed()[..], [7]);
}

#[test]
fn a_publish_whose_id_has_not_sixteen_bytes_gets_a_fresh_one_and_stays_as_it_was_otherwise() {
    let frame = |id: &[u8]| {
        let mut publish = named("publish");
        if let Message::Publish(publish) = &mut publish {
            publish.message_id = MessageId::of(id).unwrap();
        }
        encode(&publish)
    };
    let mut fresh = FreshIds::new([7; 8]);
    let mut ids = Vec::new();
    for id in [&b""[..], b"twelve bytes", &[1; 17]] {
        let mut frames = Frames::new(1 << 20);
        frames.push(&frame(id));
        let Incoming::Publication(passed) =
            incoming(&frames.next_frame().unwrap().unwrap(), &mut fresh)
        else {
            panic!("no publication")
        };
        let Ok(Message::Publish(read)) = read(&passed.frame) else { panic!("no publish") };
        assert_eq!(read.message_id.bytes().len(), 16);
        assert_eq!(passed.frame, frame(read.message_id.bytes()));
        assert!(!ids.contains(&read.message_id));
        ids.push(read.message_id);
    }
}

#[test]
fn what_cannot_be_read_tells_who_waits_for_it() {
    let unread = |kind, payload: &[u8]| {
        let mut frames = Frames::new(1 << 20);
        frames.push(&[&header(kind, u32::try_from(payload.len()).unwrap())[..], payload].concat());
        match incoming(&frames.next_frame().unwrap().unwrap(), &mut FreshIds::new([7; 8])) {
            Incoming::Unread(unread) => (unread.kind, unread.call_id),
            other => panic!("{other:?} was read"),
        }
    };
    let id = CallId::of(b"x");
    assert_eq!(unread(Kind::Call, b"\x82\xa7call_id\xa1x\xa4args\xc1"), (Kind::Call, id.clone()));
    assert_eq!(unread(Kind::Call, b"\x82\xa4args\xc1\xa7call_id\xa1x"), (Kind::Call, None));
    assert_eq!(unread(Kind::Reply, b"\x81\xa7call_id\xa1x"), (Kind::Reply, id));
    assert_eq!(unread(Kind::Publish, b"\x81\xa7call_id\xa1x"), (Kind::Publish, None));
}

#[test]
fn a_type_without_use_here_is_no_error() {
    let read = read_payload(Kind::SwimPing, b"whatever");
    assert_eq!(read, Ok(Message::Unserved(Kind::SwimPing)));
    let read = read_payload(Kind::Other(0x27), b"");
    assert_eq!(read, Ok(Message::Unserved(Kind::Other(0x27))));
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
            match frames.next_frame() {
                Ok(Some(frame)) => drop(decode(&frame)),
                Ok(None) => break,
                Err(
                    FrameError::Version(_)
                    | FrameError::TooLong { .. }
                    | FrameError::FirstTooLong(_),
                ) => break,
            }
        }
    }

    #[test]
    fn whatever_bytes_are_passed_over_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut reader = Reader::new(&bytes);
        while reader.skip().is_ok() {}
    }

    #[test]
    fn whatever_is_a_value_reaches_the_other_side_byte_by_byte(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let Ok(args) = Term::of_packed(bytes.clone().into()) else { return Ok(()) };
        let (procedure, call_id) = (Procedure("p".to_owned()), CallId::from([1; 16]));
        let call = Call { procedure, args, call_id, timeout: None };
        let Ok(Message::Call(call)) = read(&encode(&Message::Call(call))) else { panic!("no call") };
        prop_assert_eq!(&call.args.packed()[..], &bytes[..]);
        let reply = Reply { call_id: call.call_id, outcome: Ok(call.args) };
        let Ok(Message::Reply(reply)) = read(&encode(&Message::Reply(reply))) else { panic!("no reply") };
        let result = reply.outcome.unwrap();
        prop_assert_eq!(&result.packed()[..], &bytes[..]);
    }
}
