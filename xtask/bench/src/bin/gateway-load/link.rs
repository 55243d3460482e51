//! One connection to a server: TLS over TCP, or a stream of QUIC; a client that speaks a protocol over it. What is said is
//! not known here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use clap::ValueEnum;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate;
use crate::heard::{Heard, Message};
use crate::wire::Wire;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    MaculaTcp,
    MaculaQuic,
    Nats,
    Mqtt,
    /// A stream of quinn's without anything above it
    Quinn,
}

impl Peer {
    /// The protocol, and whether it goes over QUIC.
    fn speaks(self) -> Result<(Wire, bool)> {
        Ok(match self {
            Self::MaculaTcp => (Wire::Macula, false),
            Self::MaculaQuic => (Wire::Macula, true),
            Self::Nats => (Wire::Nats, false),
            Self::Mqtt => (Wire::Mqtt, false),
            Self::Quinn => bail!("quinn alone passes nothing on: it has --messages only"),
        })
    }
}

/// What is read at once.
const READ: usize = 256 << 10;
const MACULA: &[u8] = b"macula";

/// A client of a server.
#[derive(Debug)]
pub struct Link {
    pub wire: Wire,
    stream: Stream,
    unread: BytesMut,
}

#[derive(Debug)]
enum Stream {
    Tcp(Box<TlsStream<BufReader<TcpStream>>>),
    Quic(Quic),
}

/// A connection with a socket of its own, and the one stream that is used.
#[derive(Debug)]
pub struct Quic {
    pub send: SendStream,
    pub receive: RecvStream,
    connection: Connection,
    endpoint: Endpoint,
}

impl Link {
    /// The client `number` of a cell, which the server has accepted.
    pub async fn open(cell: &crate::Cell, number: u16) -> Result<Self> {
        let (wire, over_quic) = cell.peer.speaks()?;
        let stream = if over_quic {
            Stream::Quic(Quic::connect(cell.address, &cell.certificate, MACULA).await?)
        } else {
            let alpn: &[&[u8]] = if wire == Wire::Macula { &[MACULA] } else { &[] };
            let tls = certificate::client(&cell.certificate, alpn)?;
            let socket = TcpStream::connect(cell.address).await.context("cannot connect")?;
            socket.set_nodelay(true)?;
            // rustls reads 4 KiB at a time, which would be a system call each.
            let socket = BufReader::with_capacity(READ, socket);
            let tls = TlsConnector::from(Arc::new(tls));
            let stream = tls.connect("localhost".try_into()?, socket).await?;
            let version = stream.get_ref().1.protocol_version();
            ensure!(version == Some(rustls::ProtocolVersion::TLSv1_3), "TLS is {version:?}");
            Stream::Tcp(Box::new(stream))
        };
        let mut link = Self { wire, stream, unread: BytesMut::new() };
        link.ask(&wire.open(number)).await?;
        Ok(link)
    }

    /// Writes, and waits until the server says that it is ready.
    pub async fn ask(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(bytes).await?;
        let mut ready = false;
        while !ready {
            while let Some((heard, taken)) = self.wire.parse(&self.unread)? {
                match heard {
                    Heard::Ready => ready = true,
                    Heard::Asks(answer) => self.stream.write(&answer).await?,
                    Heard::Message(_) => bail!("a message came before it was asked for"),
                    Heard::Nothing => {}
                }
                self.unread.advance(taken);
            }
            if !ready {
                self.fill().await?;
            }
        }
        Ok(())
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write(bytes).await
    }

    /// Waits for bytes and hands over each message that is whole with them.
    pub async fn read(&mut self, mut take: impl FnMut(Message<'_>)) -> Result<()> {
        self.fill().await?;
        let mut taken = 0;
        while let Some((heard, bytes)) = self.wire.parse(&self.unread[taken..])? {
            match heard {
                Heard::Message(message) => take(message),
                Heard::Asks(answer) => self.stream.write(&answer).await?,
                Heard::Ready | Heard::Nothing => {}
            }
            taken += bytes;
        }
        self.unread.advance(taken);
        Ok(())
    }

    /// Ends it, so that the server does not take it for somebody who is still there.
    pub async fn close(self) {
        match self.stream {
            // The process ends soon, whatever comes of it.
            Stream::Tcp(mut stream) => drop(stream.shutdown().await),
            Stream::Quic(quic) => quic.close().await,
        }
    }

    async fn fill(&mut self) -> Result<()> {
        self.unread.reserve(READ);
        let bytes = match &mut self.stream {
            Stream::Tcp(stream) => stream.read_buf(&mut self.unread).await?,
            Stream::Quic(quic) => quic.receive.read_buf(&mut self.unread).await?,
        };
        ensure!(bytes > 0, "the server ended the connection");
        Ok(())
    }
}

impl Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Self::Quic(quic) => quic.send.write_all(bytes).await?,
        }
        Ok(())
    }
}

impl Quic {
    /// With quinn's defaults.
    pub async fn connect(address: SocketAddr, certificate: &Path, alpn: &[u8]) -> Result<Self> {
        let tls = certificate::client(certificate, &[alpn])?;
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let connection = endpoint.connect_with(config, address, "localhost")?.await?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Self { send, receive, connection, endpoint })
    }
    pub async fn close(self) {
        self.connection.close(0_u8.into(), b"");
        self.endpoint.wait_idle().await;
    }
}
