//! Whose certificates are served and accepted.

use std::{fs, time::Duration};

use tokio::time::{interval, timeout};

use crate::{
    authority::Authority,
    peer::{NODE, Over, Peer},
    world::{CLOSED, REALM, World, ask},
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_old_ones_stay() {
    let world = World::new().await;
    let mut old = [world.join(Over::Quic, REALM).await, world.join(Over::Tcp, REALM).await];
    fs::write(world.folder.path().join("tls.key"), "nonsense").unwrap();
    let refused = async {
        let mut ticks = interval(Duration::from_millis(10));
        let line = "certificates_refused_total 1";
        while !ask(world.gateway.health, "/metrics").await.1.contains(line) {
            ticks.tick().await;
        }
    };
    timeout(LONG, refused).await.unwrap();
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
