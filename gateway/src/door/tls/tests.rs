//! Pairs in files, as they are mounted into a pod.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::observe::metrics::Metrics;

/// Writes a pair to a folder; returns where it can be loaded from.
fn write_pair(folder: &Path) -> CertificateSource {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    CertificateSource::Files { certificate, key }
}

fn refused(source: &CertificateSource) -> String {
    source.load().unwrap_err().to_string()
}

#[test]
fn a_certificate_comes_from_two_files_or_by_an_explicit_wish() {
    let path = || Some("x".into());
    assert_eq!(CertificateSource::of(None, None, true), Ok(CertificateSource::SelfSigned));
    assert!(CertificateSource::of(path(), path(), false).is_ok());
    for (certificate, key, self_signed, why) in [
        (None, None, false, "no certificate"),
        (path(), None, false, "TLS_CERT_FILE is set and TLS_KEY_FILE is not"),
        (None, path(), false, "TLS_KEY_FILE is set and TLS_CERT_FILE is not"),
        (path(), path(), true, "exclude each other"),
    ] {
        let error = CertificateSource::of(certificate, key, self_signed).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_self_signed_pair_is_valid_for_long() {
    assert!(CertificateSource::SelfSigned.load().unwrap().not_after > 2_000_000_000);
}

#[test]
fn what_cannot_be_used_says_which_file_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_pair(folder.path());
    assert!(source.load().is_ok());
    let CertificateSource::Files { certificate, key } = &source else { panic!("files") };
    let other = tempfile::tempdir().unwrap();
    write_pair(other.path());
    fs::copy(other.path().join("tls.key"), key).unwrap();
    assert!(refused(&source).contains("the key is not that of the certificate"));
    fs::write(key, "nonsense").unwrap();
    assert!(refused(&source).contains("tls.key is not PEM"), "{}", refused(&source));
    fs::remove_file(key).unwrap();
    let error = refused(&source);
    assert!(error.contains("tls.key: ENOENT") && error.contains("runs as"), "{error}");
    fs::create_dir(key).unwrap();
    let error = refused(&source);
    assert!(error.contains("EISDIR; it is a folder"), "{error}");
    fs::write(certificate, "").unwrap();
    fs::remove_dir(key).unwrap();
    fs::write(key, "nonsense").unwrap();
    assert!(refused(&source).contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_certificates_end_is_reported_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_pair(folder.path());
    let CertificateSource::Files { certificate, key } = &source else { panic!("files") };
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2200, 1, 1);
    let made = rcgen::KeyPair::generate().unwrap();
    fs::write(certificate, params.self_signed(&made).unwrap().pem()).unwrap();
    fs::write(key, made.serialize_pem()).unwrap();
    let certificates = Arc::new(Certificates::new(source.load().unwrap()));
    assert_eq!(certificates.not_after(), 7_258_118_400);
    let metrics = Arc::new(Metrics::new());
    Rotation::new(&source, certificates, None, metrics.clone()).look_at_pair();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = metrics.certificate_expiry_seconds.get() + i64::try_from(now).unwrap();
    assert!((7_258_118_400..=7_258_118_401).contains(&end), "{end}");
}

#[test]
fn a_new_pair_behind_a_swapped_link_is_served_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two", "bad"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        write_pair(&folder.path().join(name));
    }
    fs::write(folder.path().join("bad/tls.key"), "nonsense").unwrap();
    let link = folder.path().join("data");
    let point_to = |name: &str| {
        let _ = fs::remove_file(&link);
        symlink(folder.path().join(name), &link).unwrap();
    };
    point_to("one");
    let source =
        CertificateSource::Files { certificate: link.join("tls.crt"), key: link.join("tls.key") };
    let certificates = Arc::new(Certificates::new(source.load().unwrap()));
    let served = || certificates.0.read().unwrap().key.cert.clone();
    let first = served();
    let metrics = Arc::new(Metrics::new());
    let mut rotation = Rotation::new(&source, certificates.clone(), None, metrics.clone());
    assert_eq!(rotation.look_at_pair(), FileChange::Unchanged);
    point_to("bad");
    assert!(matches!(rotation.look_at_pair(), FileChange::Refused(_)));
    assert_eq!(rotation.look_at_pair(), FileChange::Unchanged);
    assert_eq!((served(), metrics.certificates_refused.get()), (first.clone(), 1));
    point_to("two");
    assert_eq!(rotation.look_at_pair(), FileChange::Replaced);
    assert_ne!(served(), first);
    assert!(metrics.certificate_expiry_seconds.get() > 0);
    fs::remove_file(&link).unwrap();
    assert!(matches!(
        rotation.look_at_pair(),
        FileChange::Refused(CertificateError::Unreadable { .. })
    ));
    point_to("two");
    assert_eq!(rotation.look_at_pair(), FileChange::Unchanged);
}
