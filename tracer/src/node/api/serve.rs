//! Serves a router on a listener: bounded in connections and in what a slow client may cost. It must not
//! know the routes.

use std::{io::ErrorKind, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

use super::{
    guests::Guests,
    listen::{Connection, Listener},
};

/// Connections at one time; one more takes the place of another.
const MOST_CONNECTIONS: usize = 64;
/// For a client to send the headers of a request, and between its requests.
const PATIENCE: Duration = Duration::from_secs(2);
/// For answers under way when the agent ends.
const GRACE: Duration = Duration::from_secs(2);

/// Accepts until `closing` becomes true or its sender is gone, then ends connections between two answers; those
/// that take longer are cut. Dropping the future cuts all of them. Where all places are taken, the oldest connection of
/// the peer that has the most is cut: who asks seldom, as the kubelet does, is answered whatever others do.
pub async fn serve(listener: Listener, router: Router, mut closing: watch::Receiver<bool>) {
    let mut guests = Guests::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = closed(&mut closing) => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                guests.left(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            accepted = listener.accept() => match accepted {
                Ok((connection, peer)) => {
                    if guests.count() >= MOST_CONNECTIONS {
                        guests.cut_one();
                    }
                    let (router, closing) = (router.clone(), closing.clone());
                    let task = connections.spawn(async move {
                        match connection {
                            Connection::Unix(stream) => answer(stream, router, closing).await,
                            Connection::Tcp(stream) => answer(stream, router, closing).await,
                        }
                    });
                    guests.came(peer, task);
                    // It is to be read before the next comes, who may be many.
                    yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "the API cannot accept a connection");
                    // Descriptors have run out: at once it would fail again.
                    sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
    let ended = timeout(GRACE, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::debug!(count = connections.len(), "connections of the API were cut");
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // The error says that the sender is gone.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn answer<S>(stream: S, router: Router, mut closing: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the API ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;
    use crate::node::api::on_loopback;

    /// Asks for `/` as `host`; the whole answer.
    async fn ask(address: std::net::SocketAddr, host: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn served() -> (std::net::SocketAddr, watch::Sender<bool>, JoinSet<()>) {
        let listener = Listener::loopback("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let (close, closing) = watch::channel(false);
        let router = on_loopback(Router::new().route("/", get(|| async { "here" })));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, closing));
        (address, close, server)
    }

    #[tokio::test]
    async fn a_foreign_host_is_refused() {
        let (address, _close, _server) = served().await;
        let local = ask(address, &address.to_string()).await;
        assert!(local.starts_with("HTTP/1.1 200") && local.ends_with("here"), "{local}");
        let foreign = ask(address, "rebound.example").await;
        assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
        assert!(ask(address, "").await.starts_with("HTTP/1.1 403"));
    }

    /// A connection that has sent half a request.
    async fn half(address: std::net::SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn half_requests_keep_nobody_from_being_answered() {
        let (address, _close, _server) = served().await;
        let mut halves = Vec::new();
        for _ in 0..250 {
            halves.push(half(address).await);
        }
        let answer = timeout(Duration::from_secs(1), ask(address, "localhost")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn half_a_request_has_two_seconds() {
        let (address, _close, _server) = served().await;
        let mut stream = half(address).await;
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE + Duration::from_secs(2), stream.read_to_end(&mut rest));
        // With an answer that says so, or without.
        assert!(ended.await.is_ok(), "it is still open");
    }

    #[tokio::test]
    async fn serving_ends_while_clients_are_connected() {
        let (address, close, mut server) = served().await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, "localhost").await.contains("200"));
        close.send(true).unwrap();
        server.join_next().await.unwrap().unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty() && TcpStream::connect(address).await.is_err());
    }
}
