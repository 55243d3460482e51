//! The client connects over QUIC, or over TLS on TCP. The result is a stream of bytes; frames are not known here.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{ConnectionError, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, sink},
    net::{TcpStream, UdpSocket, lookup_host},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Config, Error, Transport, trust};

/// If an address is silent for this long, the client tries the next one as well.
const HEAD_START: Duration = Duration::from_millis(250);
/// The time for the gateway to end its side.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Makes connections to one gateway.
#[derive(Debug)]
pub(super) struct Dialer {
    address: String,
    name: ServerName<'static>,
    transport: Transport,
    tls: Arc<rustls::ClientConfig>,
}

/// One stream of bytes, in both directions.
pub(super) struct ByteStream {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    quic: Option<(Endpoint, quinn::Connection)>,
}

impl Dialer {
    pub fn new(config: &Config) -> Result<Self, Error> {
        let wrong =
            |why: &str| Error::Address { address: config.address.clone(), why: why.to_owned() };
        let (host, port) =
            config.address.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        port.parse::<u16>().map_err(|_| wrong("its port is no number up to 65535"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| wrong("its host is no name"))?;
        Ok(Self {
            address: config.address.clone(),
            name,
            transport: config.transport,
            tls: Arc::new(trust::tls(config)?),
        })
    }

    /// Connects from a new socket, so that nothing is left of a path that a router has forgotten.
    pub async fn dial(&self) -> Result<ByteStream, Error> {
        match self.transport {
            Transport::Quic => self.dial_quic().await,
            Transport::Tcp => self.dial_tcp().await,
        }
    }

    /// The error of a failed attempt to connect here.
    pub fn failed(&self, why: impl ToString) -> Error {
        Error::Connect {
            address: self.address.clone(),
            transport: self.transport.name(),
            why: why.to_string(),
        }
    }

    async fn dial_tcp(&self) -> Result<ByteStream, Error> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| self.failed(error))?;
        stream.set_nodelay(true).map_err(|error| self.failed(error))?;
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect(self.name.clone(), stream).await;
        let (reader, writer) = tokio::io::split(stream.map_err(|error| self.failed(error))?);
        Ok(ByteStream { reader: Box::new(reader), writer: Box::new(writer), quic: None })
    }

    async fn dial_quic(&self) -> Result<ByteStream, Error> {
        let crypto = QuicClientConfig::try_from(self.tls.clone());
        let crypto = crypto.map_err(|error| Error::Tls(error.to_string()))?;
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let host = self.name.to_str().into_owned();
        let addresses = lookup_host(&self.address).await.map_err(|error| self.failed(error))?;
        let mut attempts = JoinSet::new();
        for (address, order) in addresses.zip(0u32..8) {
            let (config, host) = (config.clone(), host.clone());
            attempts.spawn(async move {
                tokio::time::sleep(HEAD_START * order).await;
                attempt(config, address, &host).await
            });
        }
        let mut why = "its name has no address".to_owned();
        while let Some(ended) = attempts.join_next().await {
            match ended {
                Ok(Ok((endpoint, connection))) => {
                    let stream = connection.open_bi().await;
                    let (writer, reader) = stream.map_err(|error| self.failed(error))?;
                    let quic = Some((endpoint, connection));
                    return Ok(ByteStream {
                        reader: Box::new(reader),
                        writer: Box::new(writer),
                        quic,
                    });
                }
                Ok(Err(error)) => why = error,
                Err(error) => why = error.to_string(),
            }
        }
        Err(self.failed(why))
    }
}

async fn attempt(
    config: quinn::ClientConfig,
    address: SocketAddr,
    host: &str,
) -> Result<(Endpoint, quinn::Connection), String> {
    let from: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(from).map_err(|error| error.to_string())?;
    let connecting = endpoint.connect_with(config, address, host);
    let connecting = connecting.map_err(|error| error.to_string())?;
    tokio::select! {
        connection = connecting => Ok((endpoint, connection.map_err(|error| error.to_string())?)),
        error = refused(from, address) => Err(error.to_string()),
    }
}

/// Waits until the kernel learns that nobody listens there. The kernel reports that only on a connected socket, which
/// quinn's is not, as its connections may move. No gateway answers an empty datagram.
async fn refused(from: SocketAddr, address: SocketAddr) -> std::io::Error {
    let asked = async {
        let socket = UdpSocket::bind(from).await?;
        socket.connect(address).await?;
        socket.send(&[]).await?;
        Ok(socket)
    };
    let socket: UdpSocket = match asked.await {
        Ok(socket) => socket,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = socket.recv(&mut []).await {
            return error;
        }
    }
}

impl ByteStream {
    /// The reason with which the gateway closed the connection, if it did.
    pub fn last_word(&self) -> Option<Error> {
        match self.quic.as_ref()?.1.close_reason()? {
            ConnectionError::ApplicationClosed(close) => {
                Some(Error::of_close_code(close.error_code.into_inner(), &close.reason))
            }
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => None,
        }
    }

    /// Why the connection was lost, as its transport knows it; else `error`.
    pub fn loss(&self, error: impl ToString) -> String {
        let known = self.quic.as_ref().and_then(|(_, connection)| connection.close_reason());
        known.map_or_else(|| error.to_string(), |reason| reason.to_string())
    }

    /// Ends the stream after the gateway has ended its side, when it has read everything.
    pub async fn close(self) {
        let Self { mut reader, mut writer, quic } = self;
        let ended = async {
            writer.shutdown().await?;
            copy(&mut reader, &mut sink()).await
        };
        // A connection that fails now needs nothing more.
        let _ = timeout(LAST_WORD, ended).await;
        if let Some((endpoint, connection)) = quic {
            connection.close(0u32.into(), b"");
            let _ = timeout(LAST_WORD, endpoint.wait_idle()).await;
        }
    }
}
