//! A gateway in this process, over QUIC and TCP on loopback, with a certificate of its own.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use gateway::{
    budget::Budget,
    client::{Client, Config, Timing, Transport, Trust},
    door::connection::{ConnectionLimits, Ended, Guest, serve},
    hub::{Hub, RealmConfig},
    observe::{diagnostics::Diagnostics, metrics::Metrics},
    outbox::OutboxLimits,
    session::{Permissions, RealmLimits},
};
use quinn::{Endpoint, crypto::rustls::QuicServerConfig};
use rustls::{crypto::ring::default_provider, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::{JoinSet, yield_now},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub const REALM: &str = "be.cortexiq.energy";
pub const BOTH: [Transport; 2] = [Transport::Quic, Transport::Tcp];

pub struct Server {
    pub hub: Arc<Hub>,
    pub quic: SocketAddr,
    pub tcp: SocketAddr,
    pub pair: Arc<Pair>,
    endpoint: Endpoint,
    tasks: JoinSet<()>,
}

/// A certificate and its key; the certificate is in a file too.
pub struct Pair {
    pub tls: Arc<rustls::ServerConfig>,
    pub ca: PathBuf,
    _folder: TempDir,
}

impl Pair {
    pub fn new() -> Arc<Self> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, own.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = vec![b"macula".to_vec()];
        Arc::new(Self { tls: Arc::new(tls), ca, _folder: folder })
    }
}

fn hub(realm: &str, permissions: Permissions) -> Arc<Hub> {
    let config =
        RealmConfig { name: realm.parse().unwrap(), certificate_required: false, permissions };
    let diagnostics = Diagnostics {
        node: "gateway-0".to_owned(),
        realm: realm.to_owned(),
        started: Instant::now(),
    };
    let (limits, outbox) = (RealmLimits::default(), OutboxLimits::default());
    let (metrics, budget) = (Arc::new(Metrics::new()), Budget::unlimited());
    Arc::new(Hub::new(&[config], limits, outbox, diagnostics, metrics, budget))
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Permissions::default()).await
    }

    pub async fn with(permissions: Permissions) -> Self {
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        Self::at(any, any, Pair::new(), hub(REALM, permissions)).await
    }

    /// Stops it, and starts another one on the same ports, without any memory; `realm` is what it serves.
    pub async fn restart(self, realm: &str) -> Self {
        let (quic, tcp, pair) = (self.quic, self.tcp, self.pair.clone());
        self.stop().await;
        Self::at(quic, tcp, pair, hub(realm, Permissions::default())).await
    }

    /// One on the ports of another that was stopped.
    pub async fn again(quic: SocketAddr, tcp: SocketAddr, pair: Arc<Pair>) -> Self {
        Self::at(quic, tcp, pair, hub(REALM, Permissions::default())).await
    }

    /// Without a word to its clients, but for QUIC's.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.endpoint.close(0u32.into(), b"");
        self.endpoint.wait_idle().await;
    }

    async fn at(quic: SocketAddr, tcp: SocketAddr, pair: Arc<Pair>, hub: Arc<Hub>) -> Self {
        let crypto = QuicServerConfig::try_from(pair.tls.clone()).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        // A socket that was closed is gone when its task has seen it.
        let endpoint = loop {
            match Endpoint::server(config.clone(), quic) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => yield_now().await,
                bound => break bound.unwrap(),
            }
        };
        let listener = TcpListener::bind(tcp).await.unwrap();
        let (quic, tcp) = (endpoint.local_addr().unwrap(), listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(hub.clone().keep_deadlines(Arc::default()));
        tasks.spawn(serve_quic(endpoint.clone(), hub.clone()));
        tasks.spawn(serve_tcp(listener, TlsAcceptor::from(pair.tls.clone()), hub.clone()));
        Self { hub, quic, tcp, pair, endpoint, tasks }
    }

    pub fn address(&self, transport: Transport) -> String {
        match transport {
            Transport::Quic => self.quic.to_string(),
            Transport::Tcp => self.tcp.to_string(),
        }
    }

    pub fn config(&self, transport: Transport) -> Config {
        let trust = Trust::Authority(self.pair.ca.clone());
        let mut config = Config::new(self.address(transport), REALM.parse().unwrap(), trust);
        config.transport = transport;
        config.timing = Timing {
            wait_first: Duration::from_millis(20),
            wait_most: Duration::from_millis(100),
            ..Timing::default()
        };
        config
    }

    pub async fn client(&self, transport: Transport) -> Client {
        Client::connect(self.config(transport)).await.unwrap()
    }
}

async fn serve_quic(endpoint: Endpoint, hub: Arc<Hub>) {
    let mut clients = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let hub = hub.clone();
        clients.spawn(async move {
            let Ok(connection) = incoming.await else { return };
            let Ok((writer, reader)) = connection.accept_bi().await else { return };
            if let Ended::Closed(close) = serve(
                reader,
                writer,
                &Guest::local(hub.budget()),
                &hub,
                ConnectionLimits::default(),
            )
            .await
            {
                // The client closes once it has read why.
                let _ = timeout(Duration::from_secs(1), connection.closed()).await;
                connection.close(close.code().into(), close.reason().as_bytes());
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, acceptor: TlsAcceptor, hub: Arc<Hub>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (hub, acceptor) = (hub.clone(), acceptor.clone());
        clients.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (reader, writer) = tokio::io::split(stream);
            serve(reader, writer, &Guest::local(hub.budget()), &hub, ConnectionLimits::default())
                .await;
        });
    }
}
