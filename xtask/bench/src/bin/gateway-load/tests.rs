//! The load against a gateway in this process, and against the sink: small counts, to see that both still understand each
//! other.

use std::path::Path;

use clap::Parser as _;
use gateway::life::Gateway;
use serde_json::Value;

use super::*;

#[derive(Debug, clap::Parser)]
struct GatewayCli {
    #[command(flatten)]
    options: gateway::config::Options,
}

async fn start(folder: &Path) -> Gateway {
    certificate::write(folder).unwrap();
    let (chain, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let mut arguments = vec!["gateway", "--address", "127.0.0.1", "--port", "0"];
    arguments.extend(["--health-port", "0", "--tls-cert", chain.to_str().unwrap()]);
    arguments.extend(["--tls-key", key.to_str().unwrap()]);
    let settings = GatewayCli::parse_from(arguments).options.settings().unwrap();
    Gateway::start(settings).await.unwrap()
}

fn cell(peer: Peer, address: SocketAddr, folder: &Path) -> Cell {
    Cell {
        peer,
        address,
        certificate: folder.join("tls.crt"),
        size: 256,
        subscribers: 2,
        messages: None,
        window: 64 << 10,
        calls: None,
        in_flight: 8,
    }
}

fn ways(gateway: &Gateway) -> [(Peer, SocketAddr); 2] {
    [(Peer::MaculaTcp, gateway.tcp), (Peer::MaculaQuic, gateway.udp)]
}

#[tokio::test]
async fn the_gateway_passes_each_message_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = start(folder.path()).await;
    for (peer, address) in ways(&gateway) {
        let printed = messages::measure(&cell(peer, address, folder.path()), 1000).await.unwrap();
        assert_eq!(printed["received"], 2000, "{peer:?}");
        assert_eq!(printed["in_order"], true, "{peer:?}");
        assert!(printed["seconds"].as_f64().unwrap() > 0.0, "{peer:?}");
    }
}

#[tokio::test]
async fn the_gateway_answers_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = start(folder.path()).await;
    for (peer, address) in ways(&gateway) {
        let printed = calls::measure(&cell(peer, address, folder.path()), 100).await.unwrap();
        let of = |name: &str| printed[name].as_f64().unwrap();
        assert!(of("p50_us") > 0.0 && of("p99_us") >= of("p50_us"), "{printed}");
        assert!(of("per_second") > 0.0, "{printed}");
    }
}

#[tokio::test]
async fn quinn_alone_carries_each_message_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    certificate::write(folder.path()).unwrap();
    let (endpoint, address) = quinn_alone::listen(folder.path()).unwrap();
    let cell = cell(Peer::Quinn, address, folder.path());
    let printed: Value = tokio::select! {
        () = quinn_alone::take_all(endpoint) => panic!("the sink ended"),
        printed = quinn_alone::measure(&cell, 1000) => printed.unwrap(),
    };
    assert_eq!((&printed["received"], &printed["in_order"]), (&1000.into(), &true.into()));
}
