//! Whose certificates are served and accepted.

use std::{fs, time::Duration};

use gateway::wire::message::Message;
use rcgen::{CertifiedKey, KeyPair};
use tokio::time::{interval, timeout};

use crate::{
    authority::Authority,
    peer::{NODE, Over, Peer},
    world::{CLOSED, LONG, REALM, World, ask, metrics_say},
};

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_old_ones_stay() {
    let world = World::new().await;
    let mut old = [world.join(Over::Quic, REALM).await, world.join(Over::Tcp, REALM).await];
    fs::write(world.folder.path().join("tls.key"), "nonsense").unwrap();
    metrics_say(world.gateway.health, "certificates_refused_total 1").await;
    assert_eq!(world.reach(Over::Quic, None).await.certificate, old[0].certificate);
    let new = world.authority.write_server(world.folder.path());
    let replaced = async {
        let mut ticks = interval(Duration::from_millis(10));
        while world.reach(Over::Tcp, None).await.certificate != new {
            ticks.tick().await;
        }
    };
    timeout(LONG, replaced).await.unwrap();
    assert_eq!(world.reach(Over::Quic, None).await.certificate, new);
    for peer in &mut old {
        assert_ne!(peer.certificate, new);
        peer.ping().await;
    }
}

#[tokio::test]
async fn a_certificate_proves_node_and_realm() {
    let world = World::new().await;
    let own = world.authority.client(&format!("macula://{CLOSED}/{NODE}"));
    for over in Over::BOTH {
        let mut peer = world.reach(over, Some(&own)).await;
        peer.join(CLOSED).await;
        let mut again = world.reach(over, Some(&own)).await;
        again.join(CLOSED).await;
        assert_eq!(peer.dismissed().await.0, "replaced");
        assert!(peer.closed().await.is_none_or(|(code, _)| code == 8));
        again.ping().await;
    }
}

#[tokio::test]
async fn a_certificate_of_something_else_is_refused_with_a_reason() {
    let world = World::new().await;
    let other_node = format!("macula://{CLOSED}/{}", "00".repeat(32));
    let other_realm = format!("macula://{REALM}/{NODE}");
    for over in Over::BOTH {
        for (uri, why) in [
            (Some(other_node.as_str()), "it is of node 0000"),
            (Some(&other_realm), "it is of realm"),
            (Some("https://example.com"), "macula://REALM/NODE_ID_HEX"),
            (None, "there is none"),
        ] {
            let own = uri.map(|uri| world.authority.client(uri));
            let mut peer = world.reach(over, own.as_ref()).await;
            peer.connect(CLOSED).await;
            let (reason, text) = peer.dismissed().await;
            assert_eq!(reason, "identity");
            assert!(text.contains(why), "{text}");
            assert!(peer.closed().await.is_none_or(|(code, _)| code == 4));
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_no_proof() {
    let world = World::new().await;
    let own = Authority::new().client(&format!("macula://{CLOSED}/{NODE}"));
    for over in Over::BOTH {
        let tls = world.authority.trusted(Some(&own));
        // In TLS 1.3 the client is done before the gateway has seen its certificate.
        if let Ok(mut peer) = Peer::reach(over, world.at(over), tls).await {
            assert_eq!(peer.next().await, None);
        }
    }
    let (_, metrics) = ask(world.gateway.health, "/metrics").await;
    assert!(metrics.contains("connections_refused_total{reason=\"handshake\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_certificate_that_has_ended_replaces_none() {
    let world = World::new().await;
    let served = world.reach(Over::Tcp, None).await.certificate;
    world.authority.write_ended_server(world.folder.path());
    metrics_say(world.gateway.health, "certificates_refused_total 1").await;
    for over in Over::BOTH {
        assert_eq!(world.reach(over, None).await.certificate, served);
    }
}

#[tokio::test]
async fn a_new_authority_verifies_new_connections_and_old_ones_stay() {
    let world = World::new().await;
    let uri = format!("macula://{CLOSED}/{NODE}");
    let (old, other) = (world.authority.client(&uri), Authority::new());
    let file = world.folder.path().join("ca.crt");
    let proves_itself = async |over: Over, own: &CertifiedKey<KeyPair>| {
        let reached = Peer::reach(over, world.at(over), world.authority.trusted(Some(own))).await;
        let Ok(mut peer) = reached else { return None };
        peer.connect(CLOSED).await;
        matches!(peer.next().await, Some(Message::Pong(_))).then_some(peer)
    };
    let mut there = proves_itself(Over::Quic, &old).await.unwrap();
    fs::write(&file, "nonsense").unwrap();
    metrics_say(world.gateway.health, "certificates_refused_total 1").await;
    there.ping().await;
    let mut there = proves_itself(Over::Tcp, &old).await.unwrap();

    fs::write(&file, other.certificate.pem()).unwrap();
    let new = other.client(&format!("macula://{CLOSED}/{}", "00".repeat(32)));
    // Of another node than it says: it is verified, and then told so.
    let verified = async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let tls = world.authority.trusted(Some(&new));
            let Ok(mut peer) = Peer::reach(Over::Quic, world.at(Over::Quic), tls).await else {
                continue;
            };
            peer.connect(CLOSED).await;
            if let Some(Message::Disconnect(told)) = peer.next().await {
                return told.message;
            }
        }
    };
    let told = timeout(LONG, verified).await.unwrap();
    assert!(told.contains("it is of node 0000"), "{told}");
    there.ping().await;
    for over in Over::BOTH {
        assert!(proves_itself(over, &old).await.is_none(), "{over:?}");
    }
}
