//! Who does not get in, over both transports, and how that is counted.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use gateway::door::limits::HandshakeLimits;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{interval, timeout},
};

use crate::{
    peer::{Over, Peer},
    world::{REALM, World, ask},
};

const LONG: Duration = Duration::from_secs(20);

impl World {
    async fn reach_from(&self, from: &str, over: Over) -> anyhow::Result<Peer> {
        let tls = self.authority.trusted(None);
        Peer::reach_from(from.parse()?, over, self.at(over), tls).await
    }

    /// The value of a metric; 0 where there is none yet.
    async fn metric(&self, name: &str) -> u64 {
        let (_, metrics) = ask(self.gateway.health, "/metrics").await;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        metrics.lines().find_map(value).unwrap_or(0)
    }

    async fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!("macula_gateway_connections_refused_total{{reason=\"{reason}\"}}"))
            .await
    }

    async fn retried(&self) -> u64 {
        self.metric("macula_gateway_handshakes_retried_total").await
    }
}

#[tokio::test]
async fn a_network_that_has_used_up_its_handshakes_leaves_those_of_others() {
    for over in Over::BOTH {
        let limits = HandshakeLimits { per_second_of_prefix: 2, ..HandshakeLimits::default() };
        let world = World::with(|settings| settings.handshakes = limits).await;
        let mut peers = Vec::new();
        while let Ok(peer) = world.reach_from("127.0.0.1", over).await {
            peers.push(peer);
            assert!(peers.len() < 50, "nobody was refused");
        }
        assert_eq!((world.refused("prefix_rate").await, world.refused("rate").await), (1, 0));
        world.reach_from("127.0.1.1", over).await.unwrap().join(REALM).await;
        peers[0].join(REALM).await;
    }
}

#[tokio::test]
async fn all_networks_together_have_a_limit_too() {
    for over in Over::BOTH {
        let limits = HandshakeLimits { per_second: 2, ..HandshakeLimits::default() };
        let world = World::with(|settings| settings.handshakes = limits).await;
        let mut peers = Vec::new();
        for network in 0..50 {
            match world.reach_from(&format!("127.0.{network}.1"), over).await {
                Ok(peer) => peers.push(peer),
                Err(_) => break,
            }
        }
        assert_eq!((world.refused("prefix_rate").await, world.refused("rate").await), (0, 1));
        peers[0].join(REALM).await;
    }
}

#[tokio::test]
async fn addresses_are_proven_while_handshakes_are_under_way_and_not_at_rest() {
    let limits = HandshakeLimits { retry_above: 0, ..HandshakeLimits::default() };
    let world = World::with(|settings| settings.handshakes = limits).await;
    world.join(Over::Quic, REALM).await.ping().await;
    assert_eq!(world.retried().await, 0);
    // Somebody who says nothing, and a handshake that does not go on.
    let _silent = TcpStream::connect(world.at(Over::Tcp)).await.unwrap();
    world.join(Over::Quic, REALM).await.ping().await;
    assert_eq!(world.retried().await, 0);
    let under_way = world.half_a_handshake().await;
    let asked = async {
        while world.retried().await == 0 {
            world.join(Over::Quic, REALM).await.ping().await;
        }
    };
    timeout(LONG, asked).await.unwrap();
    drop(under_way);
    let mut ticks = interval(Duration::from_millis(10));
    let failed = async {
        while world.refused("handshake").await == 0 {
            ticks.tick().await;
        }
    };
    timeout(LONG, failed).await.unwrap();
    let before = world.retried().await;
    world.join(Over::Quic, REALM).await.ping().await;
    assert_eq!(world.retried().await, before);
}

#[tokio::test]
async fn there_is_a_most_of_connections_until_one_leaves() {
    let world = World::with(|settings| settings.most_connections = 2).await;
    let first = world.join(Over::Quic, REALM).await;
    let mut second = world.reach_from("127.0.1.1", Over::Tcp).await.unwrap();
    second.join(REALM).await;
    for over in Over::BOTH {
        assert!(world.reach_from("127.0.0.1", over).await.is_err());
    }
    assert_eq!(world.refused("connections").await, 2);
    drop(first);
    let mut ticks = interval(Duration::from_millis(10));
    let entered = async {
        loop {
            if let Ok(mut peer) = world.reach_from("127.0.0.1", Over::Quic).await {
                return peer.join(REALM).await;
            }
            ticks.tick().await;
        }
    };
    timeout(LONG, entered).await.unwrap();
}

/// Connections over TCP that say nothing.
async fn silent(world: &World, from: &str, number: usize) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..number {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
        silent.push(socket.connect(world.at(Over::Tcp)).await.unwrap());
    }
    silent
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let limits = HandshakeLimits { per_second: 40, per_second_of_prefix: 10, retry_above: 64 };
    let world = World::with(|settings| {
        settings.handshakes = limits;
        settings.most_connections = 800;
    })
    .await;
    let mut held = Vec::new();
    for network in 1..=8 {
        held.extend(silent(&world, &format!("127.0.{network}.1"), 20).await);
    }
    for over in Over::BOTH {
        let mut honest = world.reach_from("127.0.9.1", over).await.unwrap();
        honest.join(REALM).await;
        honest.ping().await;
    }
    let refused = ["rate", "prefix_rate", "connections"];
    for reason in refused {
        assert_eq!(world.refused(reason).await, 0, "{reason}");
    }
    assert!(world.refused("silent").await > 0, "160 of 100 places");
    drop(held);
}

#[tokio::test]
async fn one_network_has_its_part_of_the_connections_unless_it_is_exempt() {
    for (exempt, refused) in [(None, true), (Some("127.0.0.0/24"), false)] {
        let world = World::with(|settings| {
            settings.connections_of_prefix = Some(2);
            settings.exempt = exempt.into_iter().map(|prefix| prefix.parse().unwrap()).collect();
        })
        .await;
        for over in Over::BOTH {
            let _first = world.reach_from("127.0.0.1", over).await.unwrap();
            let _second = world.reach_from("127.0.0.2", over).await.unwrap();
            assert_eq!(world.reach_from("127.0.0.3", over).await.is_err(), refused);
            world.reach_from("127.0.1.1", over).await.unwrap().join(REALM).await;
            // The next over the other transport finds the places free.
            drop((_first, _second));
            let mut ticks = interval(Duration::from_millis(10));
            let free = async {
                while world.reach_from("127.0.0.4", over).await.is_err() {
                    ticks.tick().await;
                }
            };
            timeout(LONG, free).await.unwrap();
        }
        assert_eq!(world.refused("prefix_connections").await > 0, refused);
    }
}
