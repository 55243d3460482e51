//! The settings of `gateway run`, from flags, variables and the file of realms. How the settings are used is not known here.

mod cgroup;
mod memory;
mod options;
mod realms;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use thiserror::Error;

use crate::{
    door::{connection::ConnectionLimits, keys::Secret, limits::HandshakeLimits, prefix::Prefix},
    hub::RealmConfig,
    outbox::OutboxLimits,
    wire::realm::RealmName,
};

pub use memory::Memory;
pub use options::{LogFormat, Options};

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{0}")]
    Realms(#[from] realms::RealmsError),
    #[error(
        "realm {realm} asks for certificates, and nothing says whose: give --client-ca FILE, or change {file}"
    )]
    NoClientAuthority { realm: RealmName, file: PathBuf },
    #[error(
        "GATEWAY_REALM is {realm}, which {file} does not have: add it there, or unset GATEWAY_REALM"
    )]
    DefaultRealm { realm: RealmName, file: PathBuf },
    #[error("{0}")]
    Value(String),
}

/// All settings of a gateway.
#[derive(Debug)]
pub struct Settings {
    pub address: IpAddr,
    pub port: u16,
    pub health_port: u16,
    /// Both files or none, unless `self_signed`; [`crate::door::tls::CertificateSource`] checks that.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub self_signed: bool,
    pub client_ca: Option<PathBuf>,
    /// How often the gateway looks at the certificate's files.
    pub look_every: Duration,
    pub realms: RealmSettings,
    pub node: String,
    pub cookie: Option<Secret>,
    pub drain_delay: Duration,
    pub grace: Duration,
    pub handshakes: HandshakeLimits,
    pub most_connections: usize,
    /// Connections at once of one network; half of all where it is not set.
    pub connections_of_prefix: Option<usize>,
    /// The networks for which no share of one network holds.
    pub exempt: Vec<Prefix>,
    pub connection: ConnectionLimits,
    pub outbox: OutboxLimits,
    pub memory: Memory,
}

impl Settings {
    /// The settings of a gateway for the tests of its clients: a certificate that nobody can verify, free ports of
    /// 127.0.0.1, the usual realm, open to everybody. Nothing is read from files or the environment.
    pub fn local() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            health_port: 0,
            certificate: None,
            key: None,
            self_signed: true,
            client_ca: None,
            look_every: Duration::from_secs(5),
            realms: RealmSettings { file: None, default: None, has_client_ca: false },
            node: "local".to_owned(),
            cookie: None,
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(5),
            handshakes: HandshakeLimits::default(),
            most_connections: 1000,
            connections_of_prefix: Some(1000),
            exempt: Vec::new(),
            connection: ConnectionLimits::default(),
            outbox: OutboxLimits::default(),
            memory: Memory(1 << 30),
        }
    }
}

/// Where realms come from.
#[derive(Clone, Debug)]
pub struct RealmSettings {
    pub file: Option<PathBuf>,
    /// The default realm, if one is set. Without a file it is the only realm; if none is set, it is upstream's.
    pub default: Option<RealmName>,
    pub has_client_ca: bool,
}

/// The default realm of upstream.
const DEFAULT_REALM: &str = "be.cortexiq.energy";

impl RealmSettings {
    /// Reads the realms, the default realm first.
    ///
    /// # Errors
    /// The file cannot be used, or contradicts other settings.
    pub fn read(&self) -> Result<Vec<RealmConfig>, ConfigError> {
        let Some(file) = &self.file else {
            let usual = || DEFAULT_REALM.parse().map_err(realms::RealmsError::from);
            let name = self.default.clone().map_or_else(usual, Ok)?;
            return Ok(vec![RealmConfig {
                name,
                certificate_required: false,
                permissions: Default::default(),
            }]);
        };
        let mut realms = realms::read(file)?;
        if let Some(default) = &self.default {
            let Some(index) = realms.iter().position(|realm| realm.name == *default) else {
                let (realm, file) = (default.clone(), file.clone());
                return Err(ConfigError::DefaultRealm { realm, file });
            };
            realms.swap(0, index);
        }
        if !self.has_client_ca
            && let Some(realm) = realms.iter().find(|realm| realms::asks_for_certificates(realm))
        {
            let (realm, file) = (realm.name.clone(), file.clone());
            return Err(ConfigError::NoClientAuthority { realm, file });
        }
        Ok(realms)
    }
}

#[cfg(test)]
mod tests;
