//! Connections over pipes in memory, with a hub behind them.

mod memory;
mod slow;

use sha2::{Digest, Sha256};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::{input::CHUNK, *};
use crate::{
    hub::RealmConfig,
    observe::{
        diagnostics::Diagnostics,
        metrics::{Metrics, Realms},
    },
    outbox::OutboxLimits,
    session::{Permissions, RealmLimits},
    wire::{
        frame,
        id::{CallId, MessageId, NodeId},
        message::{
            Call, Disconnect, Ping, Pong, Procedure, Publish, Qos, RealmId, RegisterProcedure,
            Reply, Subscribe, Term, decode,
        },
    },
};

const REALM: &str = "be.cortexiq.energy";

fn hub(outbox: OutboxLimits) -> Arc<Hub> {
    let realm = |name: &str, certificate_required| RealmConfig {
        name: name.parse().unwrap(),
        certificate_required,
        permissions: Permissions::default(),
    };
    let realms = [realm(REALM, false), realm("other", false), realm("closed", true)];
    let diagnostics = Diagnostics {
        node: "gateway-0".to_owned(),
        realm: REALM.to_owned(),
        started: std::time::Instant::now(),
    };
    let metrics = Arc::new(Metrics::new());
    Arc::new(Hub::new(
        &realms,
        RealmLimits::default(),
        outbox,
        diagnostics,
        metrics,
        Budget::unlimited(),
    ))
}

struct Client {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    frames: Frames,
    served: tokio::task::JoinHandle<Ended>,
}

impl Client {
    /// Begins a connection, without a connect. Its pipe holds `room` bytes each way.
    fn begin(
        hub: &Arc<Hub>,
        limits: ConnectionLimits,
        room: usize,
        identity: Option<Identity>,
    ) -> Self {
        let (ours, theirs) = duplex(room);
        let (reader, writer) = split(ours);
        let hub = hub.clone();
        let served = tokio::spawn(async move {
            let (reader, writer) = split(theirs);
            let guest = Guest { identity, ..Guest::local(hub.budget()) };
            serve(reader, writer, &guest, &hub, limits).await
        });
        Self { reader, writer, frames: Frames::new(1 << 20), served }
    }

    async fn connect(hub: &Arc<Hub>) -> Self {
        let mut client = Self::begin(hub, ConnectionLimits::default(), CHUNK, None);
        client.send(connect(REALM)).await;
        assert!(matches!(client.next().await, Some(Message::Pong(_))));
        client
    }

    async fn send(&mut self, message: Message) {
        self.writer.write_all(&encode(&message)).await.unwrap();
    }

    /// The next message; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return Some(decode(&frame).unwrap());
            }
            if self.reader.read_buf(self.frames.buffer()).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// The reason of the disconnect that must come now, after any pings, and how the gateway saw the end.
    async fn ended(mut self) -> (String, Ended) {
        let last = loop {
            match self.next().await {
                Some(Message::Ping(_)) => {}
                Some(Message::Disconnect(last)) => break last,
                other => panic!("{other:?} is no disconnect"),
            }
        };
        // A client that has its refusal does not wait for the end.
        let _ = self.writer.shutdown().await;
        assert_eq!(self.next().await, None);
        (last.reason, self.served.await.unwrap())
    }

    async fn subscribe(&mut self, pattern: &str) {
        let topics = vec![pattern.parse().unwrap()];
        self.send(Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })).await;
        self.settle().await;
    }

    /// All that was sent before was processed: frames are taken in order.
    async fn settle(&mut self) {
        self.send(Message::Ping(Ping { timestamp: 1 })).await;
        assert!(matches!(self.next().await, Some(Message::Pong(_))));
    }
}

fn connect(realm: &str) -> Message {
    Message::Connect(Connect {
        version: "1.0".to_owned(),
        node_id: NodeId([1; 32]),
        realm_id: RealmId::Name(realm.to_owned()),
        capabilities: Vec::new(),
        token: None,
    })
}

fn publish(number: u8, payload: usize) -> Message {
    Message::Publish(Publish {
        topic: "a.b".parse().unwrap(),
        payload: vec![number; payload].into(),
        qos: Qos::AtMostOnce,
        retain: false,
        message_id: MessageId::from([number; 16]),
    })
}

#[tokio::test]
async fn what_one_publishes_the_other_gets_in_order() {
    let hub = hub(OutboxLimits::default());
    let (mut publisher, mut subscriber) =
        (Client::connect(&hub).await, Client::connect(&hub).await);
    subscriber.subscribe("a.#").await;
    for number in 0..100 {
        publisher.send(publish(number, 1000)).await;
    }
    for number in 0..100 {
        assert_eq!(subscriber.next().await, Some(publish(number, 1000)));
    }
    assert_eq!(hub.counts().subscriptions, 1);
}

#[tokio::test]
async fn messages_and_bytes_are_counted_as_they_are_read_and_written() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
    let large = publish(1, CHUNK);
    let topics = vec!["#".parse().unwrap()];
    let said = [
        connect(REALM),
        Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce }),
        publish(1, 10),
        large.clone(),
        Message::Ping(Ping { timestamp: 1 }),
    ];
    let bytes = said.iter().flat_map(|message| encode(message).to_vec()).collect::<Vec<_>>();
    let mut other = Client::connect(&hub).await;
    other.subscribe("#").await;
    client.writer.write_all(&bytes).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(client.next().await, Some(Message::Pong(_))));
    }
    assert_eq!(other.next().await, Some(publish(1, 10)));
    assert_eq!(other.next().await, Some(large.clone()));
    client.writer.write_all(b"no frame").await.unwrap();
    let Some(Message::Disconnect(last)) = client.next().await else { panic!("no disconnect") };
    assert!(client.served.await.is_ok());
    other.settle().await;
    let metrics = hub.metrics.realm(&REALM.parse().unwrap());
    let length = |message: &Message| u64::try_from(encode(message).len()).unwrap();
    let pong =
        length(&Message::Pong(Pong { timestamp: calendar_ms(), server_time: calendar_ms() }));
    let short = length(&Message::Pong(Pong { timestamp: 1, server_time: calendar_ms() }));
    let ping = length(&Message::Ping(Ping { timestamp: 1 }));
    let all = u64::try_from(bytes.len() + b"no frame".len()).unwrap();
    let of_other = length(&said[0]) + length(&said[1]) + 2 * ping;
    assert_eq!(metrics.messages_in.get(), 5 + 4);
    assert_eq!(metrics.bytes_in.get(), all + of_other);
    assert_eq!(metrics.messages_out.get(), 3 + 5);
    let to_client = pong + short + length(&Message::Disconnect(last));
    let to_other = pong + 2 * short + length(&publish(1, 10)) + length(&large);
    assert_eq!(metrics.bytes_out.get(), to_client + to_other);
}

#[tokio::test]
async fn realms_do_not_hear_each_other() {
    let hub = hub(OutboxLimits::default());
    let mut publisher = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
    publisher.send(connect("other")).await;
    publisher.next().await;
    let mut subscriber = Client::connect(&hub).await;
    subscriber.subscribe("#").await;
    publisher.send(publish(1, 1)).await;
    publisher.settle().await;
    subscriber.settle().await;
}

#[tokio::test]
async fn a_call_reaches_its_provider_and_the_reply_its_caller() {
    let hub = hub(OutboxLimits::default());
    let (mut provider, mut caller) = (Client::connect(&hub).await, Client::connect(&hub).await);
    let procedure = Procedure("com.example.add".to_owned());
    let register = RegisterProcedure { procedure: procedure.clone() };
    provider.send(Message::RegisterProcedure(register)).await;
    provider.settle().await;
    let (call_id, args) = (CallId::from([1; 16]), Term::from("[1,2]"));
    let call = Call { procedure, args: args.clone(), call_id: call_id.clone(), timeout: None };
    caller.send(Message::Call(call)).await;
    let Some(Message::Call(asked)) = provider.next().await else { panic!("no call") };
    assert_eq!(asked.args, args);
    let outcome = Ok(Term::from("3"));
    let reply = Reply { call_id: asked.call_id, outcome: outcome.clone() };
    provider.send(Message::Reply(reply)).await;
    assert_eq!(caller.next().await, Some(Message::Reply(Reply { call_id, outcome })));
    let metrics = hub.metrics.encode(hub.snapshot(), true);
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<f64>().unwrap()
    };
    assert_eq!(value("macula_gateway_call_seconds_count"), 1.0);
    let took = value("macula_gateway_call_seconds_sum");
    assert!(took > 0.0, "less than a millisecond is something");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_nothing_costs_its_caller_no_more_than_the_deadline() {
    let hub = hub(OutboxLimits::default());
    tokio::spawn(hub.clone().keep_deadlines(Arc::default()));
    let (mut provider, mut caller) = (Client::connect(&hub).await, Client::connect(&hub).await);
    let procedure = Procedure("slow".to_owned());
    let register = RegisterProcedure { procedure: procedure.clone() };
    provider.send(Message::RegisterProcedure(register)).await;
    provider.settle().await;
    let call =
        Call { procedure, args: "".into(), call_id: CallId::from([1; 16]), timeout: Some(1) };
    caller.send(Message::Call(call)).await;
    let Some(Message::Reply(reply)) = caller.next().await else { panic!("no reply") };
    assert_eq!(reply.outcome.unwrap_err().code, "timeout");
}

#[tokio::test]
async fn diagnostics_are_answered_by_the_gateway() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::connect(&hub).await;
    let procedure = Procedure("com.macula.diagnostics.echo".to_owned());
    let (call_id, args) = (CallId::from([1; 16]), Term::from("hi"));
    client
        .send(Message::Call(Call {
            procedure,
            args: args.clone(),
            call_id: call_id.clone(),
            timeout: None,
        }))
        .await;
    let reply = Message::Reply(Reply { call_id, outcome: Ok(args) });
    assert_eq!(client.next().await, Some(reply));
}

#[tokio::test]
async fn who_asks_for_more_echoes_than_it_reads_is_slowed_and_stays() {
    let limits =
        OutboxLimits { mark_bytes: 64 << 10, most_bytes: 1 << 20, ..OutboxLimits::default() };
    let hub = hub(limits);
    let mut client = Client::connect(&hub).await;
    let procedure = Procedure("com.macula.diagnostics.echo".to_owned());
    let args = Term::from(vec![7; 32 << 10]);
    let mut writer = std::mem::replace(&mut client.writer, split(duplex(1).0).1);
    let call =
        Call { procedure, args: args.clone(), call_id: CallId::from([1; 16]), timeout: None };
    let call = encode(&Message::Call(call));
    let asking = tokio::spawn(async move {
        for _ in 0..64 {
            writer.write_all(&call).await.unwrap();
        }
        writer
    });
    for _ in 0..64 {
        let Some(Message::Reply(reply)) = client.next().await else { panic!("no reply") };
        assert_eq!(reply.outcome.unwrap(), args);
    }
    asking.await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_not_admitted_gets_the_reason() {
    let hub = hub(OutboxLimits::default());
    let of = |realm: &str| Identity { realm: realm.parse().unwrap(), node: NodeId([1; 32]) };
    let other_node = Identity { node: NodeId([2; 32]), ..of(REALM) };
    let version = match connect(REALM) {
        Message::Connect(connect) => {
            Message::Connect(Connect { version: "9".to_owned(), ..connect })
        }
        other => other,
    };
    for (first, identity, reason) in [
        (connect("nowhere"), None, "unknown_realm"),
        (connect("closed"), None, "identity"),
        (connect(REALM), Some(of("other")), "identity"),
        (connect(REALM), Some(other_node), "identity"),
        (version, None, "protocol"),
        (Message::Ping(Ping { timestamp: 1 }), None, "protocol"),
    ] {
        let mut client = Client::begin(&hub, ConnectionLimits::default(), CHUNK, identity);
        client.send(first).await;
        assert_eq!(client.ended().await.0, reason);
    }
    let mut member = Client::begin(&hub, ConnectionLimits::default(), CHUNK, Some(of("closed")));
    member.send(connect("closed")).await;
    assert!(matches!(member.next().await, Some(Message::Pong(_))));
}

#[tokio::test]
async fn a_stranger_with_a_long_first_frame_is_refused_by_its_header() {
    let hub = hub(OutboxLimits::default());
    for kind in [Kind::Connect, Kind::Publish] {
        let mut client = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
        client.writer.write_all(&frame::header(kind, 1 << 20)).await.unwrap();
        assert_eq!(client.ended().await.0, "error");
    }
    let mut member = Client::connect(&hub).await;
    member.send(publish(1, 1 << 16)).await;
    member.settle().await;
}

#[tokio::test]
async fn a_realm_is_found_by_its_hash_and_by_any_spelling_of_its_name() {
    let hub = hub(OutboxLimits::default());
    let Message::Connect(named) = connect(REALM) else { panic!("no connect") };
    let hash = <[u8; 32]>::from(Sha256::digest(REALM));
    let spelling = "  BE.CortexIQ.energy\n".to_owned();
    for realm_id in [RealmId::Sha256(hash), RealmId::Name(spelling)] {
        let mut client = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
        client.send(Message::Connect(Connect { realm_id, ..named.clone() })).await;
        assert!(matches!(client.next().await, Some(Message::Pong(_))));
    }
    let mut client = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
    let realm_id = RealmId::Sha256([0xee; 32]);
    client.send(Message::Connect(Connect { realm_id, ..named })).await;
    assert_eq!(client.ended().await.0, "unknown_realm");
}

#[tokio::test]
async fn what_was_asked_before_the_stream_ended_is_still_answered() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::connect(&hub).await;
    client.send(Message::Ping(Ping { timestamp: 7 })).await;
    client.writer.shutdown().await.unwrap();
    assert!(matches!(client.next().await, Some(Message::Pong(Pong { timestamp: 7, .. }))));
    assert_eq!(client.next().await, None);
    assert_eq!(client.served.await.unwrap().reason(), "normal");
}

#[tokio::test]
async fn a_stream_that_ends_within_a_frame_was_lost() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::connect(&hub).await;
    client.writer.write_all(&encode(&publish(1, 10))[..20]).await.unwrap();
    client.writer.shutdown().await.unwrap();
    assert_eq!(client.served.await.unwrap().reason(), "lost");
    assert_eq!(hub.counts().clients, 0);
}

#[tokio::test]
async fn what_came_before_a_wrong_frame_was_processed() {
    let hub = hub(OutboxLimits::default());
    let (mut bad, mut subscriber) = (Client::connect(&hub).await, Client::connect(&hub).await);
    subscriber.subscribe("#").await;
    let wrong = [&encode(&publish(1, 3))[..], b"no frame"].concat();
    bad.writer.write_all(&wrong).await.unwrap();
    assert_eq!(subscriber.next().await, Some(publish(1, 3)));
    let (reason, ended) = bad.ended().await;
    assert_eq!((reason.as_str(), ended.reason()), ("error", "error"));
    subscriber.settle().await;
    assert_eq!(hub.counts().clients, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let hub = hub(OutboxLimits::default());
    let silent = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
    assert_eq!(silent.ended().await.0, "timeout");
    let client = Client::connect(&hub).await;
    assert_eq!(client.ended().await.0, "timeout");
    assert_eq!(hub.counts().clients, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::connect(&hub).await;
    for _ in 0..10 {
        let Some(Message::Ping(ping)) = client.next().await else { panic!("no ping") };
        let timestamp = ping.timestamp;
        client.send(Message::Pong(Pong { timestamp, server_time: timestamp })).await;
    }
    client.settle().await;
}

#[tokio::test(start_paused = true)]
async fn where_the_transport_notices_a_dead_client_a_silent_one_stays() {
    let hub = hub(OutboxLimits::default());
    let limits = ConnectionLimits { idle: None, ..ConnectionLimits::default() };
    let mut client = Client::begin(&hub, limits, CHUNK, None);
    client.send(connect(REALM)).await;
    assert!(matches!(client.next().await, Some(Message::Pong(_))));
    sleep(Duration::from_secs(3600)).await;
    client.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_not_waited_for_at_the_end() {
    let hub = hub(OutboxLimits::default());
    let mut stuck = Client::begin(&hub, ConnectionLimits::default(), 128, None);
    stuck.send(connect(REALM)).await;
    assert!(matches!(stuck.next().await, Some(Message::Pong(_))));
    stuck.subscribe("#").await;
    let mut publisher = Client::connect(&hub).await;
    publisher.send(publish(1, 1000)).await;
    publisher.settle().await;
    let began = Instant::now();
    hub.drain();
    assert_eq!(stuck.served.await.unwrap().reason(), "draining");
    assert!(began.elapsed() <= 2 * ConnectionLimits::default().last_words);
}

#[tokio::test(start_paused = true)]
async fn the_last_frame_is_whole_where_a_write_was_under_way() {
    let hub = hub(OutboxLimits::default());
    let mut slow = Client::begin(&hub, ConnectionLimits::default(), 128, None);
    slow.send(connect(REALM)).await;
    assert!(matches!(slow.next().await, Some(Message::Pong(_))));
    slow.subscribe("#").await;
    let mut publisher = Client::connect(&hub).await;
    publisher.send(publish(1, 1000)).await;
    publisher.settle().await;
    // Its own error ends it while the gateway writes to it.
    slow.writer.write_all(b"no frame").await.unwrap();
    assert_eq!(slow.next().await, Some(publish(1, 1000)));
    assert_eq!(slow.ended().await.0, "error");
}

#[tokio::test]
async fn a_gateway_that_stops_lets_calls_end_and_admits_nobody() {
    let hub = hub(OutboxLimits::default());
    let (mut provider, mut caller) = (Client::connect(&hub).await, Client::connect(&hub).await);
    let idle = Client::connect(&hub).await;
    let procedure = Procedure("p".to_owned());
    let register = RegisterProcedure { procedure: procedure.clone() };
    provider.send(Message::RegisterProcedure(register)).await;
    provider.settle().await;
    let (call_id, args) = (CallId::from([1; 16]), Term::from(""));
    caller
        .send(Message::Call(Call { procedure, args, call_id: call_id.clone(), timeout: None }))
        .await;
    let Some(Message::Call(asked)) = provider.next().await else { panic!("no call") };
    hub.stop();
    assert_eq!(hub.drain_some(usize::MAX), 2);
    assert_eq!(idle.ended().await.0, "draining");
    let mut late = Client::begin(&hub, ConnectionLimits::default(), CHUNK, None);
    late.send(connect(REALM)).await;
    assert_eq!(late.ended().await.0, "draining");
    let outcome = Ok(Term::from("3"));
    let reply = Reply { call_id: asked.call_id, outcome: outcome.clone() };
    provider.send(Message::Reply(reply)).await;
    assert_eq!(caller.next().await, Some(Message::Reply(Reply { call_id, outcome })));
    assert_eq!(hub.drain_some(usize::MAX), 0);
    assert_eq!(caller.ended().await.0, "draining");
}

#[tokio::test]
async fn a_gateway_that_cannot_wait_replies_to_calls_under_way() {
    let hub = hub(OutboxLimits::default());
    let (mut provider, mut caller) = (Client::connect(&hub).await, Client::connect(&hub).await);
    let procedure = Procedure("p".to_owned());
    let register = RegisterProcedure { procedure: procedure.clone() };
    provider.send(Message::RegisterProcedure(register)).await;
    provider.settle().await;
    let (call_id, args) = (CallId::from([1; 16]), Term::from(""));
    caller
        .send(Message::Call(Call { procedure, args, call_id: call_id.clone(), timeout: None }))
        .await;
    assert!(matches!(provider.next().await, Some(Message::Call(_))));
    hub.drain();
    let Some(Message::Reply(reply)) = caller.next().await else { panic!("no reply") };
    assert_eq!((reply.call_id, reply.outcome.unwrap_err().code.as_str()), (call_id, "timeout"));
    assert_eq!(caller.ended().await.0, "draining");
}

#[tokio::test]
async fn a_realm_that_asks_for_certificates_from_now_on_keeps_nobody_without() {
    let hub = hub(OutboxLimits::default());
    let client = Client::connect(&hub).await;
    hub.configure(&[RealmConfig {
        name: REALM.parse().unwrap(),
        certificate_required: true,
        permissions: Permissions::default(),
    }]);
    assert_eq!(client.ended().await.0, "identity");
}

#[tokio::test]
async fn a_gateway_that_stops_tells_its_clients() {
    let hub = hub(OutboxLimits::default());
    let client = Client::connect(&hub).await;
    hub.drain();
    let (reason, ended) = client.ended().await;
    assert_eq!((reason.as_str(), ended.reason()), ("draining", "draining"));
}

#[tokio::test(start_paused = true)]
async fn who_says_again_and_again_what_is_passed_over_is_slowed_and_stays() {
    let hub = hub(OutboxLimits::default());
    let limits = ConnectionLimits { control_per_second: 100, ..ConnectionLimits::default() };
    let unreadable = [&frame::header(Kind::Publish, 1)[..], &[0xc1]].concat();
    for said in [frame::header(Kind::Other(0x99), 0).to_vec(), unreadable] {
        let mut client = Client::begin(&hub, limits, CHUNK, None);
        client.send(connect(REALM)).await;
        assert!(matches!(client.next().await, Some(Message::Pong(_))));
        let mut other = Client::connect(&hub).await;
        let began = Instant::now();
        client.writer.write_all(&said.repeat(500)).await.unwrap();
        other.settle().await;
        assert!(began.elapsed() < Duration::from_secs(1), "nobody else waits");
        client.settle().await;
        assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    }
    assert!(hub.metrics.slowed.get() > 0);
}

#[tokio::test]
async fn who_says_goodbye_is_not_answered() {
    let hub = hub(OutboxLimits::default());
    let mut client = Client::connect(&hub).await;
    let goodbye = Disconnect { reason: "normal".to_owned(), message: String::new() };
    client.send(Message::Disconnect(goodbye)).await;
    assert_eq!(client.next().await, None);
    assert_eq!(client.served.await.unwrap().reason(), "normal");
}
