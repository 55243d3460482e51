//! TLS of a client: whom it believes, and by what it proves itself. It knows no socket.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{
        CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use super::{Config, Error, Trust};

/// As the protocol names itself in TLS.
const ALPN: &[u8] = b"macula";

/// TLS 1.3 with the protocol's name.
pub(super) fn tls(config: &Config) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let wrong = |error: rustls::Error| Error::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(&config.trust, provider)?);
    let mut tls = match &config.certificate {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_file(&own.key)
                .map_err(|error| file("key", &own.key, &error))?;
            let chain = certificates("certificate", &own.chain)?;
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

fn verifier(
    trust: &Trust,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let path = match trust {
        Trust::Insecure => return Ok(Arc::new(Anybody(provider))),
        Trust::Authority(path) => path,
    };
    let mut roots = RootCertStore::empty();
    let known = certificates("CA file", path)?;
    let wrong = |why: String| Error::File { what: "CA file", path: path.clone(), why };
    for certificate in &known {
        roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
    }
    let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(Known { by_authority, known }))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| file(what, path, &error))?;
    if found.is_empty() {
        let why = "there is no certificate in it: a PEM file is wanted".to_owned();
        return Err(Error::File { what, path: path.to_owned(), why });
    }
    Ok(found)
}

fn file(what: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> Error {
    Error::File { what, path: path.to_owned(), why: error.to_string() }
}

/// Those of a file, and those that they signed.
#[derive(Debug)]
struct Known {
    by_authority: Arc<WebPkiServerVerifier>,
    known: Vec<CertificateDer<'static>>,
}

/// Whoever it is. Its signature must be right all the same: the handshake was with that certificate's key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.by_authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // openssl marks a self-signed certificate as an authority, which may not stand at the end of a chain (RFC 5280,
        // 4.2.1.9). The very certificate of the file is believed all the same, for its names, whatever its dates.
        let is_known = self.known.iter().any(|known| known.as_ref() == end_entity.as_ref());
        match checked {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if is_known => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
