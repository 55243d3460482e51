//! A certificate with its key, read from files or self-signed. Each error says what to do.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use thiserror::Error;
use x509_parser::time::ASN1Time;

use super::now;
use crate::file;

/// Why the gateway has no certificate to serve with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    #[error(
        "no certificate: set TLS_CERT_FILE and TLS_KEY_FILE, or give --self-signed to try the gateway out"
    )]
    NotGiven,
    #[error("{given} is set and {missing} is not: set both")]
    Half { given: &'static str, missing: &'static str },
    #[error("--self-signed and TLS_CERT_FILE exclude each other: remove one")]
    Both,
    #[error("cannot read {what} {path}: {why}")]
    Unreadable { what: &'static str, path: PathBuf, why: String },
    #[error("{what} {path} is not PEM: {why}")]
    NotPem { what: &'static str, path: PathBuf, why: String },
    #[error("certificate {certificate} and key {key} cannot be used: {why}")]
    Unusable { certificate: PathBuf, key: PathBuf, why: String },
    #[error(
        "certificate {path} is no longer valid since {ended}: renew it, or correct the clock of this machine"
    )]
    Ended { path: PathBuf, ended: String },
    #[error("no self-signed certificate could be made: {0}")]
    NotMade(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Where the gateway's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    Files { certificate: PathBuf, key: PathBuf },
    SelfSigned,
}

impl CertificateSource {
    /// # Errors
    /// The settings name no certificate, half of a pair, or two.
    pub fn of(
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
        self_signed: bool,
    ) -> Result<Self, CertificateError> {
        let half = |given, missing| CertificateError::Half { given, missing };
        match (certificate, key, self_signed) {
            (Some(certificate), Some(key), false) => Ok(Self::Files { certificate, key }),
            (None, None, true) => Ok(Self::SelfSigned),
            (None, None, false) => Err(CertificateError::NotGiven),
            (_, _, true) => Err(CertificateError::Both),
            (Some(_), None, false) => Err(half("TLS_CERT_FILE", "TLS_KEY_FILE")),
            (None, Some(_), false) => Err(half("TLS_KEY_FILE", "TLS_CERT_FILE")),
        }
    }

    /// # Errors
    /// The pair cannot be read or used, or is no longer valid.
    pub fn load(&self) -> Result<Pair, CertificateError> {
        match self {
            Self::Files { certificate, key } => Contents::read(certificate, key)?.pair(now()),
            Self::SelfSigned => Pair::self_signed(),
        }
    }
}

impl fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { certificate, key } => {
                write!(f, "{} with key {}", certificate.display(), key.display())
            }
            Self::SelfSigned => f.write_str("self-signed"),
        }
    }
}

/// A certificate with its chain and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    pub key: Arc<CertifiedKey>,
    /// The end of its validity, in seconds since 1970.
    pub not_after: i64,
}

impl Pair {
    fn self_signed() -> Result<Self, CertificateError> {
        let not_made = |error: &dyn fmt::Display| CertificateError::NotMade(error.to_string());
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| not_made(&error))?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self::of(vec![made.cert.der().clone()], key.into()).map_err(|error| not_made(&error))
    }

    fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let leaf = chain.first().ok_or("there is no certificate in it")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|error| format!("the certificate is no X.509: {error}"))?;
        let not_after = parsed.validity().not_after.timestamp();
        let key =
            CertifiedKey::from_der(chain, key, &super::provider()).map_err(
                |error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        "the key is not that of the certificate".to_owned()
                    }
                    other => other.to_string(),
                },
            )?;
        Ok(Self { key: Arc::new(key), not_after })
    }
}

/// The contents of both files.
pub(super) struct Contents<'a> {
    certificate_path: &'a Path,
    key_path: &'a Path,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl<'a> Contents<'a> {
    pub(super) fn read(
        certificate_path: &'a Path,
        key_path: &'a Path,
    ) -> Result<Self, CertificateError> {
        let certificate = read("certificate", certificate_path)?;
        let key = read("key", key_path)?;
        Ok(Self { certificate_path, key_path, certificate, key })
    }

    /// `now`: seconds since 1970.
    pub(super) fn pair(self, now: i64) -> Result<Pair, CertificateError> {
        let chain = certificates("certificate", self.certificate_path, &self.certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| CertificateError::NotPem {
                what: "key",
                path: self.key_path.to_owned(),
                why: match error {
                    pem::Error::NoItemsFound => {
                        "it has no BEGIN PRIVATE KEY, or the key is encrypted".to_owned()
                    }
                    other => other.to_string(),
                },
            })?;
        let pair = Pair::of(chain, key).map_err(|why| CertificateError::Unusable {
            certificate: self.certificate_path.to_owned(),
            key: self.key_path.to_owned(),
            why,
        })?;
        if pair.not_after <= now {
            return Err(CertificateError::Ended {
                path: self.certificate_path.to_owned(),
                ended: ASN1Time::from_timestamp(pair.not_after)
                    .map_or_else(|_| pair.not_after.to_string(), |time| time.to_string()),
            });
        }
        Ok(pair)
    }
}

/// The certificates in a PEM file; there is at least one.
pub(super) fn certificates(
    what: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let not_pem = |why| CertificateError::NotPem { what, path: path.to_owned(), why };
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(error.to_string()))?;
    if chain.is_empty() {
        return Err(not_pem("it has no BEGIN CERTIFICATE".to_owned()));
    }
    Ok(chain)
}

pub(super) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    file::read(path).map_err(|why| CertificateError::Unreadable {
        what,
        path: path.to_owned(),
        why,
    })
}
