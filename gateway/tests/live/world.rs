//! A gateway in this process, with an authority for its certificate and its clients'.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use gateway::{
    config::{RealmSettings, Settings},
    life::Gateway,
};
use rcgen::{CertifiedKey, KeyPair};
use rustls::ClientConnection;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};

use crate::{
    authority::Authority,
    peer::{Over, Peer},
};

pub const REALM: &str = "be.cortexiq.energy";
pub const CLOSED: &str = "closed.example";

/// Nothing that is waited for takes longer.
pub const LONG: Duration = Duration::from_secs(20);

const REALMS: &str = r#"
[[realm]]
name = "be.cortexiq.energy"

[[realm]]
name = "closed.example"
certificate_required = true
"#;

pub struct World {
    pub authority: Authority,
    pub folder: TempDir,
    pub gateway: Gateway,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        authority.write_server(folder.path());
        let path = |name: &str| Some(folder.path().join(name));
        fs::write(folder.path().join("ca.crt"), authority.certificate.pem()).unwrap();
        fs::write(folder.path().join("realms.toml"), REALMS).unwrap();
        let mut settings = Settings {
            certificate: path("tls.crt"),
            key: path("tls.key"),
            self_signed: false,
            client_ca: path("ca.crt"),
            look_every: Duration::from_millis(20),
            realms: RealmSettings { file: path("realms.toml"), default: None, has_client_ca: true },
            node: "gateway-0".to_owned(),
            grace: Duration::from_secs(8),
            most_connections: 100,
            ..Settings::local()
        };
        settings.connection.hold_refused = Duration::from_millis(50);
        change(&mut settings);
        let gateway = Gateway::start(settings).await.unwrap();
        Self { authority, folder, gateway }
    }

    pub fn at(&self, over: Over) -> SocketAddr {
        match over {
            Over::Quic => self.gateway.udp,
            Over::Tcp => self.gateway.tcp,
        }
    }

    /// A handshake over TCP that has begun and does not go on.
    pub async fn half_a_handshake(&self) -> TcpStream {
        let mut socket = TcpStream::connect(self.gateway.tcp).await.unwrap();
        let (name, tls) = ("localhost".try_into().unwrap(), self.authority.trusted(None));
        let mut hello = Vec::new();
        ClientConnection::new(Arc::new(tls), name).unwrap().write_tls(&mut hello).unwrap();
        socket.write_all(&hello).await.unwrap();
        // The gateway answers once it counts.
        socket.read_exact(&mut [0]).await.unwrap();
        socket
    }

    pub async fn reach(&self, over: Over, own: Option<&CertifiedKey<KeyPair>>) -> Peer {
        Peer::reach(over, self.at(over), self.authority.trusted(own)).await.unwrap()
    }

    pub async fn join(&self, over: Over, realm: &str) -> Peer {
        let mut peer = self.reach(over, None).await;
        peer.join(realm).await;
        peer
    }
}

/// Waits until the metrics have this.
pub async fn metrics_say(at: SocketAddr, line: &str) {
    let said = async {
        let mut ticks = interval(Duration::from_millis(10));
        while !ask(at, "/metrics").await.1.contains(line) {
            ticks.tick().await;
        }
    };
    timeout(LONG, said).await.unwrap_or_else(|_| panic!("the metrics never said {line}"));
}

/// Asks for a path over HTTP; returns the status and the body.
pub async fn ask(at: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}
