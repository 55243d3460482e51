//! Clients that send anything, in one realm with clients that mean it: those get all of theirs, in order.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use gateway::{
    budget::{Account, Budget},
    door::connection::{ConnectionLimits, Guest, serve},
    hub::{Hub, Member, RealmConfig},
    observe::{diagnostics::Diagnostics, metrics::Metrics},
    outbox::OutboxLimits,
    session::{Close, Permissions, RealmLimits},
    wire::{
        frame::Frames,
        id::{CallId, FreshIds, MessageId, NodeId},
        message::{
            Call, Connect, Incoming, Message, Procedure, Publish, Qos, RealmId, RegisterProcedure,
            Reply, Subscribe, Term, decode, encode, incoming,
        },
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

use crate::{dice::Dice, shapes::Shapes};

const REALM: &str = "a";
const GUESTS: usize = 8;

pub fn hub() -> Hub {
    let realm = RealmConfig {
        name: REALM.parse().unwrap(),
        certificate_required: false,
        permissions: Permissions::default(),
    };
    let diagnostics =
        Diagnostics { node: "n".to_owned(), realm: REALM.to_owned(), started: Instant::now() };
    let (outbox, metrics) = (OutboxLimits::default(), Arc::new(Metrics::new()));
    Hub::new(&[realm], RealmLimits::default(), outbox, diagnostics, metrics, Budget::unlimited())
}

fn connect() -> Connect {
    Connect {
        version: "1.0".to_owned(),
        node_id: NodeId([1; 32]),
        realm_id: RealmId::Name(REALM.to_owned()),
        capabilities: Vec::new(),
        token: None,
    }
}

/// A client of the hub, without a transport.
struct Client {
    member: Member,
    frames: Frames,
    fresh: FreshIds,
}

impl Client {
    fn join(hub: &Hub) -> Self {
        let member = hub.admit(&connect(), None, &Account::unlimited()).unwrap();
        Self { member, frames: Frames::new(1 << 16), fresh: FreshIds::new([7; 8]) }
    }

    fn say(&self, message: Message) -> Result<(), Close> {
        self.handle(Incoming::Message(message))
    }

    fn handle(&self, message: Incoming) -> Result<(), Close> {
        let mut above = Vec::new();
        self.member.handle(&mut [message].into_iter(), &mut above)?;
        while self.member.hand_over(&mut above).is_some() {}
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.frames.push(bytes);
        while let Some(frame) = self.frames.next_frame()? {
            let message = incoming(&frame, &mut self.fresh);
            self.handle(message)?;
        }
        Ok(())
    }

    /// What waits for it.
    async fn inbox(&self) -> Vec<Message> {
        let mut frames = Frames::new(u32::MAX);
        while self.member.outbox.bytes() > 0 {
            frames.push(&self.member.outbox.next_frames().await.unwrap());
        }
        let read = || frames.next_frame().unwrap().map(|frame| decode(&frame).unwrap());
        std::iter::from_fn(read).collect()
    }
}

/// Who publishes, subscribes, serves and calls, and counts.
struct Honest {
    publisher: Client,
    subscriber: Client,
    provider: Client,
    caller: Client,
    rounds: u64,
}

const SUM: &str = "honest.sum";

impl Honest {
    async fn join(hub: &Hub) -> Self {
        let join = || Client::join(hub);
        let honest = Self {
            publisher: join(),
            subscriber: join(),
            provider: join(),
            caller: join(),
            rounds: 0,
        };
        let topics = vec!["honest.#".parse().unwrap()];
        let subscribe = Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce });
        honest.subscriber.say(subscribe).unwrap();
        let register = RegisterProcedure { procedure: Procedure(SUM.to_owned()) };
        honest.provider.say(Message::RegisterProcedure(register)).unwrap();
        for client in [&honest.publisher, &honest.subscriber, &honest.provider, &honest.caller] {
            assert!(matches!(client.inbox().await[..], [Message::Pong(_)]));
        }
        honest
    }

    /// Each gets exactly what it should.
    async fn round(&mut self) {
        self.rounds += 1;
        let number = Bytes::copy_from_slice(&self.rounds.to_be_bytes());
        let published = Message::Publish(Publish {
            topic: "honest.count".parse().unwrap(),
            payload: number.clone(),
            qos: Qos::AtMostOnce,
            retain: false,
            message_id: MessageId::from([7; 16]),
        });
        self.publisher.say(published.clone()).unwrap();
        assert_eq!(self.subscriber.inbox().await, [published]);
        let (procedure, call_id) = (Procedure(SUM.to_owned()), CallId::from([1; 16]));
        let args = Term::of_json(&serde_json::json!({ "number": self.rounds })).unwrap();
        let own = call_id.clone();
        let call = Call { procedure, args: args.clone(), call_id: own, timeout: None };
        self.caller.say(Message::Call(call)).unwrap();
        let asked = self.provider.inbox().await;
        let [Message::Call(asked)] = &asked[..] else { panic!("{asked:?} is no call") };
        assert_eq!(asked.args, args);
        let reply = Reply { call_id: asked.call_id.clone(), outcome: Ok(args.clone()) };
        self.provider.say(Message::Reply(reply)).unwrap();
        let reply = Message::Reply(Reply { call_id, outcome: Ok(args) });
        assert_eq!(self.caller.inbox().await, [reply]);
        assert_eq!(self.publisher.inbox().await, []);
    }
}

#[tokio::test]
async fn clients_that_send_anything_harm_nobody_else() {
    let (dice, shapes, hub) = (Dice::of(2), Shapes::new(), hub());
    let mut honest = Honest::join(&hub).await;
    let mut guests: Vec<Client> = (0..GUESTS).map(|_| Client::join(&hub)).collect();
    let mut ended = 0_u64;
    for frame in dice.frames() {
        let guest = &mut guests[dice.below(GUESTS)];
        if guest.send(&shapes.frame(&dice)).is_err() {
            ended += 1;
            std::mem::replace(guest, Client::join(&hub)).member.leave();
        }
        if guest.member.outbox.bytes() > 1 << 16 {
            guest.inbox().await;
        }
        if frame % 256 == 0 {
            honest.round().await;
        }
    }
    assert!(ended > 0);
    guests.into_iter().for_each(|guest| guest.member.leave());
    let counts = hub.counts();
    assert_eq!((counts.clients, counts.subscriptions, counts.registrations), (4, 1, 1));
    assert_eq!(hub.open_calls(), 0);
}

/// The same through whole connections, each of which ends by a DISCONNECT or as the client wanted.
#[tokio::test]
async fn connections_that_carry_anything_end_by_themselves_and_harm_nobody_else() {
    let (dice, shapes, hub) = (Dice::of(3), Shapes::new(), hub());
    let mut honest = Honest::join(&hub).await;
    // A connection is dear: a hundredth of the frames.
    let mut frames = dice.frames().step_by(100).peekable();
    while frames.peek().is_some() {
        let (ours, theirs) = duplex(1 << 16);
        let (mut reader, mut writer) = split(ours);
        let (served_reader, served_writer) = split(theirs);
        let limits =
            ConnectionLimits { most_payload_bytes: 1 << 16, ..ConnectionLimits::default() };
        let say = async {
            let mut bytes = if dice.once_in(8) {
                Vec::new()
            } else {
                encode(&Message::Connect(connect())).to_vec()
            };
            frames
                .by_ref()
                .take(1 + dice.below(20))
                .for_each(|_| bytes.extend(shapes.frame(&dice)));
            // It may have been closed amid them.
            let _ = writer.write_all(&bytes).await;
            let _ = writer.shutdown().await;
        };
        let hear = async {
            let mut heard = Vec::new();
            let _ = reader.read_to_end(&mut heard).await;
            let mut frames = Frames::new(u32::MAX);
            frames.push(&heard);
            while let Some(frame) = frames.next_frame().unwrap() {
                decode(&frame).unwrap();
            }
            assert!(!frames.is_amid_frame(), "the last frame is whole");
        };
        let guest = Guest::local(hub.budget());
        let served = serve(served_reader, served_writer, &guest, &hub, limits);
        tokio::join!(say, hear, served);
        honest.round().await;
        assert_eq!(hub.counts().clients, 4);
    }
}
