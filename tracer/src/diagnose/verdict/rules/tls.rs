//! TLS that failed, as the program says: the kernel sees nothing of it. It must not know connections that never came about.

use crate::{
    capture::event::{Address, Object},
    diagnose::verdict::{
        Cause, Confidence, Verdict,
        case::Case,
        draft::Draft,
        evidence::select::Why,
        wording,
        words::phrases::{complains, contains, goes_on},
    },
};

/// What is wrong, how programs say so (lower case), what it means, and what to do.
struct Kind {
    name: &'static str,
    signs: &'static [&'static str],
    means: &'static str,
    next_step: &'static str,
}

impl Kind {
    fn is_general(&self) -> bool {
        ["verification", "protocol"].contains(&self.name)
    }
}

/// The more special first.
const KINDS: &[Kind] = &[
    Kind {
        name: "expired",
        signs: &[
            "certificate has expired",
            "certificate expired",
            "expired certificate",
            "cert_has_expired",
            "certificateexpired",
            "certificate is not yet valid",
            "cert_not_yet_valid",
            "validity check failed",
            "invalid peer certificate: expired",
        ],
        means: "a certificate is past its time, or not valid yet",
        next_step: "Renew the certificate that is named (Secret, cert-manager), and compare the node's clock.",
    },
    Kind {
        name: "host_name",
        signs: &[
            "hostname mismatch",
            "host name mismatch",
            "ip address mismatch",
            "certificate is valid for",
            "cannot validate certificate for",
            "no alternative certificate subject name matches",
            "does not match target host name",
            "does not match host name",
            "err_tls_cert_altname_invalid",
            "notvalidforname",
            "no subject alternative",
            "no name matching",
            "certificate not valid for name",
        ],
        means: "the certificate is for another name than the one that was asked for",
        next_step: "Connect by a name that stands in the certificate, or issue it for this name (subject alternative names).",
    },
    Kind {
        name: "unknown_authority",
        signs: &[
            "unable to get local issuer certificate",
            "unable to get issuer certificate",
            "unable_to_get_issuer_cert",
            "self signed certificate",
            "self-signed certificate",
            "doesn't have a known issuer",
            "does not have a known issuer",
            "issued by an unknown authority",
            "self_signed_cert",
            "certificate signed by unknown authority",
            "unable to find valid certification path",
            "pkix path building failed",
            "unable to verify the first certificate",
            "unable_to_verify_leaf_signature",
            "unknownissuer",
            "unknown issuer",
            "alert unknown ca",
            "unknown certificate authority",
            "unacceptable ca",
            "trustanchors parameter must be non-empty",
            "no native root ca certificates found",
        ],
        means: "the certificate's authority is not trusted here",
        next_step: "Add the authority's certificate to what the program trusts (ca-certificates in the image, a mounted CA bundle, \
                    SSL_CERT_FILE), or correct the server's chain.",
    },
    Kind {
        name: "key_mismatch",
        signs: &[
            "key values mismatch",
            "private key does not match",
            "key does not match certificate",
            "keymismatch",
        ],
        means: "the private key does not belong to the certificate",
        next_step: "Put key and certificate of one pair into the Secret.",
    },
    Kind {
        name: "unreadable",
        signs: &[
            "pem routines",
            "[ssl] pem lib",
            "pem_read_bio",
            "no start line",
            "failed to find any pem data",
            "could not parse certificate",
            "failed to parse certificate",
            "x509: malformed",
            "asn1: structure error",
            "bad base64 decode",
            "bad decrypt",
        ],
        means: "a certificate or key cannot be read as such",
        next_step: "Look at the file that it loads: PEM, complete, not encrypted, not encoded in base64 twice.",
    },
    Kind {
        name: "protocol",
        signs: &[
            "wrong version number",
            "wrong_version_number",
            "first record does not look like a tls handshake",
            "gave http response to https client",
            "ssl routines::unsupported protocol",
            "unsupported_protocol",
            "no protocols available",
            "alert protocol version",
            "alert handshake failure",
            "handshake_failure",
            "handshake failure",
            "no shared cipher",
            "no cipher match",
            "certificate required",
            "alert bad certificate",
            "tls: bad certificate",
        ],
        means: "both sides do not agree on TLS",
        next_step: "Check that the port speaks TLS at all, which versions and ciphers both sides allow, and whether a client \
                    certificate is wanted.",
    },
    Kind {
        name: "verification",
        signs: &[
            "certificate verify failed",
            "certificate_verify_failed",
            "certificate verification failed",
            "certificate verification error",
            "ssl certificate problem",
            "invalid peer certificate",
            "sslhandshakeexception",
            "tls: failed to verify certificate",
        ],
        means: "the peer's certificate was not accepted",
        next_step: "Look at the peer's certificate (openssl s_client -connect HOST:PORT -showcerts): its time, names and authority.",
    },
];

/// Names of files with certificates and keys end so.
const FILES: &[&[u8]] = &[b".pem", b".key", b".crt", b".cer", b".p12", b".pfx", b".jks"];

/// A server says so of its clients, and goes on.
const OF_CLIENTS: &[&str] =
    &["tls handshake error from", ", client:", "client ip", "accept", "remote addr"];

pub(in crate::diagnose::verdict) fn failed(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed() && end.status.signal.is_none())?;
    // A failed call that the words name says more.
    if case.chosen.as_ref().is_some_and(|it| matches!(it.why, Why::Words(_))) {
        return None;
    }
    let any =
        |line: &[u8], words: &[&str]| words.iter().any(|word| contains(line, word.as_bytes()));
    let is_it = |line: &[u8]| kind(line).is_some() && !goes_on(line) && !any(line, OF_CLIENTS);
    let about =
        |line: &[u8]| any(line, &["tls", "ssl", "cert", "x509", "https", "handshake", "pkix"]);
    let words = case.last_words();
    // An exception decides, whatever led to it.
    let told = words.decided().map(|it| it.reading.text().to_lowercase().into_bytes());
    if told.is_some_and(|it| !it.is_empty() && kind(&it).is_none() && !about(&it)) {
        return None;
    }
    let other = |line: &[u8]| complains(line) && !about(line);
    let (_, _, last) = words.decisive(is_it, other)?;
    // Of several lines about the same: one that complains, and one that tells more than that it was not accepted.
    let special = |line: &[u8]| kind(line).is_some_and(|it| !it.is_general());
    let (line, index, _) = words
        .decisive(|line| is_it(line) && special(line) && complains(line), other)
        .or_else(|| words.decisive(|line| is_it(line) && special(line), other))
        .or_else(|| words.decisive(is_it, other))?;
    let kind = kind(&line.to_ascii_lowercase().into_bytes())?;
    // A library's own line does not name what it was about; the program's line beside it does.
    let names_file = |line: &[u8]| FILES.iter().any(|sign| contains(line, sign));
    let is_named = names_file(line.to_ascii_lowercase().as_bytes());
    let beside = |it: &[u8]| names_file(it) && complains_of_loading(it);
    let beside = words.decisive(beside, |_| false).filter(|_| !is_named);
    let beside = beside.map_or_else(String::new, |(line, ..)| format!(" (\"{line}\")"));
    let peer = last_peer(case);
    let confidence =
        if last && case.chosen.is_none() { Confidence::Proven } else { Confidence::Likely };
    let name = case.name(id);
    let mut draft = Draft::new(Cause::TlsFailed, confidence, id)
        .status(end.status)
        .detail("reason", kind.name)
        .detail("last_words", line.as_str())
        .evidence(format!("its last words: {line}"), [index]);
    let mut with = String::new();
    if let Some((address, at)) = peer {
        with = format!(" (it connected last to {})", wording::address(address, None, 0));
        draft = draft.address(address, None, 0).evidence(
            format!("its last recorded connect: {}", wording::address(address, None, 0)),
            [at],
        );
    }
    Some(
        draft
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(format!(
                "{name} gave up TLS: {}: \"{line}\"{beside}{with}; it {}.",
                kind.means,
                case.ending()
            ))
            .next_step(kind.next_step)
            .finish(),
    )
}

/// `Unable to load server key file "/etc/app/tls.key"`
fn complains_of_loading(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[b"load", b"read", b"open", b"use", b"set"];
    let wrong = contains(line, b"unable") || contains(line, b"cannot") || complains(line);
    let wrong = wrong || contains(line, b"could not") || contains(line, b"failed");
    wrong && !goes_on(line) && SIGNS.iter().any(|sign| contains(line, sign))
}

fn kind(line: &[u8]) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.signs.iter().any(|sign| contains(line, sign.as_bytes())))
}

/// Of the connects only those are recorded that failed or were pending.
fn last_peer<'a>(case: &Case<'a>) -> Option<(&'a Address, usize)> {
    case.events(case.blamed()).rev().find_map(|(index, event)| {
        let call = event.call().filter(|call| call.name == "connect")?;
        let Object::Address(address) = &call.object else { return None };
        (address.inet()?.port() != 53).then_some((address, index))
    })
}
