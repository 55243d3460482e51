//! A client that says exactly what a test wants, frame by frame.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use gateway::wire::{
    frame::Frames,
    id::NodeId,
    message::{Connect, Message, Ping, Procedure, RealmId, RegisterProcedure, decode, encode},
};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConfig, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::TcpSocket,
};
use tokio_rustls::TlsConnector;

pub const NODE: NodeId = NodeId([0xab; 32]);

#[derive(Clone, Copy, Debug)]
pub enum Over {
    Quic,
    Tcp,
}

impl Over {
    pub const BOTH: [Self; 2] = [Self::Quic, Self::Tcp];
}

pub struct Peer {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    frames: Frames,
    pub certificate: CertificateDer<'static>,
    quic: Option<quinn::Connection>,
}

impl Peer {
    /// The handshake, and a stream; nothing is said yet.
    pub async fn reach(over: Over, at: SocketAddr, tls: ClientConfig) -> anyhow::Result<Self> {
        Self::reach_from(Ipv4Addr::LOCALHOST.into(), over, at, tls).await
    }

    /// The same from an address of this machine.
    pub async fn reach_from(
        from: IpAddr,
        over: Over,
        at: SocketAddr,
        tls: ClientConfig,
    ) -> anyhow::Result<Self> {
        let from = SocketAddr::new(from, 0);
        match over {
            Over::Quic => Self::reach_quic(from, at, tls).await,
            Over::Tcp => Self::reach_tcp(from, at, tls).await,
        }
    }

    async fn reach_quic(
        from: SocketAddr,
        at: SocketAddr,
        tls: ClientConfig,
    ) -> anyhow::Result<Self> {
        let endpoint = quinn::Endpoint::client(from)?;
        let crypto = QuicClientConfig::try_from(tls)?;
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let connection = endpoint.connect_with(config, at, "localhost")?.await?;
        let (send, receive) = connection.open_bi().await?;
        let chain = connection.peer_identity().unwrap();
        let chain = chain.downcast::<Vec<CertificateDer<'static>>>().unwrap();
        Ok(Self {
            reader: Box::new(receive),
            writer: Box::new(send),
            frames: Frames::new(1 << 20),
            certificate: chain[0].clone(),
            quic: Some(connection),
        })
    }

    async fn reach_tcp(
        from: SocketAddr,
        at: SocketAddr,
        tls: ClientConfig,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(from)?;
        let socket = socket.connect(at).await?;
        let connector = TlsConnector::from(Arc::new(tls));
        let stream = connector.connect("localhost".try_into()?, socket).await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let (reader, writer) = split(stream);
        Ok(Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            frames: Frames::new(1 << 20),
            certificate,
            quic: None,
        })
    }

    pub async fn send(&mut self, message: Message) {
        self.write(&encode(&message)).await;
    }

    /// What cannot be written is missed by the test when nothing comes back.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.writer.write_all(bytes).await;
        let _ = self.writer.flush().await;
    }

    /// Over QUIC: closes the connection with a code, as a client does that ends.
    pub fn close(&self, code: u32) {
        if let Some(connection) = &self.quic {
            connection.close(code.into(), b"");
        }
    }

    /// Ends its own side of the stream.
    pub async fn finish(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return Some(decode(&frame).unwrap());
            }
            match self.reader.read_buf(self.frames.buffer()).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Whether the stream ends now as one that was finished: by a FIN, over TCP by the end of TLS. A connection that was
    /// closed before that ends by an error.
    pub async fn finished(&mut self) -> bool {
        assert!(!self.frames.is_amid_frame(), "something comes before the end");
        matches!(self.reader.read(&mut [0]).await, Ok(0))
    }

    pub async fn connect(&mut self, realm: &str) {
        self.send(Message::Connect(Connect {
            version: "1.0".to_owned(),
            node_id: NODE,
            realm_id: RealmId::Name(realm.to_owned()),
            capabilities: Vec::new(),
            token: None,
        }))
        .await;
    }

    /// Connects; what came back must be the acknowledgement.
    pub async fn join(&mut self, realm: &str) {
        self.connect(realm).await;
        let answer = self.next().await;
        assert!(matches!(answer, Some(Message::Pong(_))), "{answer:?}");
    }

    pub async fn ping(&mut self) {
        self.send(Message::Ping(Ping { timestamp: 7 })).await;
        match self.next().await {
            Some(Message::Pong(pong)) => assert_eq!(pong.timestamp, 7),
            other => panic!("{other:?} is no pong"),
        }
    }

    pub async fn register(&mut self, procedure: &str) {
        let procedure = Procedure(procedure.to_owned());
        self.send(Message::RegisterProcedure(RegisterProcedure { procedure })).await;
        self.ping().await;
    }

    /// The reason and text of the DISCONNECT that must come now; behind it the stream ends.
    pub async fn dismissed(&mut self) -> (String, String) {
        let last = self.next().await;
        let Some(Message::Disconnect(last)) = last else { panic!("{last:?} is no disconnect") };
        assert!(self.finished().await, "the connection ended before its stream");
        (last.reason, last.message)
    }

    /// Of QUIC: the code and reason with which the gateway closed the connection; `None` over TCP.
    pub async fn closed(&self) -> Option<(u64, Bytes)> {
        let connection = self.quic.as_ref()?;
        match connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                Some((close.error_code.into_inner(), close.reason))
            }
            other => panic!("{other:?}: not closed by the gateway"),
        }
    }
}
