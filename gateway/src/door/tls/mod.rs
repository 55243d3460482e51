//! The gateway's TLS, for QUIC and TCP: TLS 1.3 with ALPN `macula`, the gateway's certificate, and the verification of
//! clients.

mod authorities;
mod file_change;
mod identity;
mod pair;
mod rotation;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

pub use authorities::Authorities;
pub use file_change::FileChange;
pub use identity::identity;
pub use pair::{CertificateError, CertificateSource, Pair};
pub use rotation::Rotation;

/// The protocol that both sides must offer.
pub const ALPN: &[u8] = b"macula";

/// The certificate for new handshakes.
#[derive(Debug)]
pub struct Certificates(RwLock<Pair>);

impl Certificates {
    pub fn new(pair: Pair) -> Self {
        Self(RwLock::new(pair))
    }

    /// Uses this certificate for new handshakes; open connections stay.
    fn serve(&self, pair: Pair) -> FileChange {
        let mut served = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if served.key.cert == pair.key.cert {
            return FileChange::Unchanged;
        }
        *served = pair;
        FileChange::Replaced
    }

    /// The end of the certificate's validity, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).not_after
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

/// The TLS settings of both transports. With `authorities` the gateway verifies a client's certificate, if the client has
/// one; without, it asks for none.
///
/// # Errors
/// The provider of cryptography has no TLS 1.3.
pub fn server_config(
    certificates: Arc<Certificates>,
    authorities: Option<Arc<Authorities>>,
) -> Result<ServerConfig, CertificateError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| CertificateError::Tls(error.to_string()))?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => builder.with_client_cert_verifier(authorities),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would skip the client's certificate.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
