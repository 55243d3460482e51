//! The client's TLS: how it verifies the gateway, and the certificate by which it proves itself. Sockets are not known here.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring::default_provider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{Config, Error, Trust, pem};
use crate::door::tls::ALPN;

/// The TLS that a client of this configuration speaks: version 1.3 alone, with the protocol's name (ALPN).
///
/// # Errors
/// A file of the configuration cannot be read, or does not hold what it should.
pub fn tls(config: &Config) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let wrong = |error: rustls::Error| Error::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(&config.trust, provider)?));
    let mut tls = match &config.certificate {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = pem::key(&own.key)?;
            let chain = pem::certificates("certificate", &own.chain)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| Error::File {
                what: "certificate and key",
                path: own.chain.clone(),
                why: error.to_string(),
            })?
        }
    };
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(tls)
}

impl Verifier {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let Trust::Authority(path) = trust else { return Ok(Self { provider, trusted: None }) };
        let certificates = pem::certificates("CA file", path)?;
        let wrong = |why: String| Error::File { what: "CA file", path: path.clone(), why };
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { provider, trusted: Some(Trusted { by_authority, certificates }) })
    }
}

/// Verifies the gateway. The signature must be right in any case: the handshake was with that certificate's key.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None`: trusts whoever answers.
    trusted: Option<Trusted>,
}

/// The certificates of a file, and the verifier of those that they signed.
#[derive(Debug)]
struct Trusted {
    by_authority: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(Trusted { by_authority, certificates }) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let checked = by_authority.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        // openssl marks a self-signed certificate as an authority, which may not stand at the end of a chain (RFC 5280,
        // 4.2.1.9). A certificate of the file itself is trusted all the same, for its names, whatever its dates.
        let is_known = certificates.iter().any(|known| known.as_ref() == end_entity.as_ref());
        match checked {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if is_known => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    /// The protocol is TLS 1.3: signatures of TLS 1.2 are refused.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
