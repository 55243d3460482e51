//! An authority of certificates for a test. It must not know who uses them.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

pub struct Authority {
    pub certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: SanType, purpose: ExtendedKeyUsagePurpose) -> CertifiedKey<KeyPair> {
        self.sign_as(CertificateParams::default(), name, purpose)
    }

    fn sign_as(
        &self,
        mut params: CertificateParams,
        name: SanType,
        purpose: ExtendedKeyUsagePurpose,
    ) -> CertifiedKey<KeyPair> {
        params.subject_alt_names = vec![name];
        params.extended_key_usages = vec![purpose];
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&signing_key, &self.issuer).unwrap();
        CertifiedKey { cert, signing_key }
    }

    /// Writes a new pair for `localhost` to `tls.crt` and `tls.key`; returns the certificate.
    pub fn write_server(&self, folder: &Path) -> CertificateDer<'static> {
        self.write_server_as(CertificateParams::default(), folder)
    }

    /// The same, but valid in the year 2020 alone.
    pub fn write_ended_server(&self, folder: &Path) {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        self.write_server_as(params, folder);
    }

    fn write_server_as(&self, params: CertificateParams, folder: &Path) -> CertificateDer<'static> {
        let name = SanType::DnsName("localhost".try_into().unwrap());
        let pair = self.sign_as(params, name, ExtendedKeyUsagePurpose::ServerAuth);
        fs::write(folder.join("tls.crt"), pair.cert.pem()).unwrap();
        fs::write(folder.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
        pair.cert.der().clone()
    }

    /// A client's pair with a URI as its name.
    pub fn client(&self, uri: &str) -> CertifiedKey<KeyPair> {
        let name = SanType::URI(uri.try_into().unwrap());
        self.sign(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// How a client trusts this authority, with a certificate of its own or none.
    pub fn trusted(&self, own: Option<&CertifiedKey<KeyPair>>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
                let chain = vec![own.cert.der().clone()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from(key)).unwrap()
            }
        };
        config.alpn_protocols = vec![b"macula".to_vec()];
        config
    }
}
