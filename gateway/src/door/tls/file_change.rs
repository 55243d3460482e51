//! The result of a look at the files of a certificate or of authorities. What the files are for is not known here.

use super::CertificateError;

/// What a look at the files showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    Unchanged,
    Replaced,
    Refused(CertificateError),
}
