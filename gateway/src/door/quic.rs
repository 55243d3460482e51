//! Clients over QUIC: each connection has one bidirectional stream; the transport's limits refuse everything else. Frames
//! are not known here.

use std::{any::Any, net::UdpSocket, sync::Arc, time::Duration};

use anyhow::Context;
use quinn::{
    Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream,
    SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};
use rustls::pki_types::CertificateDer;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    door::{
        connection::{ConnectionLimits, Ended, refuse, serve},
        entrance::{Decision, Entrance, Pass, Transport},
        keys::Keys,
        tls,
        windows::{self, Receiving, Sending},
    },
    observe::beat::Beat,
    session::Close,
};

const IDLE: Duration = Duration::from_secs(30);
/// How often a packet keeps the connection alive, and a NAT's memory of it.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How many handshakes may wait, and how many bytes for each and for all of them.
const MOST_INCOMING: usize = 4096;
const INCOMING_BYTES: u64 = 64 << 10;
const INCOMING_BYTES_TOTAL: u64 = 8 << 20;

/// Opens the QUIC endpoint on a socket.
///
/// # Errors
/// The socket or the TLS settings cannot be used.
pub fn endpoint(
    socket: UdpSocket,
    tls: rustls::ServerConfig,
    keys: Keys,
) -> anyhow::Result<Endpoint> {
    let tls = QuicServerConfig::try_from(tls).context("TLS settings are none for QUIC")?;
    let mut server = ServerConfig::new(Arc::new(tls), Arc::new(keys.token));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(MOST_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    let config = EndpointConfig::new(Arc::new(keys.reset));
    Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))
        .context("the UDP socket cannot be used")
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = u32::try_from(IDLE.as_millis()).unwrap_or(u32::MAX);
    transport
        .max_concurrent_bidi_streams(1_u8.into())
        .max_concurrent_uni_streams(0_u8.into())
        .datagram_receive_buffer_size(None)
        // There is one stream: its window is the connection's, which grows.
        .stream_receive_window(VarInt::MAX)
        .receive_window(windows::FIRST.into())
        .send_window(windows::FIRST.into())
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
        .keep_alive_interval(Some(KEEP_ALIVE));
    transport
}

/// Serves clients until the entrance is stopped and all clients have left.
pub async fn run(endpoint: Endpoint, entrance: Arc<Entrance>, beat: Arc<Beat>) {
    let mut clients = JoinSet::new();
    let mut ticks = tokio::time::interval(Beat::EVERY);
    let stopped = entrance.stopped();
    tokio::pin!(stopped);
    let mut stops = false;
    while !stops || !clients.is_empty() {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => knock(incoming, &entrance, &mut clients),
                None => return,
            },
            Some(_) = clients.join_next() => {}
            _ = ticks.tick() => beat.turn(),
            () = &mut stopped, if !stops => stops = true,
        }
    }
}

fn knock(incoming: Incoming, entrance: &Arc<Entrance>, clients: &mut JoinSet<()>) {
    // A client to which no retry may be sent has proven its address already.
    let proven = incoming.remote_address_validated() || !incoming.may_retry();
    match entrance.admit(incoming.remote_address().ip(), proven) {
        Decision::Enter(pass) => {
            clients.spawn(client(incoming, pass));
        }
        Decision::Retry => {
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
        }
        Decision::Refuse(_) => incoming.refuse(),
    }
}

async fn client(incoming: Incoming, mut pass: Pass) {
    let limits = ConnectionLimits { idle: None, ..pass.entrance().limits };
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => return pass.failed(&error),
    };
    let handshake = tokio::select! {
        handshake = timeout(limits.connect_within, connecting) => handshake,
        () = pass.account().evicted() => return pass.failed(&Close::Memory),
    };
    let connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return pass.failed(&error),
        Err(_) => return pass.failed(&"it took too long"),
    };
    pass.entered(Transport::Quic);
    let opened = tokio::select! {
        opened = timeout(limits.connect_within, connection.accept_bi()) => opened,
        () = pass.account().evicted() => {
            connection.close(Close::Memory.code().into(), Close::Memory.reason().as_bytes());
            return pass.left(&Ended::Closed(Close::Memory));
        }
    };
    let ended = match opened {
        Ok(Ok((send, receive))) => talk(&connection, send, receive, &pass, limits).await,
        Ok(Err(_)) if said_goodbye(&connection) => Ended::Closed(Close::Ended),
        Ok(Err(error)) => Ended::Lost(error.into()),
        Err(_) => Ended::Closed(Close::Idle(limits.connect_within.as_secs())),
    };
    match &ended {
        Ended::Closed(close) => {
            connection.close(close.code().into(), close.disconnect().message.as_bytes());
        }
        Ended::Lost(_) => connection.close(0_u8.into(), b"the stream ended"),
    }
    pass.left(&ended);
}

/// Serves the client on its stream. Returns once the client has the last bytes, or after a while.
async fn talk(
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
    pass: &Pass,
    limits: ConnectionLimits,
) -> Ended {
    let chain = chain(connection.peer_identity());
    let ended = match tls::identity(chain.as_deref()) {
        Ok(identity) => {
            let guest = pass.guest(identity);
            let budget = guest.account.budget();
            let receiving = Receiving::new(&mut receive, connection, budget.clone());
            let sending = Sending::new(&mut send, connection, budget.clone());
            serve(receiving, sending, &guest, &pass.entrance().hub, limits).await
        }
        Err(why) => refuse(&mut send, Close::Identity(why), limits).await,
    };
    let ended = if said_goodbye(connection) { Ended::Closed(Close::Ended) } else { ended };
    // The stream may be finished already. Upstream's clients notice at once only the end of the stream.
    let _ = send.finish();
    let _ = timeout(limits.last_words, send.stopped()).await;
    ended
}

/// Whether the client closed the connection with the code of a normal end.
fn said_goodbye(connection: &Connection) -> bool {
    match connection.close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => close.error_code.into_inner() == 0,
        Some(
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted,
        )
        | None => false,
    }
}

fn chain(identity: Option<Box<dyn Any>>) -> Option<Vec<CertificateDer<'static>>> {
    identity?.downcast().ok().map(|chain| *chain)
}
