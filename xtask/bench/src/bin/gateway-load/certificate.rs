//! The certificate that all servers show and all clients trust.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Writes `tls.crt` and `tls.key`: P-256, for `localhost`.
pub fn write(folder: &Path) -> Result<()> {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let put = |name: &str, pem: String| {
        fs::write(folder.join(name), pem).with_context(|| format!("cannot write {name}"))
    };
    put("tls.crt", pair.cert.pem())?;
    put("tls.key", pair.signing_key.serialize_pem())
}

/// TLS 1.3 of a client that trusts this certificate alone.
pub fn client(certificate: &Path, alpn: &[&[u8]]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(read(certificate)?)?;
    let mut tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(tls)
}

/// TLS 1.3 of a server with the pair of a folder.
pub fn server(folder: &Path, alpn: &[u8]) -> Result<ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).context("tls.key")?;
    let mut tls = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![read(&folder.join("tls.crt"))?], key)?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(tls)
}

fn read(certificate: &Path) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(certificate)
        .with_context(|| format!("cannot read {}", certificate.display()))
}

fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}
