//! The authorities that verify clients' certificates. They may change between two handshakes. What a certificate names is
//! not known here.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{CertificateError, FileChange, pair};

const WHAT: &str = "client authority";

/// The authorities that verify the clients of new handshakes.
#[derive(Debug)]
pub struct Authorities(RwLock<Trusted>);

/// What a file of authorities holds.
#[derive(Debug)]
pub(super) struct Trusted {
    roots: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    /// # Errors
    /// The file cannot be read, or holds no certificates.
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        Ok(Self(RwLock::new(Trusted::of(path, &contents(path)?)?)))
    }

    /// Uses these authorities for new handshakes; open connections stay.
    pub(super) fn trust(&self, trusted: Trusted) -> FileChange {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if current.roots == trusted.roots {
            return FileChange::Unchanged;
        }
        *current = trusted;
        FileChange::Replaced
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).verifier.clone()
    }
}

pub(super) fn contents(path: &Path) -> Result<Vec<u8>, CertificateError> {
    pair::read(WHAT, path)
}

impl Trusted {
    pub(super) fn of(path: &Path, pem: &[u8]) -> Result<Self, CertificateError> {
        let roots = pair::certificates(WHAT, path, pem)?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|error| CertificateError::NotPem {
                what: WHAT,
                path: path.to_owned(),
                why: error.to_string(),
            })?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), super::provider())
                .allow_unauthenticated()
                .build()
                .map_err(|error| CertificateError::Tls(error.to_string()))?;
        Ok(Self { roots, verifier })
    }
}

impl ClientCertVerifier for Authorities {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: the authorities may change, and a client has at most one certificate for this gateway.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current().verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}
