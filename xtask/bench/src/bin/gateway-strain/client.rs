//! Clients that say exactly what a measurement wants, frame by frame, many from one process. They know no measurement.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, bail};
use gateway::{
    client::{self, Config, Trust},
    wire::{
        frame::Frames,
        id::NodeId,
        message::{Connect, Message, RealmId, decode, encode},
    },
};
use quinn::{Endpoint, crypto::rustls::QuicClientConfig};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const REALM: &str = "be.cortexiq.energy";
/// The certificate is for nobody in particular, and is not looked at.
const NAME: &str = "localhost";
/// Handshakes at once: fewer than those from which on a gateway asks for proofs of addresses.
pub const AT_ONCE: u32 = 32;
const LONGEST_PAYLOAD: u32 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    Quic,
    Tcp,
}

/// The way to a gateway. Over QUIC all clients share one socket.
#[derive(Debug)]
pub struct Road {
    at: SocketAddr,
    over: Over,
    tls: Arc<ClientConfig>,
    endpoint: Endpoint,
}

/// One that has been acknowledged.
pub struct Client {
    pub listener: Listener,
    pub speaker: Speaker,
}

pub struct Listener {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    frames: Frames,
}

pub struct Speaker {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Over QUIC a connection lives as long as somebody holds it.
    _quic: Option<quinn::Connection>,
}

impl Road {
    pub fn new(at: SocketAddr, over: Over) -> anyhow::Result<Self> {
        // The gateway under measurement makes its own certificate.
        let tls = client::tls(&Config::new(at.to_string(), REALM.parse()?, Trust::Insecure))?;
        let mut endpoint = Endpoint::client((at.ip(), 0).into())?;
        let crypto = Arc::new(QuicClientConfig::try_from(tls.clone())?);
        endpoint.set_default_client_config(quinn::ClientConfig::new(crypto));
        Ok(Self { at, over, tls: Arc::new(tls), endpoint })
    }

    /// A handshake over QUIC and no more.
    pub async fn shake_hands(&self) -> anyhow::Result<quinn::Connection> {
        Ok(self.endpoint.connect(self.at, NAME)?.await?)
    }

    /// Returns once all connections that were closed are forgotten.
    pub async fn left(&self) {
        self.endpoint.wait_idle().await;
    }

    /// Returns once the gateway has acknowledged the client.
    pub async fn join(&self) -> anyhow::Result<Client> {
        let mut client = match self.over {
            Over::Quic => self.reach_quic().await?,
            Over::Tcp => self.reach_tcp().await?,
        };
        let connect = Connect {
            version: "1.0".to_owned(),
            node_id: NodeId([0xab; 32]),
            realm_id: RealmId::Name(REALM.to_owned()),
            capabilities: Vec::new(),
            token: None,
        };
        client.speaker.say(&Message::Connect(connect)).await?;
        match client.listener.next().await? {
            Some(Message::Pong(_)) => Ok(client),
            other => bail!("the gateway answered a CONNECT with {other:?}"),
        }
    }

    async fn reach_quic(&self) -> anyhow::Result<Client> {
        let connection = self.shake_hands().await?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Client::new(receive, send, Some(connection)))
    }

    async fn reach_tcp(&self) -> anyhow::Result<Client> {
        let socket = TcpStream::connect(self.at).await?;
        socket.set_nodelay(true)?;
        let connector = TlsConnector::from(self.tls.clone());
        let (reader, writer) = split(connector.connect(NAME.try_into()?, socket).await?);
        Ok(Client::new(reader, writer, None))
    }
}

impl Client {
    fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        quic: Option<quinn::Connection>,
    ) -> Self {
        let frames = Frames::new(LONGEST_PAYLOAD);
        Self {
            listener: Listener { reader: Box::new(reader), frames },
            speaker: Speaker { writer: Box::new(writer), _quic: quic },
        }
    }
}

impl Listener {
    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            if let Some(frame) = self.frames.next_frame()? {
                return Ok(Some(decode(&frame)?));
            }
            let read = self.reader.read_buf(self.frames.buffer()).await;
            if read.context("the connection was lost")? == 0 {
                return Ok(None);
            }
        }
    }
}

impl Speaker {
    pub async fn say(&mut self, message: &Message) -> anyhow::Result<()> {
        self.writer.write_all(&encode(message)).await?;
        Ok(self.writer.flush().await?)
    }
}
