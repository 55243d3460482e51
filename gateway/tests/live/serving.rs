//! What clients get over both transports.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use gateway::{
    door::limits::HandshakeLimits,
    wire::{
        id::MessageId,
        message::{Message, Publish, Qos, Subscribe},
    },
};

use crate::{
    peer::{Over, Peer},
    world::{REALM, World, ask, metrics_say},
};

#[tokio::test]
async fn a_connect_is_answered_over_both_transports() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut peer = world.join(over, REALM).await;
        peer.ping().await;
    }
}

#[tokio::test]
async fn by_default_every_address_is_listened_on() {
    let world = World::with(|settings| settings.address = "::".parse().unwrap()).await;
    for over in Over::BOTH {
        let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), world.at(over).port());
        let mut peer = Peer::reach(over, at, world.authority.trusted(None)).await.unwrap();
        peer.join(REALM).await;
    }
}

#[tokio::test]
async fn what_is_published_over_one_transport_arrives_over_the_other() {
    let world = World::new().await;
    for (from, to) in [(Over::Quic, Over::Tcp), (Over::Tcp, Over::Quic)] {
        let mut subscriber = world.join(to, REALM).await;
        let topics = vec!["news.#".parse().unwrap()];
        let subscribe = Subscribe { topics, qos: Qos::AtMostOnce };
        subscriber.send(Message::Subscribe(subscribe)).await;
        subscriber.ping().await;
        let mut publisher = world.join(from, REALM).await;
        for number in 0..100_u8 {
            let publish = Message::Publish(Publish {
                topic: "news.today".parse().unwrap(),
                payload: Bytes::from(vec![number; 40_000]),
                qos: Qos::AtMostOnce,
                retain: false,
                message_id: MessageId::from([number; 16]),
            });
            publisher.send(publish.clone()).await;
            assert_eq!(subscriber.next().await, Some(publish));
        }
    }
}

#[tokio::test]
async fn an_unknown_realm_is_told_by_a_frame_and_by_a_code() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut peer = world.reach(over, None).await;
        peer.connect("nowhere").await;
        let (reason, text) = peer.dismissed().await;
        assert_eq!(reason, "unknown_realm");
        if let Some((code, reason)) = peer.closed().await {
            assert_eq!((code, &reason[..]), (3, text.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_clients_error_ends_its_own_connection_alone() {
    let world = World::new().await;
    for over in Over::BOTH {
        let (mut good, mut bad) = (world.join(over, REALM).await, world.join(over, REALM).await);
        bad.write(b"no frame at all").await;
        assert_eq!(bad.dismissed().await.0, "error");
        assert!(bad.closed().await.is_none_or(|(code, _)| code == 1));
        good.ping().await;
    }
}

#[tokio::test]
async fn a_client_that_speaks_something_else_is_refused() {
    let world = World::new().await;
    for over in Over::BOTH {
        let mut tls = world.authority.trusted(None);
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let refused = Peer::reach(over, world.at(over), tls).await.err().unwrap().to_string();
        assert!(refused.to_lowercase().contains("protocol"), "{refused}");
    }
}

#[tokio::test]
async fn an_address_proves_itself_first_while_much_goes_on_and_is_limited() {
    let limits = HandshakeLimits { per_second: 1000, per_second_of_prefix: 3, retry_above: 0 };
    let world = World::with(|settings| settings.handshakes = limits).await;
    let mut peers = Vec::new();
    let refused = loop {
        let tls = world.authority.trusted(None);
        match Peer::reach(Over::Quic, world.at(Over::Quic), tls).await {
            Ok(peer) => peers.push(peer),
            Err(error) => break error.to_string(),
        }
        assert!(peers.len() < 50, "nobody was refused");
    };
    assert!(refused.contains("refuse"), "{refused}");
    peers[0].join(REALM).await;
    let (_, metrics) = ask(world.gateway.health, "/metrics").await;
    assert!(metrics.contains("connections_refused_total{reason=\"prefix_rate\"} 1"), "{metrics}");
    assert!(!metrics.contains("handshakes_retried_total 0"), "{metrics}");
}

#[tokio::test]
async fn more_connections_than_may_be_are_refused_and_counted() {
    let world = World::with(|settings| settings.most_connections = 1).await;
    let mut only = world.join(Over::Quic, REALM).await;
    for over in Over::BOTH {
        assert!(Peer::reach(over, world.at(over), world.authority.trusted(None)).await.is_err());
    }
    let refused = "connections_refused_total{reason=\"connections\"} 2";
    metrics_say(world.gateway.health, refused).await;
    only.ping().await;
}

#[tokio::test]
async fn health_and_metrics_tell_of_the_gateway() {
    let world = World::new().await;
    let _peers = [world.join(Over::Quic, REALM).await, world.join(Over::Tcp, REALM).await];
    let at = world.gateway.health;
    let (status, body) = ask(at, "/health").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"], &body["ready"]), (200, &"healthy".into(), &true.into()));
    assert!(body["uptime"].is_u64());
    assert_eq!(ask(at, "/ready").await.0, 200);
    assert_eq!(ask(at, "/live").await, (200, r#"{"live":true,"stuck":[]}"#.to_owned()));
    let (_, metrics) = ask(at, "/metrics").await;
    for line in [
        "macula_gateway_ready 1",
        "macula_gateway_clients_total 2",
        "macula_gateway_connections_total{transport=\"quic\"} 1",
        "macula_gateway_connections_total{transport=\"tcp\"} 1",
        "macula_gateway_certificates_refused_total 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("udp_receive_buffer_bytes 0"), "{metrics}");
}
