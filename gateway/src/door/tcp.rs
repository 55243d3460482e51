//! Clients over TLS on TCP. Frames are not known here.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use rustls::server::Acceptor;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::LazyConfigAcceptor;
use tracing::warn;

use crate::{
    door::{
        connection::{Ended, refuse, serve},
        entrance::{Entrance, Pass, Transport},
        tls,
    },
    observe::beat::Beat,
    session::Close,
};

/// The pause after a connection could not be accepted, for example because too many files are open.
const BREATH: Duration = Duration::from_millis(100);

/// Serves clients until the entrance is stopped and all clients have left.
pub async fn run(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    entrance: Arc<Entrance>,
    beat: Arc<Beat>,
) {
    let tls = Arc::new(tls);
    let mut clients = JoinSet::new();
    let mut ticks = tokio::time::interval(Beat::EVERY);
    let stopped = entrance.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    if let Some(pass) = entrance.greet(from.ip()) {
                        clients.spawn(client(socket, tls.clone(), pass));
                    }
                }
                Err(error) => {
                    warn!("cannot accept a TCP connection: {error}");
                    sleep(BREATH).await;
                }
            },
            Some(_) = clients.join_next() => {}
            _ = ticks.tick() => beat.turn(),
            () = &mut stopped => break,
        }
    }
    // The kernel refuses new connections from here on.
    drop(listener);
    while !clients.is_empty() {
        tokio::select! {
            _ = clients.join_next() => {}
            _ = ticks.tick() => beat.turn(),
        }
    }
}

async fn client(socket: TcpStream, tls: Arc<rustls::ServerConfig>, mut pass: Pass) {
    let limits = pass.entrance().limits;
    // Frames are written in large pieces already.
    let _ = socket.set_nodelay(true);
    // A connection that says nothing is no handshake: anybody could have as many as the limits allow, and keep others out.
    let hello = LazyConfigAcceptor::new(Acceptor::default(), socket);
    let begun = match in_time(limits.hello_within, hello, &pass).await {
        Ok(begun) => begun,
        Err(why) => return pass.failed(&why),
    };
    if pass.hello().is_err() {
        return;
    }
    let stream = match in_time(limits.connect_within, begun.into_stream(tls), &pass).await {
        Ok(stream) => stream,
        Err(why) => return pass.failed(&why),
    };
    pass.entered(Transport::Tcp);
    let session = stream.get_ref().1;
    let identity = match session.alpn_protocol() {
        Some(tls::ALPN) => tls::identity(session.peer_certificates()).map_err(Close::Identity),
        // Over TCP, unlike QUIC, a client that names no protocol completes its handshake.
        Some(_) | None => Err(Close::NoProtocol),
    };
    let (mut reader, mut writer) = split(stream);
    let ended = match identity {
        Ok(identity) => {
            let guest = pass.guest(identity);
            serve(&mut reader, &mut writer, &guest, &pass.entrance().hub, limits).await
        }
        Err(close) => refuse(&mut writer, close, limits).await,
    };
    let last = async {
        let _ = writer.shutdown().await;
        if let Ended::Closed(_) = ended {
            let _ = read_to_end(&mut reader).await;
        }
    };
    let _ = timeout(limits.last_words, last).await;
    pass.left(&ended);
}

/// What comes of a step of the handshake, if it takes no longer than this and the gateway has memory left for the client.
async fn in_time<T>(
    within: Duration,
    step: impl Future<Output = io::Result<T>>,
    pass: &Pass,
) -> io::Result<T> {
    tokio::select! {
        done = timeout(within, step) => {
            done.unwrap_or_else(|_| Err(io::Error::new(ErrorKind::TimedOut, "it took too long")))
        }
        () = pass.account().evicted() => Err(io::Error::other(Close::Memory)),
    }
}

/// A socket that is closed with something unread in it resets the connection, and what was written last does not arrive.
async fn read_to_end<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<()> {
    // On the heap: within the task every client would hold it as long as it is connected.
    let mut unread = vec![0; 4096];
    while reader.read(&mut unread).await? > 0 {}
    Ok(())
}
