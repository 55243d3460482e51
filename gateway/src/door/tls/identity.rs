//! Reads realm and node out of a client's certificate: `macula://REALM/NODE_ID_HEX` among its alternative names. The
//! handshake has verified the certificate before.

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

use crate::{hub::Identity, wire::id::NodeId};

const SCHEME: &str = "macula://";

/// The node and realm that a client's chain names; `None` without a certificate.
///
/// # Errors
/// Why the certificate names no node.
pub fn identity(chain: Option<&[CertificateDer<'_>]>) -> Result<Option<Identity>, String> {
    chain.and_then(<[_]>::first).map(|leaf| of(leaf)).transpose()
}

fn of(certificate: &[u8]) -> Result<Identity, String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("it is no X.509: {error}"))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| format!("its alternative names cannot be read: {error}"))?;
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let mut uris = names.filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
        _ => None,
    });
    let Some(uri) = uris.next() else {
        return Err("it has no alternative name macula://REALM/NODE_ID_HEX".to_owned());
    };
    if uris.next().is_some() {
        return Err("it names more than one node".to_owned());
    }
    parse(uri).ok_or_else(|| format!("{SCHEME}{uri} is not macula://REALM/NODE_ID_HEX"))
}

fn parse(uri: &str) -> Option<Identity> {
    let (realm, node) = uri.split_once('/')?;
    Some(Identity { realm: realm.parse().ok()?, node: NodeId::from_hex(node)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uris: &[&str]) -> Result<Identity, String> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.subject_alt_names =
            uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        of(parameters.self_signed(&key).unwrap().der())
    }

    #[test]
    fn a_certificate_names_its_node_and_realm() {
        let uri = format!("macula://Be.CortexIQ.energy/{}", "ab".repeat(32));
        let found = named(&["spiffe://x/y", &uri]).unwrap();
        assert_eq!(found.realm.as_str(), "be.cortexiq.energy");
        assert_eq!(found.node, NodeId([0xab; 32]));
    }

    #[test]
    fn a_certificate_of_no_node_or_two_is_refused_with_a_reason() {
        let id = "ab".repeat(32);
        let uri = |realm: &str, id: &str| format!("macula://{realm}/{id}");
        let two = [uri("a", &id), uri("b", &id)];
        for (uris, why) in [
            (&[][..], "no alternative name"),
            (&["https://example.com"], "no alternative name"),
            (&[two[0].as_str(), two[1].as_str()], "more than one"),
            (&[uri("a", "abcd").as_str()], "is not macula://REALM/NODE_ID_HEX"),
            (&[uri("", &id).as_str()], "is not macula://REALM/NODE_ID_HEX"),
        ] {
            let error = named(uris).unwrap_err();
            assert!(error.contains(why), "{uris:?}: {error}");
        }
        assert!(of(b"none").is_err());
        assert_eq!(identity(None), Ok(None));
    }
}
