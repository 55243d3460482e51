//! Clients over TLS on TCP. Frames are not known here.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use crate::{
    door::{
        connection::{Ended, Guest, refuse, serve},
        entrance::{Decision, Entrance, Pass, Transport},
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
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut clients = JoinSet::new();
    let mut ticks = tokio::time::interval(Beat::EVERY);
    let stopped = entrance.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    if let Decision::Enter(pass) = entrance.admit(from.ip(), true) {
                        clients.spawn(client(socket, acceptor.clone(), pass));
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

async fn client(socket: TcpStream, acceptor: TlsAcceptor, mut pass: Pass) {
    let limits = pass.entrance().limits;
    // Frames are written in large pieces already.
    let _ = socket.set_nodelay(true);
    let handshake = tokio::select! {
        handshake = timeout(limits.connect_within, acceptor.accept(socket)) => handshake,
        () = pass.account().evicted() => return pass.failed(&Close::Memory),
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return pass.failed(&error),
        Err(_) => return pass.failed(&"it took too long"),
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
            let guest = Guest { identity, account: pass.account().clone() };
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

/// A socket that is closed with something unread in it resets the connection, and what was written last does not arrive.
async fn read_to_end<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<()> {
    // On the heap: within the task every client would hold it as long as it is connected.
    let mut unread = vec![0; 4096];
    while reader.read(&mut unread).await? > 0 {}
    Ok(())
}
