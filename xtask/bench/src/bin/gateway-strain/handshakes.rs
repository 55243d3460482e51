//! Handshakes over QUIC, as many as go: against whatever listens; and the floor, which is quinn with the gateway's own
//! settings and an accept loop that does nothing.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use gateway::door::{
    bind,
    keys::Keys,
    quic,
    tls::{self, CertificateSource, Certificates},
};
use quinn::{Endpoint, Incoming};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use crate::client::{AT_ONCE, Road};

const LAST_WORDS: Duration = Duration::from_millis(200);

/// Shakes hands for so long; each connection is closed as soon as it is there.
pub async fn shake(road: Road, seconds: u64) -> anyhow::Result<Value> {
    let road = Arc::new(road);
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut shaking = JoinSet::new();
    for _ in 0..AT_ONCE {
        let road = road.clone();
        shaking.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < until {
                road.shake_hands().await?.close(0_u8.into(), b"");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut handshakes = 0;
    while let Some(count) = shaking.join_next().await {
        handshakes += count?.context("a handshake failed")?;
    }
    let seconds = began.elapsed().as_secs_f64();
    // Who said goodbye is remembered for seconds; the last words are sent sooner.
    let _ = timeout(LAST_WORDS, road.left()).await;
    Ok(json!({ "handshakes": handshakes, "seconds": seconds }))
}

/// The floor, on a port of this machine alone.
pub fn floor() -> anyhow::Result<(Endpoint, SocketAddr)> {
    let certificates = Arc::new(Certificates::new(CertificateSource::SelfSigned.load()?));
    let tls = tls::server_config(certificates, None)?;
    let (socket, _) = bind::udp((Ipv4Addr::LOCALHOST, 0).into(), "--at")?;
    let endpoint = quic::endpoint(socket, tls, Keys::of(None, "floor")?)?;
    let at = endpoint.local_addr()?;
    Ok((endpoint, at))
}

/// Accepts until this process is ended.
pub async fn accept(endpoint: Endpoint) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    connections.spawn(keep(incoming));
                }
                None => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What a client does is its own affair.
async fn keep(incoming: Incoming) {
    if let Ok(connection) = incoming.accept()
        && let Ok(connection) = connection.await
    {
        connection.closed().await;
    }
}
