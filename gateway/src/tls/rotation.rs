//! New certificates without a restart: the files are looked at again and again by what they hold, since Kubernetes swaps
//! links beneath them. A pair of no use is refused and counted; the old one goes on.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tracing::{error, info};

use super::{CertificateError, Certificates, Source, pair::Contents};
use crate::metrics::Metrics;

/// Looks after the certificate that is served.
#[derive(Debug)]
pub struct Rotation {
    /// Of a self-signed pair there are none.
    files: Option<(PathBuf, PathBuf)>,
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
    seen: Option<Result<Seen, CertificateError>>,
}

/// Hashes of both files.
type Seen = ([u8; 32], [u8; 32]);

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    Unchanged,
    Replaced,
    Refused(CertificateError),
}

impl Rotation {
    /// `certificates` serves what `source` held a moment ago.
    pub fn new(source: &Source, certificates: Arc<Certificates>, metrics: Arc<Metrics>) -> Self {
        let files = match source {
            Source::Files { certificate, key } => Some((certificate.clone(), key.clone())),
            Source::SelfSigned => None,
        };
        Self { files, certificates, metrics, seen: None }
    }

    /// Looks every so often, until the end of the program.
    pub async fn keep(mut self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            // A volume that hangs must hold no thread that serves clients.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(_) => return,
            }
        }
    }

    /// Looks once. A pair that was refused is refused again only when it has changed.
    pub fn look(&mut self) -> Looked {
        let looked = self.compare();
        match &looked {
            Looked::Unchanged => {}
            Looked::Replaced => info!("the new certificate serves new connections"),
            Looked::Refused(error) => {
                self.metrics.certificates_refused.inc();
                error!("the new certificate is refused, the old one stays: {error}");
            }
        }
        let left = self.certificates.not_after().saturating_sub(now());
        self.metrics.certificate_expiry_seconds.set(left.max(0));
        looked
    }

    fn compare(&mut self) -> Looked {
        let Some((certificate, key)) = &self.files else { return Looked::Unchanged };
        let contents = Contents::read(certificate, key);
        let seen = match &contents {
            Ok(contents) => Ok((
                Sha256::digest(&contents.certificate).into(),
                Sha256::digest(&contents.key).into(),
            )),
            Err(error) => Err(error.clone()),
        };
        if self.seen.as_ref() == Some(&seen) {
            return Looked::Unchanged;
        }
        self.seen = Some(seen);
        match contents.and_then(Contents::pair) {
            Ok(pair) if pair.not_after <= now() => Looked::Refused(CertificateError::Unusable {
                certificate: certificate.clone(),
                key: key.clone(),
                why: "it is no longer valid".to_owned(),
            }),
            Ok(pair) => self.certificates.serve(pair),
            Err(error) => Looked::Refused(error),
        }
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
