//! Hostile neighbours: clients without a certificate, from one address, who try to use up the gateway's memory or a realm's
//! room. Honest clients of another network must not notice.

use std::{fs, net::IpAddr, time::Duration};

use gateway::wire::{
    frame::{Kind, header},
    id::{CallId, MessageId},
    message::{Call, Message, Ping, Pong, Procedure, Publish, Qos, Subscribe, Term},
};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use crate::{
    authority::Authority,
    peer::{Over, Peer},
    process::{Process, command, with_pair},
    world::{LONG, REALM, ask},
};

/// The memory that the gateways of these tests may take.
const MEMORY: usize = 128 << 20;

struct Attacked {
    process: Process,
    authority: Authority,
    _folder: TempDir,
}

impl Attacked {
    fn start() -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        authority.write_server(folder.path());
        let memory = MEMORY.to_string();
        let many = ["--handshakes", "100000", "--handshakes-per-prefix", "100000"];
        let arguments = [&["--port", "0", "--memory", &memory][..], &many].concat();
        let mut command = command(&arguments);
        with_pair(&mut command, folder.path());
        Self { process: Process::start(&mut command), authority, _folder: folder }
    }

    async fn reach(&self, from: [u8; 4], over: Over) -> Peer {
        let tls = self.authority.trusted(None);
        Peer::reach_from(IpAddr::from(from), over, self.process.at(over), tls).await.unwrap()
    }

    /// A client of the network from which the attacks come.
    async fn attacker(&self, over: Over) -> Peer {
        let mut peer = self.reach([127, 0, 0, 1], over).await;
        peer.join(REALM).await;
        peer
    }

    async fn honest(&self) -> Honest {
        let (mut one, mut other) = (
            self.reach([127, 0, 7, 1], Over::Tcp).await,
            self.reach([127, 0, 7, 2], Over::Tcp).await,
        );
        one.join(REALM).await;
        other.join(REALM).await;
        other.send(subscribe(&["honest.#"])).await;
        other.ping().await;
        Honest { one, other, said: 0 }
    }

    /// A number of /proc/PID/status, in bytes.
    fn status(&self, key: &str) -> usize {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
    }

    fn stayed_below_its_limit(&self) {
        let most = self.status("VmHWM:");
        println!("{} KiB at most, {} KiB now", most >> 10, self.status("VmRSS:") >> 10);
        assert!(most < MEMORY, "{most} bytes were resident");
    }

    /// Waits until no more than this is resident.
    async fn shrinks_to(&self, bytes: usize) {
        let shrunk = async {
            let mut ticks = interval(Duration::from_millis(50));
            while self.status("VmRSS:") > bytes {
                ticks.tick().await;
            }
        };
        let shrunk = timeout(LONG, shrunk).await;
        assert!(shrunk.is_ok(), "{} bytes are kept", self.status("VmRSS:"));
    }

    async fn metric(&self, name: &str) -> u64 {
        let (_, metrics) = ask(self.process.health, "/metrics").await;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        metrics.lines().find_map(value).unwrap_or(0)
    }
}

/// One that publishes, and one that gets it.
struct Honest {
    one: Peer,
    other: Peer,
    said: u8,
}

impl Honest {
    async fn round(&mut self) {
        self.said = self.said.wrapping_add(1);
        let message = publish("honest.a", vec![self.said; 30_000], false);
        self.one.send(message).await;
        match timeout(LONG, heard(&mut self.other)).await {
            Ok(Some(Message::Publish(heard))) => {
                assert_eq!(heard.payload, vec![self.said; 30_000]);
            }
            Ok(other) => panic!("{other:?}: the honest client is not served any more"),
            Err(_) => {
                panic!("{:?}: the honest client is not heard any more", self.one.next().await)
            }
        }
    }
}

/// The next message that is no PING of the gateway, which is answered.
async fn heard(peer: &mut Peer) -> Option<Message> {
    loop {
        match peer.next().await {
            Some(Message::Ping(Ping { timestamp })) => {
                peer.send(Message::Pong(Pong { timestamp, server_time: 0 })).await;
            }
            other => return other,
        }
    }
}

fn publish(topic: &str, payload: Vec<u8>, retain: bool) -> Message {
    Message::Publish(Publish {
        topic: topic.parse().unwrap(),
        payload: payload.into(),
        qos: Qos::AtMostOnce,
        retain,
        message_id: MessageId::from([7; 16]),
    })
}

fn subscribe(patterns: &[&str]) -> Message {
    let topics = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })
}

#[tokio::test]
async fn frames_that_lack_a_byte_do_not_use_up_the_memory() {
    let world = Attacked::start();
    let mut honest = world.honest().await;
    let frame = [&header(Kind::Publish, 1 << 20)[..], &vec![7; (1 << 20) - 1]].concat();
    let mut attackers = Vec::new();
    for number in 0..120 {
        let mut attacker = world.attacker(Over::BOTH[number % 2]).await;
        attacker.write(&frame).await;
        attackers.push(attacker);
        honest.round().await;
    }
    world.stayed_below_its_limit();
    let gone = "macula_gateway_connections_closed_total{reason=\"memory\"}";
    assert!(world.metric(gone).await > 40, "120 MiB were sent");
    drop(attackers);
    honest.round().await;
}

#[tokio::test]
async fn subscribers_that_do_not_read_do_not_use_up_the_memory() {
    let world = Attacked::start();
    let mut honest = world.honest().await;
    let mut mute = Vec::new();
    for number in 0..40 {
        let mut peer = world.attacker(Over::BOTH[number % 2]).await;
        peer.send(subscribe(&["flood.#"])).await;
        peer.ping().await;
        mute.push(peer);
    }
    let mut publisher = world.attacker(Over::Tcp).await;
    for number in 0..20_u32 {
        // Each a second's worth of what is copied for each receiver.
        for _ in 0..200 {
            publisher.send(publish("flood.a", vec![1; 2000], false)).await;
        }
        if number % 4 == 0 {
            publisher.send(publish("flood.b", vec![2; 1 << 19], false)).await;
        }
        honest.round().await;
    }
    world.stayed_below_its_limit();
    drop((mute, publisher));
    honest.round().await;
    world.shrinks_to(60 << 20).await;
}

#[tokio::test]
async fn patterns_of_many_segments_take_little_and_go_with_their_clients() {
    let world = Attacked::start();
    let mut honest = world.honest().await;
    let before = world.status("VmRSS:");
    let mut attackers = Vec::new();
    for number in 0..30 {
        let mut attacker = world.attacker(Over::Tcp).await;
        let pattern = |at: u32| {
            let segment = |place: u32| format!("{:x}", (at * 31 + place * 17 + number) % 256);
            let segments = (0..62).map(segment).collect::<Vec<_>>().join(".");
            format!("{number}.{at}.{segments}")
        };
        let patterns: Vec<String> = (0..1024).map(pattern).collect();
        for some in patterns.chunks(128) {
            attacker.send(subscribe(&some.iter().map(String::as_str).collect::<Vec<_>>())).await;
        }
        attacker.ping().await;
        attackers.push(attacker);
    }
    honest.round().await;
    let taken = world.status("VmRSS:") - before;
    assert!(taken < 48 << 20, "{taken} bytes for 4 MB");
    assert!(world.metric("macula_gateway_memory_held_bytes{what=\"subscriptions\"}").await > 0);
    world.stayed_below_its_limit();
    drop(attackers);
    world.shrinks_to(before + (16 << 20)).await;
    honest.round().await;
}

#[tokio::test]
async fn strangers_hold_next_to_nothing() {
    let world = Attacked::start();
    let mut honest = world.honest().await;
    let before = world.status("VmRSS:");
    // As much as a CONNECT may have, and a long frame, without the last byte.
    let short = [&header(Kind::Connect, 4 << 10)[..], &[7; 4095]].concat();
    let long = [&header(Kind::Publish, 1 << 20)[..], &vec![7; (1 << 20) - 1]].concat();
    let mut strangers = Vec::new();
    for number in 0..100 {
        let mut stranger = world.reach([127, 0, 0, 1], Over::BOTH[number % 2]).await;
        stranger.write(if number % 4 < 2 { &short } else { &long }).await;
        strangers.push(stranger);
    }
    honest.round().await;
    let taken = world.status("VmRSS:").saturating_sub(before);
    assert!(taken < 100 * (100 << 10), "{taken} bytes");
}

#[tokio::test]
async fn calls_to_a_provider_that_is_mute_do_not_make_others_busy() {
    let world = Attacked::start();
    let (mut provider, mut honest) = (world.attacker(Over::Tcp).await, world.honest().await);
    provider.register("mute").await;
    honest.other.register("honest.add").await;
    let call = |procedure: &str, number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        Message::Call(Call {
            procedure: Procedure(procedure.to_owned()),
            args: Term::from("x"),
            call_id: CallId::from([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            timeout: None,
        })
    };
    let mut attackers = Vec::new();
    for _ in 0..16 {
        let mut attacker = world.attacker(Over::Tcp).await;
        for number in 0..4096 {
            attacker.send(call("mute", number)).await;
        }
        attackers.push(attacker);
    }
    assert!(world.metric("macula_gateway_calls_open").await <= 16_384);
    honest.one.send(call("honest.add", 1)).await;
    let asked = heard(&mut honest.other).await;
    assert!(matches!(asked, Some(Message::Call(_))), "{asked:?}");
    world.stayed_below_its_limit();
}

#[tokio::test]
async fn who_fills_what_a_realm_retains_makes_room_for_others() {
    let world = Attacked::start();
    let mut honest = world.honest().await;
    let mut attacker = world.attacker(Over::Tcp).await;
    for number in 0..65_536 {
        attacker.send(publish(&format!("x.{number}"), vec![1], true)).await;
    }
    attacker.ping().await;
    assert!(world.metric("macula_gateway_messages_not_retained_total").await > 0, "it is full");
    honest.one.send(publish("kept.a", vec![7], true)).await;
    honest.one.ping().await;
    honest.other.send(subscribe(&["kept.#"])).await;
    let Some(Message::Publish(kept)) = heard(&mut honest.other).await else {
        panic!("not retained")
    };
    assert_eq!(kept.topic.as_str(), "kept.a");
    assert_eq!(world.metric("macula_gateway_messages_no_longer_retained_total").await, 1);
    world.stayed_below_its_limit();
}
