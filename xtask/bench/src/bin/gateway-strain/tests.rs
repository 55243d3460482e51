//! Each measurement, small, against a gateway in this process. What the figures are is not looked at.

use std::{net::SocketAddr, time::Duration};

use gateway::{config::Settings, door::limits::HandshakeLimits, life::Gateway};
use tokio::sync::oneshot;

use super::*;

async fn serving() -> Gateway {
    let settings = Settings {
        grace: Duration::from_secs(8),
        handshakes: HandshakeLimits {
            per_second: 1_000_000,
            per_second_of_prefix: 1_000_000,
            ..HandshakeLimits::default()
        },
        ..Settings::local()
    };
    Gateway::start(settings).await.unwrap()
}

fn at(gateway: &Gateway, over: Over) -> SocketAddr {
    match over {
        Over::Quic => gateway.udp,
        Over::Tcp => gateway.tcp,
    }
}

fn road(gateway: &Gateway, over: Over) -> Road {
    Road::new(at(gateway, over), over).unwrap()
}

#[tokio::test]
async fn idle_clients_are_connected_and_held() {
    let gateway = serving().await;
    for over in [Over::Quic, Over::Tcp] {
        let (_held, connected) = idle::connect(road(&gateway, over), 40).await.unwrap();
        assert_eq!(connected["connected"], 40);
    }
}

#[tokio::test]
async fn hands_are_shaken_with_a_gateway_and_with_quinn_alone() {
    let gateway = serving().await;
    let (endpoint, floor) = handshakes::floor().unwrap();
    let accepting = tokio::spawn(handshakes::accept(endpoint));
    for at in [gateway.udp, floor] {
        let road = Road::new(at, Over::Quic).unwrap();
        let shaken = handshakes::shake(road, 1).await.unwrap();
        assert!(shaken["handshakes"].as_u64() > Some(0), "{shaken}");
    }
    accepting.abort();
}

#[tokio::test]
async fn what_a_stuck_subscriber_misses_is_counted_and_the_others_miss_nothing() {
    let gateway = serving().await;
    let options = stuck::Options {
        subscribers: 3,
        stuck: false,
        extra_bytes: 0,
        meanwhile: false,
        rate: 100,
        payload_bytes: 16 << 10,
        seconds: 1,
    };
    let road = road(&gateway, Over::Quic);
    let all_read = stuck::measure(&road, options).await.unwrap();
    assert_eq!((&all_read["deliveries"], &all_read["missed_by_stuck"]), (&200.into(), &0.into()));
    for meanwhile in [false, true] {
        let full = stuck::Options { stuck: true, extra_bytes: 16 << 20, meanwhile, ..options };
        let measured = stuck::measure(&road, full).await.unwrap();
        assert_eq!(measured["deliveries"], 200);
        assert!(measured["missed_by_stuck"].as_u64() > Some(0), "{measured}");
    }
}

#[tokio::test]
async fn a_gateway_that_stops_under_load_loses_no_call_and_tells_everybody() {
    let gateway = serving().await;
    let options = stop::Options { quic: gateway.udp, tcp: gateway.tcp, clients: 2, calls: 8 };
    let (loaded, is_loaded) = oneshot::channel();
    let stopped = tokio::spawn(async move {
        is_loaded.await.unwrap();
        gateway.drain().await
    });
    let seen = stop::measure(options, || loaded.send(()).unwrap()).await.unwrap();
    assert!(stopped.await.unwrap(), "every client has left");
    assert_eq!((&seen["accepted_without_reply"], &seen["told"]), (&0.into(), &seen["clients"]));
    assert!(seen["results"].as_u64() > Some(0) && seen["asked"] == seen["results"], "{seen}");
}
