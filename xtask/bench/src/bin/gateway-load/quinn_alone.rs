//! One way over a stream of quinn's, with nothing above it: what is possible with this transport between two processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf as _, BytesMut};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, Incoming, ServerConfig};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::Cell;
use crate::batch::Batch;
use crate::certificate;
use crate::link::Quic;
use crate::messages::warm_up;
use crate::sequence::Sequence;

const ALPN: &[u8] = b"load";
const READ: usize = 256 << 10;
/// What is said back: the warm-up is over, all has come.
const WARM: u8 = 1;
const DONE: u8 = 2;
const DISORDERED: u8 = 3;

/// Takes what comes, and first says where.
pub async fn sink(folder: &Path) -> Result<()> {
    let (endpoint, address) = listen(folder)?;
    eprintln!("ready {address}");
    take_all(endpoint).await;
    Ok(())
}

/// `folder` has tls.crt and tls.key.
pub fn listen(folder: &Path) -> Result<(Endpoint, SocketAddr)> {
    let tls = QuicServerConfig::try_from(certificate::server(folder, ALPN)?)?;
    let config = ServerConfig::with_crypto(Arc::new(tls));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
    let address = endpoint.local_addr()?;
    Ok((endpoint, address))
}

/// Accepts one connection after another.
pub async fn take_all(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        if let Err(error) = take(incoming).await {
            eprintln!("gateway-load: {error:#}");
        }
    }
}

/// Three numbers first: a message's bytes, those of the warm-up, and all.
async fn take(incoming: Incoming) -> Result<()> {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    let size = usize::try_from(receive.read_u64().await?)?;
    let (warm, all) = (receive.read_u64().await?, receive.read_u64().await?);
    ensure!((16..=READ).contains(&size), "messages of {size} bytes");
    let mut sequence = Sequence::new(size);
    let mut unread = BytesMut::new();
    let mut is_warm = false;
    while sequence.count() < all {
        unread.reserve(READ);
        ensure!(receive.read_buf(&mut unread).await? > 0, "the stream ended early");
        let whole = unread.len() - unread.len() % size;
        unread[..whole].chunks_exact(size).for_each(|message| sequence.take(message));
        unread.advance(whole);
        if !is_warm && sequence.count() >= warm {
            is_warm = true;
            send.write_all(&[WARM]).await?;
        }
    }
    send.write_all(&[if sequence.is_in_order() { DONE } else { DISORDERED }]).await?;
    send.finish()?;
    connection.closed().await;
    Ok(())
}

/// As a cell of messages, from one client to the sink.
pub async fn measure(cell: &Cell, messages: u64) -> Result<Value> {
    let mut quic = Quic::connect(cell.address, &cell.certificate, ALPN).await?;
    let Quic { send, receive, .. } = &mut quic;
    let size = usize::try_from(cell.size)?;
    let (warm, all) = (warm_up(messages), warm_up(messages) + messages);
    for number in [u64::from(cell.size), warm, all] {
        send.write_all(&number.to_be_bytes()).await?;
    }
    let sending = async {
        let mut batch = Batch::new(size, <[u8]>::to_vec);
        while batch.taken() < all {
            let left = all - batch.taken();
            send.write_all(batch.take(left)).await?;
        }
        anyhow::Ok(())
    };
    let told = async {
        ensure!(receive.read_u8().await? == WARM, "the sink says something else");
        let began = Instant::now();
        let last = receive.read_u8().await.context("the sink ended early")?;
        Ok((began.elapsed().as_secs_f64(), last == DONE))
    };
    let ((), (seconds, in_order)) = tokio::try_join!(sending, told)?;
    quic.close().await;
    Ok(json!({ "received": messages, "seconds": seconds, "in_order": in_order }))
}
