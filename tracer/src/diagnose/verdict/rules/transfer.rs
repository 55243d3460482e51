//! curl and wget that are told to be silent: their status says what failed. It must not know what else they may have done.

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict, case::Case, draft::Draft, evidence::programs, wording,
};

/// What a status means by the program's manual.
struct Meaning {
    cause: Cause,
    text: &'static str,
    next_step: &'static str,
}

const UNRESOLVED: Meaning = Meaning {
    cause: Cause::NameResolutionFailed,
    text: "the host's name could not be resolved",
    next_step: "Correct the host's name, or check the name server (CoreDNS, /etc/resolv.conf).",
};
const HANDSHAKE: Meaning = Meaning {
    cause: Cause::TlsFailed,
    text: "the TLS handshake failed",
    next_step: "Run it without -s to see why, and compare what both sides speak (TLS or plain, versions, client certificates).",
};
const UNTRUSTED: Meaning = Meaning {
    cause: Cause::TlsFailed,
    text: "the peer's certificate could not be verified",
    next_step: "Run it without -s to see why: an authority that is not trusted here, another name, or a certificate out of its time.",
};

/// curl(1), EXIT CODES; wget(1), EXIT STATUS.
fn meaning(program: &[u8], code: u8) -> Option<&'static Meaning> {
    match (program, code) {
        (b"curl", 6) => Some(&UNRESOLVED),
        (b"curl", 35) => Some(&HANDSHAKE),
        (b"curl", 51 | 60) | (b"wget", 5) => Some(&UNTRUSTED),
        _ => None,
    }
}

/// It said nothing, and ended with a status that its manual explains.
pub(in crate::diagnose::verdict) fn told_by_status(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    let words = case.last_words();
    if case.chosen.is_some() || !(words.is_empty() || words.are_discarded()) {
        return None;
    }
    let (code, program) = (end.status.code?, case.program(id)?);
    let meaning = meaning(programs::file_name(program.path.as_bytes()), code)?;
    let name = case.name(id);
    let urls = program.args.iter().skip(1).filter(|it| is_url(it.as_bytes()));
    let urls: Vec<String> = urls.map(ToString::to_string).collect();
    let of = if urls.is_empty() { String::new() } else { format!(" ({})", wording::list(&urls)) };
    Some(
        Draft::new(meaning.cause, Confidence::Likely, id)
            .status(end.status)
            .evidence(
                format!("{name} {}: {}", wording::ended(end.status), meaning.text),
                [end.index],
            )
            .summary(format!(
                "{name} {}, by which it says that {}{of}; it wrote nothing.",
                wording::ended(end.status),
                meaning.text
            ))
            .next_step(meaning.next_step)
            .finish(),
    )
}

fn is_url(argument: &[u8]) -> bool {
    [&b"http://"[..], b"https://", b"ftp://", b"ftps://"].iter().any(|it| argument.starts_with(it))
}
