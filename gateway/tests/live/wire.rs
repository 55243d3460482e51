//! What RFC 9000 and the protocol's peers may do with a connection, over both transports.

use std::{net::UdpSocket, sync::Arc, time::Duration};

use gateway::{
    client::{Client, Config, SubscribeOptions, Transport, Trust},
    wire::{
        frame::{Frames, Kind, header},
        message::{Message, Ping, decode, encode},
    },
};
use quinn::{Connection, Endpoint, VarInt, crypto::rustls::QuicClientConfig};
use tokio::time::timeout;

use crate::{
    peer::{NODE, Over, Peer},
    world::{REALM, World, ask},
};

/// The bytes of a CONNECT as Erlang packs it: an empty list is an empty string.
fn connect_of_erlang() -> Vec<u8> {
    let mut payload = vec![0x84];
    for (key, value) in
        [(&b"realm_id"[..], REALM.as_bytes()), (b"node_id", &NODE.0[..]), (b"version", b"1.0")]
    {
        for bytes in [key, value] {
            payload.extend([0xc4, u8::try_from(bytes.len()).unwrap()]);
            payload.extend(bytes);
        }
    }
    payload.extend(b"\xc4\x0ccapabilities\xa0");
    [&header(Kind::Connect, u32::try_from(payload.len()).unwrap())[..], &payload].concat()
}

async fn quic(world: &World) -> (Endpoint, Connection) {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let crypto = QuicClientConfig::try_from(world.authority.trusted(None)).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let at = world.at(Over::Quic);
    let connection = endpoint.connect_with(config, at, "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

/// A ping and its pong on a stream of which nothing else comes.
async fn ping(send: &mut quinn::SendStream, receive: &mut quinn::RecvStream, timestamp: u64) {
    send.write_all(&encode(&Message::Ping(Ping { timestamp }))).await.unwrap();
    let pong = next(receive).await;
    assert!(matches!(pong, Message::Pong(pong) if pong.timestamp == timestamp), "{pong:?}");
}

async fn next(receive: &mut quinn::RecvStream) -> Message {
    let mut frames = Frames::new(1 << 20);
    loop {
        let mut byte = [0];
        receive.read_exact(&mut byte).await.unwrap();
        frames.push(&byte);
        if let Some(frame) = frames.next_frame().unwrap() {
            return decode(&frame).unwrap();
        }
    }
}

async fn joined(world: &World) -> (Endpoint, Connection, quinn::SendStream, quinn::RecvStream) {
    let (endpoint, connection) = quic(world).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&connect_of_erlang()).await.unwrap();
    assert!(matches!(next(&mut receive).await, Message::Pong(_)));
    (endpoint, connection, send, receive)
}

#[tokio::test]
async fn a_connect_as_erlang_packs_it_is_answered_even_byte_by_byte() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut peer = world.reach(over, None).await;
        for byte in connect_of_erlang() {
            peer.write(&[byte]).await;
        }
        assert!(matches!(peer.next().await, Some(Message::Pong(_))));
    }
}

#[tokio::test]
async fn a_client_that_names_no_protocol_is_refused() {
    let world = World::new().await;
    let mut tls = world.authority.trusted(None);
    tls.alpn_protocols.clear();
    let refused = Peer::reach(Over::Quic, world.at(Over::Quic), tls.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("protocol"), "{refused}");
    let mut peer = Peer::reach(Over::Tcp, world.at(Over::Tcp), tls).await.unwrap();
    let (reason, text) = peer.dismissed().await;
    assert_eq!(reason, "protocol");
    assert!(text.contains("ALPN macula"), "{text}");
}

#[tokio::test]
async fn the_longest_frame_of_a_peer_that_writes_str_reaches_a_client_of_the_same_limit() {
    const LIMIT: usize = 1 << 20;
    let world = World::new().await;
    let trust = Trust::Authority(world.folder.path().join("ca.crt"));
    let address = format!("localhost:{}", world.at(Over::Tcp).port());
    let mut config = Config::new(address, REALM.parse().unwrap(), trust);
    config.transport = Transport::Tcp;
    let client = Client::connect(config).await.unwrap();
    let options = SubscribeOptions::default();
    let mut subscription = client.subscribe(&"a".parse().unwrap(), options).await.unwrap();

    let mut payload = b"\x85\xa5topic\xa1a\xa3qos\x00\xa6retain\xc2\xaamessage_id\xb0".to_vec();
    payload.extend([0; 16]);
    payload.extend(b"\xa7payload\xc6");
    let rest = LIMIT - payload.len() - 4;
    payload.extend(u32::try_from(rest).unwrap().to_be_bytes());
    payload.resize(LIMIT, b'x');
    let mut peer = world.join(Over::Tcp, REALM).await;
    peer.write(&header(Kind::Publish, u32::try_from(LIMIT).unwrap())).await;
    peer.write(&payload).await;
    let message = timeout(Duration::from_secs(20), subscription.next()).await.unwrap().unwrap();
    assert_eq!(message.payload.len(), rest);
}

#[tokio::test]
async fn types_of_the_mesh_are_passed_over_and_do_not_begin_a_connection() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut peer = world.join(over, REALM).await;
        for kind in Kind::ALL.iter().filter(|kind| kind.code() >= 0x30) {
            peer.write(&header(*kind, 1)).await;
            peer.write(&[0xc1]).await;
        }
        peer.ping().await;
        let mut early = world.reach(over, None).await;
        early.write(&[&header(Kind::SwimPing, 1)[..], &[0x80]].concat()).await;
        assert_eq!(early.dismissed().await.0, "protocol");
    }
}

#[tokio::test]
async fn a_connection_has_one_stream_and_no_datagrams() {
    let world = World::new().await;
    let (_endpoint, connection, mut send, mut receive) = joined(&world).await;
    assert_eq!(connection.max_datagram_size(), None);
    for timestamp in 0..3 {
        tokio::select! {
            _ = connection.open_bi() => panic!("a second stream"),
            _ = connection.open_uni() => panic!("a stream in one direction"),
            () = ping(&mut send, &mut receive, timestamp) => {}
        }
    }
}

#[tokio::test]
async fn a_client_may_move_to_another_address_and_change_its_keys() {
    let world = World::new().await;
    let (endpoint, connection, mut send, mut receive) = joined(&world).await;
    connection.force_key_update();
    ping(&mut send, &mut receive, 1).await;
    endpoint.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    ping(&mut send, &mut receive, 2).await;
    connection.force_key_update();
    ping(&mut send, &mut receive, 3).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_its_connection_and_no_other() {
    let world = World::new().await;
    let mut other = world.join(Over::Quic, REALM).await;
    let (_one, reset, mut send, _receive) = joined(&world).await;
    send.reset(VarInt::from_u32(7)).unwrap();
    let (_two, stopped, mut send, mut receive) = joined(&world).await;
    receive.stop(VarInt::from_u32(7)).unwrap();
    // It is noticed when the gateway has something to say.
    send.write_all(&encode(&Message::Ping(Ping { timestamp: 1 }))).await.unwrap();
    for connection in [reset, stopped] {
        let ended = connection.closed().await;
        assert!(matches!(ended, quinn::ConnectionError::ApplicationClosed(_)), "{ended}");
    }
    other.ping().await;
    let (_, metrics) = ask(world.gateway.health, "/metrics").await;
    assert!(metrics.contains("connections_closed_total{reason=\"lost\"} 2"), "{metrics}");
    assert!(metrics.contains("macula_gateway_clients_total 1"), "{metrics}");
}

#[tokio::test]
async fn a_client_that_ended_its_side_still_gets_what_it_asked_for() {
    let world = World::new().await;
    let (_endpoint, connection, mut send, mut receive) = joined(&world).await;
    send.write_all(&encode(&Message::Ping(Ping { timestamp: 9 }))).await.unwrap();
    send.finish().unwrap();
    let pong = next(&mut receive).await;
    assert!(matches!(pong, Message::Pong(pong) if pong.timestamp == 9), "{pong:?}");
    assert!(receive.read_to_end(1).await.unwrap().is_empty());
    match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code, VarInt::from_u32(0));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn upstreams_metrics_are_there_by_their_names() {
    let world = World::new().await;
    let mut peer = world.join(Over::Tcp, REALM).await;
    peer.register("p").await;
    let (_, metrics) = ask(world.gateway.health, "/metrics").await;
    let value = |name: &str| {
        let name = format!("macula_gateway_{name} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}in {metrics}")).parse::<f64>().unwrap()
    };
    for name in ["uptime_seconds", "process_count", "memory_bytes", "process_memory_bytes"] {
        assert!(value(name) > 0.0, "{name}");
    }
    for (name, expect) in [
        ("ready", 1.0),
        ("diagnostics_available", 1.0),
        ("clients_total", 1.0),
        ("subscriptions_total", 0.0),
        ("registrations_total", 1.0),
    ] {
        assert!((value(name) - expect).abs() < f64::EPSILON, "{name}");
    }
}
