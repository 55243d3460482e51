//! Loads new certificates and client authorities without a restart. It compares the contents of the files, since Kubernetes
//! swaps links beneath them. A file that cannot be used is refused and counted, and the old one stays in use.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tracing::{error, info};

use super::{
    Authorities, CertificateError, CertificateSource, Certificates, FileChange,
    authorities::{self, Trusted},
    now,
    pair::Contents,
};
use crate::observe::metrics::Metrics;

/// Keeps the gateway's certificate and the authorities of its clients up to date.
#[derive(Debug)]
pub struct Rotation {
    /// The files of certificate and key; `None` for a self-signed pair.
    pair: Option<(PathBuf, PathBuf)>,
    certificates: Arc<Certificates>,
    authorities: Option<(PathBuf, Arc<Authorities>)>,
    metrics: Arc<Metrics>,
    seen_pair: LastRead,
    seen_authorities: LastRead,
}

/// The hash of the contents that were read last, or why they could not be read.
#[derive(Debug, Default)]
struct LastRead(Option<Result<[u8; 32], CertificateError>>);

impl Rotation {
    /// `certificates` serves what `source` holds, and `authorities` trusts what its file holds.
    pub fn new(
        source: &CertificateSource,
        certificates: Arc<Certificates>,
        authorities: Option<(PathBuf, Arc<Authorities>)>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let pair = match source {
            CertificateSource::Files { certificate, key } => {
                Some((certificate.clone(), key.clone()))
            }
            CertificateSource::SelfSigned => None,
        };
        let (seen_pair, seen_authorities) = (LastRead::default(), LastRead::default());
        Self { pair, certificates, authorities, metrics, seen_pair, seen_authorities }
    }

    /// Looks at the files again and again, until the program ends.
    pub async fn run(mut self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            // A volume that hangs must not block a thread that serves clients.
            let looked = tokio::task::spawn_blocking(move || {
                self.look_at_pair();
                self.look_at_authorities();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(_) => return,
            }
        }
    }

    /// Looks at certificate and key once. A pair that was refused is refused again only after it has changed.
    pub fn look_at_pair(&mut self) -> FileChange {
        let looked = self.compare_pair().unwrap_or_else(FileChange::Refused);
        self.log("certificate", "serves new connections", &looked);
        let left = self.certificates.not_after().saturating_sub(now());
        self.metrics.certificate_expiry_seconds.set(left.max(0));
        looked
    }

    /// Looks at the authorities of clients once.
    pub fn look_at_authorities(&mut self) -> FileChange {
        let looked = self.compare_authorities().unwrap_or_else(FileChange::Refused);
        self.log("client authority", "verifies new connections", &looked);
        looked
    }

    fn log(&self, what: &str, does: &str, looked: &FileChange) {
        match looked {
            FileChange::Unchanged => {}
            FileChange::Replaced => info!("the new {what} {does}"),
            FileChange::Refused(error) => {
                self.metrics.certificates_refused.inc();
                error!("the new {what} is refused, the old one stays: {error}");
            }
        }
    }

    fn compare_pair(&mut self) -> Result<FileChange, CertificateError> {
        let Some((certificate, key)) = &self.pair else { return Ok(FileChange::Unchanged) };
        let contents = Contents::read(certificate, key);
        if !self.seen_pair.is_new(contents.as_ref().map(|it| [&it.certificate[..], &it.key])) {
            return Ok(FileChange::Unchanged);
        }
        Ok(self.certificates.serve(contents?.pair(now())?))
    }

    fn compare_authorities(&mut self) -> Result<FileChange, CertificateError> {
        let Some((path, authorities)) = &self.authorities else { return Ok(FileChange::Unchanged) };
        let contents = authorities::contents(path);
        if !self.seen_authorities.is_new(contents.as_ref().map(|it| [&it[..]])) {
            return Ok(FileChange::Unchanged);
        }
        Ok(authorities.trust(Trusted::of(path, &contents?)?))
    }
}

impl LastRead {
    fn is_new<const N: usize>(&mut self, read: Result<[&[u8]; N], &CertificateError>) -> bool {
        let now = read.map_err(Clone::clone).map(|files| {
            let each = files.map(Sha256::digest);
            Sha256::digest(each.concat()).into()
        });
        let now = Some(now);
        let is_new = self.0 != now;
        self.0 = now;
        is_new
    }
}
