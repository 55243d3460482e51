//! What clients of upstream said to this gateway and were told, frame by frame as it was recorded: read, and played again.

use std::{collections::HashMap, time::Duration};

use gateway::wire::{
    frame::{Frames, Kind, header},
    id::{CallId, FreshIds},
    message::{Incoming, Message, Reply, Subscribe, Term, decode, encode, incoming},
};
use serde::Deserialize;
use tokio::time::{interval, timeout};

use crate::{
    peer::{Over, Peer},
    world::{LONG, REALM, World, ask},
};

const RECORDED: &str = include_str!("../sessions/macula.jsonl");

#[derive(Debug, Deserialize)]
struct Line {
    scenario: String,
    peer: String,
    direction: String,
    #[serde(rename = "type")]
    kind: String,
    hex: String,
}

impl Line {
    fn bytes(&self) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&self.hex[at..at + 2], 16).unwrap();
        (0..self.hex.len()).step_by(2).map(byte).collect()
    }

    fn message(&self) -> Message {
        let mut frames = Frames::new(1 << 20);
        frames.push(&self.bytes());
        decode(&frames.next_frame().unwrap().unwrap()).unwrap()
    }
}

fn recorded() -> Vec<Line> {
    let lines: Vec<Line> =
        RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 100);
    lines
}

#[test]
fn every_frame_that_clients_of_upstream_sent_and_got_is_read() {
    let mut fresh = FreshIds::new([7; 8]);
    for line in recorded() {
        let mut frames = Frames::new(1 << 20);
        frames.push(&line.bytes());
        let frame = frames.next_frame().unwrap().unwrap();
        assert_eq!(frame.kind.name(), line.kind);
        let message = decode(&frame).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        if line.direction == "to_gateway" {
            let taken = incoming(&frame, &mut fresh);
            assert!(!matches!(taken, Incoming::Unread(_)), "{line:?}: {taken:?}");
        }
        let mut again = Frames::new(1 << 20);
        again.push(&encode(&message));
        assert_eq!(decode(&again.next_frame().unwrap().unwrap()), Ok(message));
    }
}

/// A scenario that is played: what the gateway said must come again. What a peer must have said and the recording lacks
/// is said for it.
struct Play<'a> {
    world: &'a World,
    over: Over,
    peers: HashMap<String, Peer>,
    /// Who was asked under which id, and has not answered.
    asked: Option<(String, CallId)>,
    /// What the last call carried: the recording gateway wrote a `str`, which is how Erlang packs a list of small
    /// numbers, as `bin`.
    called: Option<Term>,
    /// A message was published and has not come.
    published: bool,
    subscribed: bool,
}

impl Play<'_> {
    async fn line(&mut self, line: &Line) {
        match line.direction.as_str() {
            "to_gateway" => self.say(line).await,
            "to_client" => self.hear(line).await,
            other => panic!("{other} is no direction"),
        }
    }

    async fn peer(&mut self, name: &str) -> &mut Peer {
        if !self.peers.contains_key(name) {
            let peer = self.world.reach(self.over, None).await;
            self.peers.insert(name.to_owned(), peer);
            self.peers.get_mut(name).unwrap().connect(REALM).await;
        }
        self.peers.get_mut(name).unwrap()
    }

    async fn say(&mut self, line: &Line) {
        match line.message() {
            Message::Connect(_) => {
                self.leave(&line.peer).await;
                let mut peer = self.world.reach(self.over, None).await;
                peer.write(&line.bytes()).await;
                self.peers.insert(line.peer.clone(), peer);
            }
            Message::Reply(reply) => {
                let (provider, call_id) = self.asked.take().unwrap();
                assert_eq!(provider, line.peer);
                self.peer(&provider).await.send(Message::Reply(Reply { call_id, ..reply })).await;
            }
            Message::Subscribe(_) | Message::RegisterProcedure(_) => {
                self.subscribed = true;
                let peer = self.peer(&line.peer).await;
                peer.write(&line.bytes()).await;
                peer.ping().await;
            }
            other => {
                self.published |= matches!(other, Message::Publish(_));
                if let Message::Call(call) = &other {
                    self.called = Some(call.args.clone());
                }
                self.peer(&line.peer).await.write(&line.bytes()).await;
            }
        }
    }

    async fn hear(&mut self, line: &Line) {
        let expect = line.message();
        match (&expect, self.asked.take()) {
            (Message::Reply(reply), Some((provider, call_id))) => {
                let reply = Reply { call_id, outcome: reply.outcome.clone() };
                self.peer(&provider).await.send(Message::Reply(reply)).await;
            }
            (_, asked) => self.asked = asked,
        }
        if matches!(expect, Message::Publish(_)) && !std::mem::take(&mut self.published) {
            self.publish_for(line).await;
        }
        let heard = timeout(LONG, self.peer(&line.peer).await.next()).await.unwrap().unwrap();
        match (heard, expect) {
            (Message::Pong(_), Message::Pong(_)) => {}
            (Message::Call(call), Message::Call(expect)) => {
                assert_eq!(
                    (&call.procedure, Some(&call.args)),
                    (&expect.procedure, self.called.as_ref())
                );
                assert_eq!(call.args.bytes(), expect.args.bytes());
                assert_eq!(call.timeout, expect.timeout);
                self.asked = Some((line.peer.clone(), call.call_id));
            }
            (heard, expect) => assert_eq!(heard, expect),
        }
    }

    /// Says what somebody must have published for this to come.
    async fn publish_for(&mut self, line: &Line) {
        if !std::mem::replace(&mut self.subscribed, true) {
            let topics = vec!["**".parse().unwrap()];
            let subscriber = self.peer(&line.peer).await;
            subscriber
                .send(Message::Subscribe(Subscribe { topics, qos: Default::default() }))
                .await;
            subscriber.ping().await;
        }
        let other = if line.peer == "a" { "b" } else { "a" };
        self.peer(other).await.write(&line.bytes()).await;
    }

    /// Ends a connection, and waits until the gateway has seen it.
    async fn leave(&mut self, name: &str) {
        let Some(peer) = self.peers.remove(name) else { return };
        drop(peer);
        let mut ticks = interval(Duration::from_millis(5));
        let left = async {
            while self.world.gateway.hub().counts().clients > self.peers.len() {
                ticks.tick().await;
            }
        };
        timeout(LONG, left).await.unwrap();
    }
}

#[tokio::test]
async fn what_clients_of_upstream_did_succeeds_again_over_each_transport() {
    let lines = recorded();
    for over in Over::BOTH {
        let mut played = 0;
        for scenario in lines.chunk_by(|one, other| one.scenario == other.scenario) {
            let world = World::new().await;
            let mut play = Play {
                world: &world,
                over,
                peers: HashMap::new(),
                asked: None,
                called: None,
                published: false,
                subscribed: false,
            };
            for line in scenario {
                play.line(line).await;
                played += 1;
            }
            for peer in play.peers.values_mut() {
                peer.ping().await;
            }
            let (_, metrics) = ask(world.gateway.health, "/metrics").await;
            assert!(!metrics.contains("messages_passed_over_total{"), "{metrics}");
        }
        assert_eq!(played, lines.len());
    }
}

/// What a client of upstream publishes each 30 seconds.
fn heartbeat(number: u32) -> Vec<u8> {
    let mut payload = vec![0x83];
    let id = [&b"heartbeat"[..], &number.to_be_bytes()[1..]].concat();
    for (key, value) in [
        (&b"topic"[..], &b"_mesh.relay.ping"[..]),
        (b"payload", b"{\"rtt\":1}"),
        (b"message_id", &id),
    ] {
        for bytes in [key, value] {
            payload.extend([0xc4, u8::try_from(bytes.len()).unwrap()]);
            payload.extend(bytes);
        }
    }
    [&header(Kind::Publish, u32::try_from(payload.len()).unwrap())[..], &payload].concat()
}

#[tokio::test]
async fn heartbeats_with_ids_of_twelve_bytes_are_delivered_under_fresh_ones_and_end_nothing() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut subscriber = world.join(over, REALM).await;
        let topics = vec!["_mesh.**".parse().unwrap()];
        let subscribe = Subscribe { topics, qos: Default::default() };
        subscriber.send(Message::Subscribe(subscribe)).await;
        subscriber.ping().await;
        let mut client = world.join(over, REALM).await;
        let mut ids = Vec::new();
        for number in 0..10 {
            client.write(&heartbeat(number)).await;
            client.ping().await;
            let Some(Message::Publish(publish)) = subscriber.next().await else {
                panic!("no publish")
            };
            assert_eq!(publish.topic.as_str(), "_mesh.relay.ping");
            assert_eq!(publish.message_id.bytes().len(), 16);
            assert!(!ids.contains(&publish.message_id));
            ids.push(publish.message_id);
        }
    }
}

#[tokio::test]
async fn what_is_not_understood_is_passed_over_counted_and_ends_nothing() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut client = world.join(over, REALM).await;
        let frame = |code, payload: &[u8]| {
            let length = u32::try_from(payload.len()).unwrap();
            [&header(Kind::of(code), length)[..], payload].concat()
        };
        for frame in [
            frame(0x27, b"\x80"),
            frame(0x2b, b"no map at all"),
            frame(0x99, &[0xc1; 10_000]),
            frame(0x10, b"\x82\xa5topic\xa3a.*\xa7payload\xa1x"),
            frame(0x10, b"\x82\xa5topic\xa3a\nb\xa7payload\xa1x"),
            frame(0x10, b"\xc1"),
            frame(0x11, b"\x81\xa6topics\xdd\xff\xff\xff\xff"),
            frame(0x22, &[&b"\x82\xa9procedure\xa1p\xa4args"[..], &[0x91; 5000]].concat()),
        ] {
            client.write(&frame).await;
            client.ping().await;
        }
        client.connect(REALM).await;
        client.ping().await;
        client.write(&frame(0x20, b"\x82\xa7call_id\xa2id\xa4args\xc1")).await;
        let Some(Message::Reply(reply)) = client.next().await else { panic!("no reply") };
        assert_eq!(reply.call_id.bytes(), b"id");
        assert_eq!(reply.outcome.unwrap_err().code, "invalid_call");
    }
    let (_, metrics) = ask(world.gateway.health, "/metrics").await;
    for (reason, count) in [
        ("type_0x27", 2),
        ("type_0x2b", 2),
        ("type_other", 2),
        ("topic", 4),
        ("unreadable", 8),
        ("connect", 2),
    ] {
        let line = format!("messages_passed_over_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}
