//! Several gateways with one secret, behind something that sends a client's datagrams now to one and now to the other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use gateway::{
    config::Settings,
    door::{keys::Secret, limits::HandshakeLimits},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    peer::{Over, Peer},
    world::{REALM, World, metrics_say},
};

const SECRET: &str = "a secret of more than thirty-two bytes";

/// Who knocks now must prove its address first.
async fn busy(cookie: &str, node: &str) -> (World, TcpStream) {
    let world = World::with(|settings: &mut Settings| {
        settings.handshakes = HandshakeLimits { retry_above: 0, ..HandshakeLimits::default() };
        settings.cookie = Some(Secret(cookie.to_owned()));
        settings.node = node.to_owned();
    })
    .await;
    let under_way = world.half_a_handshake().await;
    (world, under_way)
}

/// A client's first datagram goes to `first`, all later ones to `then`; both see one address. Returns where to send them.
async fn switching(first: SocketAddr, then: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = inside.local_addr().unwrap();
    let switch = tokio::spawn(async move {
        let (mut there, mut back) = ([0; 2048], [0; 2048]);
        let (mut client, mut to) = (None, first);
        loop {
            tokio::select! {
                came = inside.recv_from(&mut there) => {
                    let (length, from) = came.unwrap();
                    client = Some(from);
                    outside.send_to(&there[..length], to).await.unwrap();
                    to = then;
                }
                came = outside.recv_from(&mut back) => {
                    let (length, _) = came.unwrap();
                    inside.send_to(&back[..length], client.unwrap()).await.unwrap();
                }
            }
        }
    });
    (at, switch)
}

#[tokio::test]
async fn a_token_of_one_gateway_proves_the_address_to_another_with_the_same_secret() {
    let (asks, _held) = busy(SECRET, "gateway-0").await;
    let (serves, _held_too) = busy(SECRET, "gateway-1").await;
    let (at, switch) = switching(asks.gateway.udp, serves.gateway.udp).await;
    let mut peer = Peer::reach(Over::Quic, at, serves.authority.trusted(None)).await.unwrap();
    peer.join(REALM).await;
    metrics_say(asks.gateway.health, "handshakes_retried_total 1").await;
    metrics_say(serves.gateway.health, "handshakes_retried_total 0").await;
    switch.abort();
}

#[tokio::test]
async fn a_token_of_a_gateway_with_another_secret_proves_nothing() {
    let (asks, _held) = busy(SECRET, "gateway-0").await;
    let (serves, _held_too) = busy("another secret of more than thirty-two", "gateway-1").await;
    let (at, switch) = switching(asks.gateway.udp, serves.gateway.udp).await;
    let reach = Peer::reach(Over::Quic, at, serves.authority.trusted(None));
    let reached = timeout(Duration::from_secs(2), reach).await;
    assert!(!matches!(reached, Ok(Ok(_))), "it was let in");
    metrics_say(asks.gateway.health, "handshakes_retried_total 1").await;
    switch.abort();
}
