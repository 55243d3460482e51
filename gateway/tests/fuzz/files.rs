//! Files that somebody has spoilt: realms, certificates, keys.

use std::{fs, path::Path};

use gateway::{config::RealmSettings, door::tls};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::pki_types::CertificateDer;

use crate::dice::Dice;

const REALMS: &str = r#"
[[realm]]
name = "a.b"
certificate_required = true

[[realm.rule]]
nodes = ["abababababababababababababababababababababababababababababababab"]
publish = ["news.*", "a.#"]
subscribe = []
"#;
const TIMES: usize = 1000;

pub fn spoilt(dice: &Dice, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 => bytes[at] = dice.byte(),
            1 => bytes.insert(at, *dice.pick(good)),
            2 => bytes.truncate(at.max(1)),
            _ => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
        }
    }
    bytes
}

#[test]
fn a_spoilt_file_of_realms_is_refused_with_a_reason_or_read() {
    let (dice, folder) = (Dice::of(4), tempfile::tempdir().unwrap());
    let file = folder.path().join("realms.toml");
    let settings = RealmSettings { file: Some(file.clone()), default: None, has_client_ca: true };
    for _ in 0..TIMES {
        fs::write(&file, spoilt(&dice, REALMS.as_bytes())).unwrap();
        if let Err(error) = settings.read() {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
pub fn spoilt_certificates_and_keys_are_refused_with_a_reason_or_used() {
    let (dice, folder) = (Dice::of(5), tempfile::tempdir().unwrap());
    let mut params = CertificateParams::default();
    let uri = format!("macula://a.b/{}", "ab".repeat(32));
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).unwrap();
    let source =
        tls::CertificateSource::of(Some(at("tls.crt")), Some(at("tls.key")), false).unwrap();
    for _ in 0..TIMES {
        write(&at("tls.crt"), &spoilt(&dice, certificate.pem().as_bytes()));
        write(&at("tls.key"), &spoilt(&dice, key.serialize_pem().as_bytes()));
        if let Err(error) = source.load() {
            assert!(error.to_string().contains("tls."), "{error}");
        }
        // It names the file, or is read.
        if let Err(error) = tls::Authorities::read(&at("tls.crt")) {
            assert!(error.to_string().contains("tls.crt"), "{error}");
        }
        let der = CertificateDer::from(spoilt(&dice, certificate.der()));
        if let Err(why) = tls::identity(Some(&[der])) {
            assert!(!why.is_empty());
        }
    }
}
