//! Reads a client's PEM files: certificates, the node that a certificate names, and a private key. What the client does with
//! them is not known here.

use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use super::Error;
use crate::{door::tls::identity, wire::id::NodeId};

/// The node that the first certificate of a file names.
pub(super) fn node_of(path: &Path) -> Result<NodeId, Error> {
    let chain = certificates("certificate", path)?;
    let wrong = |why| Error::File { what: "certificate", path: path.to_owned(), why };
    match identity(Some(&chain)).map_err(wrong)? {
        Some(identity) => Ok(identity.node),
        None => Err(wrong("there is no certificate in it".to_owned())),
    }
}

/// The certificates of a file; there is at least one. `what` names the file in an error.
pub(super) fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| file(what, path, &error))?;
    if found.is_empty() {
        let why = "there is no certificate in it: a PEM file is wanted".to_owned();
        return Err(Error::File { what, path: path.to_owned(), why });
    }
    Ok(found)
}

/// The private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file("key", path, &error))
}

fn file(what: &'static str, path: &Path, error: &pem::Error) -> Error {
    Error::File { what, path: path.to_owned(), why: error.to_string() }
}
