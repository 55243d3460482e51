//! Frames as they should not be: of random bytes, made from good ones by changing some, and of every type of MessagePack
//! in every place. It must not know what becomes of them.

use gateway::wire::{
    frame::{HEADER_BYTES, Kind, header},
    id::{CallId, MessageId, NodeId},
    message::{
        Call, CallError, Cast, Connect, Message, Ping, Procedure, Publish, Qos, RealmId,
        RegisterProcedure, Reply, Subscribe, Term, Unsubscribe, encode,
    },
};

use crate::dice::Dice;

const GOLDEN: &str = include_str!("../../src/wire/message/golden.txt");
const KEYS: &[&str] = &[
    "version",
    "node_id",
    "realm_id",
    "capabilities",
    "token",
    "reason",
    "message",
    "timestamp",
    "server_time",
    "topic",
    "payload",
    "qos",
    "retain",
    "message_id",
    "topics",
    "procedure",
    "args",
    "call_id",
    "timeout",
    "result",
    "error",
    "code",
    "no_such_key",
];
const TOPICS: &[&str] = &[
    "..",
    "a b.ü",
    "b*",
    "_dist.data.YQ==.in",
    "a",
    "a.b",
    "a.b.c",
    "energy.home.power",
    "b/c.d",
    "x.y.z.a.b.c.d.e",
];
const PATTERNS: &[&str] = &[
    "a",
    "a.*",
    "a.**",
    "**.b",
    "a..*",
    "b*",
    "#",
    "a.#",
    "#.b.#",
    "*.*.*",
    "energy.#.power",
    "#.#",
    "*.#",
];
const PROCEDURES: &[&str] = &[
    "p",
    "q",
    "com.example.add",
    "com.macula.diagnostics.echo",
    "com.macula.diagnostics.no",
    "_mesh.resolve",
    "a b",
];

pub struct Shapes {
    golden: Vec<Vec<u8>>,
}

impl Shapes {
    pub fn new() -> Self {
        let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
        let bytes = |line: &str| {
            let hex = line.rsplit(' ').next().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        Self { golden: lines.map(bytes).collect() }
    }

    /// A frame, or what looks like one.
    pub fn frame(&self, dice: &Dice) -> Vec<u8> {
        match dice.below(8) {
            0 => dice.bytes(64),
            1 => framed(dice, &dice.bytes(200)),
            2 | 3 => self.mutated(dice),
            4 | 5 => framed(dice, &map(dice)),
            _ => encode(&good(dice)).to_vec(),
        }
    }

    fn mutated(&self, dice: &Dice) -> Vec<u8> {
        let mut frame = match dice.below(2) {
            0 => dice.pick(&self.golden).clone(),
            _ => encode(&good(dice)).to_vec(),
        };
        for _ in 0..=dice.below(3) {
            let at = dice.below(frame.len());
            match dice.below(7) {
                0 => frame[at] ^= 1 << dice.below(8),
                1 => frame[at] = dice.byte(),
                2 => frame.insert(at, dice.byte()),
                3 if frame.len() > 1 => drop(frame.remove(at)),
                4 if at > 0 => frame.truncate(at),
                5 => {
                    let piece = frame[at..].to_vec();
                    frame.extend(piece);
                }
                _ => {
                    let other = dice.pick(&self.golden);
                    let from = dice.below(other.len());
                    frame.splice(at.., other[from..].iter().copied());
                }
            }
        }
        // Mostly the header stays right, so that what is behind it is looked at.
        if frame.len() >= HEADER_BYTES && !dice.once_in(8) {
            let kind = match Kind::of(frame[1]) {
                Kind::Other(_) if !dice.once_in(8) => *dice.pick(Kind::ALL),
                kind => kind,
            };
            let length = u32::try_from(frame.len() - HEADER_BYTES).unwrap();
            frame[..HEADER_BYTES].copy_from_slice(&header(kind, length));
        }
        frame
    }
}

fn framed(dice: &Dice, payload: &[u8]) -> Vec<u8> {
    let header = header(*dice.pick(Kind::ALL), u32::try_from(payload.len()).unwrap());
    [&header[..], payload].concat()
}

/// Keys of messages with any values.
fn map(dice: &Dice) -> Vec<u8> {
    let pairs = dice.below(8);
    let mut out = vec![0x80 | u8::try_from(pairs).unwrap()];
    if dice.once_in(20) {
        out = vec![*dice.pick(&[0xde, 0xdf]), dice.byte(), dice.byte(), dice.byte()];
    }
    for _ in 0..pairs {
        let key = dice.pick(KEYS).as_bytes();
        out.extend([if dice.once_in(2) { 0xc4 } else { 0xd9 }, u8::try_from(key.len()).unwrap()]);
        out.extend(key);
        value(dice, 0, &mut out);
    }
    out
}

fn value(dice: &Dice, depth: usize, out: &mut Vec<u8>) {
    match dice.below(12) {
        // The very length of an id.
        0 => {
            out.extend([0xc4, *dice.pick(&[16, 32])]);
            out.extend((0..out[out.len() - 1]).map(|_| dice.byte()));
        }
        1 => out.extend([0xc0, 0xc1, 0xc2, 0xc3].get(dice.below(4))),
        2 => out.push(dice.byte()),
        // Numbers and fractions of each width.
        3 => {
            let (marker, width) =
                *dice.pick(&[(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8), (0xd3, 8), (0xcb, 8)]);
            out.push(marker);
            out.extend((0..width).map(|_| dice.byte()));
        }
        4 => {
            let text = dice.pick(TOPICS);
            out.push(0xa0 | u8::try_from(text.len()).unwrap());
            out.extend(text.as_bytes());
        }
        5 => {
            let text = dice.pick(PATTERNS);
            out.extend([0x91, 0xc4, u8::try_from(text.len()).unwrap()]);
            out.extend(text.as_bytes());
        }
        // A length that is claimed and not there.
        6 => {
            out.push(
                *dice.pick(&[0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xc7, 0xc9, 0xdc, 0xdd, 0xdf]),
            );
            out.extend(dice.bytes(6));
        }
        // Deeper than anything is read.
        7 if dice.once_in(16) => out.extend(vec![*dice.pick(&[0x91, 0x81]); dice.below(5000)]),
        8 | 9 if depth < 4 => {
            let values = dice.below(4);
            let is_map = dice.once_in(2);
            let few = u8::try_from(values).unwrap();
            out.push(if is_map { 0x80 | few } else { 0x90 | few });
            (0..values * if is_map { 2 } else { 1 }).for_each(|_| value(dice, depth + 1, out));
        }
        10 => out.extend([0xd4, dice.byte(), dice.byte()]),
        _ => out.push(u8::try_from(dice.below(3)).unwrap()),
    }
}

/// One value, of whatever type.
fn term(dice: &Dice) -> Term {
    loop {
        let mut packed = Vec::new();
        value(dice, 0, &mut packed);
        if let Ok(term) = Term::of_packed(packed.into()) {
            return term;
        }
    }
}

/// A message as a client may send it.
fn good(dice: &Dice) -> Message {
    let number = u8::try_from(dice.below(4)).unwrap();
    let call_id = CallId::of(&vec![number; *dice.pick(&[0, 1, 12, 16, 16, 16, 256])]).unwrap();
    let procedure = Procedure((*dice.pick(PROCEDURES)).to_owned());
    let topics = || (0..dice.below(4)).map(|_| dice.pick(PATTERNS).parse().unwrap()).collect();
    match dice.below(12) {
        0 => Message::Connect(Connect {
            version: "1.0".to_owned(),
            node_id: NodeId([dice.byte(); 32]),
            realm_id: RealmId::Name("a".to_owned()),
            capabilities: Vec::new(),
            token: None,
        }),
        1 => Message::Ping(Ping { timestamp: dice.next() }),
        2 => Message::Subscribe(Subscribe { topics: topics(), qos: Qos::AtMostOnce }),
        3 => Message::Unsubscribe(Unsubscribe { topics: topics() }),
        4 => Message::RegisterProcedure(RegisterProcedure { procedure }),
        5 => Message::Cast(Cast { procedure, args: term(dice) }),
        6 => {
            // Calls are numbered from 1 as they come.
            let mut id = [0; 16];
            id[14..].copy_from_slice(&u16::try_from(dice.below(1 << 16)).unwrap().to_be_bytes());
            let error = CallError { code: "handler_error".to_owned(), message: String::new() };
            let outcome = if dice.once_in(2) { Ok(term(dice)) } else { Err(error) };
            Message::Reply(Reply { call_id: CallId::from(id), outcome })
        }
        7 | 8 => {
            let timeout = dice.once_in(2).then(|| dice.next());
            Message::Call(Call { procedure, args: term(dice), call_id, timeout })
        }
        _ => Message::Publish(Publish {
            topic: dice.pick(TOPICS).parse().unwrap(),
            payload: dice.bytes(40).into(),
            qos: Qos::AtLeastOnce,
            retain: dice.once_in(2),
            message_id: MessageId::of(&vec![dice.byte(); *dice.pick(&[0, 12, 16, 16, 40])])
                .unwrap(),
        }),
    }
}
