//! Peers that could not be reached: refused connections, names that did not resolve. It must not know
//! sockets of the process's own.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::capture::event::{Address, Event, Object};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{
        failure::{Failure, Subject},
        lookup::{self, Lookup},
    },
    rules::plain,
    wording,
    words::phrases::{complains, contains, goes_on},
};

/// Code of an answer: NXDOMAIN.
const NO_SUCH_NAME: u8 = 3;

pub(in crate::diagnose::verdict) fn connection_refused(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::ConnectionRefused))?;
    let failure = &chosen.failure;
    let peer = peer(failure);
    let mut draft = plain::begin_failed_call(case, chosen, Cause::ConnectionRefused, &peer);
    if let Some((address, port)) = failure.address() {
        draft = draft.address(address, failure.protocol, port);
    }
    if let Some(path) = failure.path() {
        draft = draft.text("path", path);
    }
    let attempts = attempts(case, failure);
    let times = match attempts {
        0 | 1 => String::new(),
        count => format!(" (the last of {count} recorded attempts)"),
    };
    let local =
        matches!(failure.address(), Some((Address::Inet(inet), _)) if inet.ip().is_loopback());
    let other = other_family(case, failure);
    let next_step = if let Some(listener) = &other {
        format!(
            "Give the address as {listener} instead of `localhost`, or let the peer listen on both (`::`)."
        )
    } else if local {
        format!(
            "Start what should listen on {peer} in the same pod first, or give the address of the real service."
        )
    } else {
        format!(
            "See whether the service behind {peer} runs and listens on that port; let the program wait for it."
        )
    };
    // Its words may know what is not recorded.
    let unknown = failure.address().is_none() && failure.path().is_none();
    let words = case.last_words();
    let said = words.decisive(|line| contains(line, b"refused"), |_| false).filter(|_| unknown);
    let said = said.map(|(line, ..)| format!(" (it says: \"{line}\")")).unwrap_or_default();
    let elsewhere = other
        .map(|it| format!(", though a process of this container listens on {it}"))
        .unwrap_or_default();
    Some(
        draft
            .detail("attempts", attempts)
            .summary(format!(
                "{} could not connect to {peer}: nobody listens there (ECONNREFUSED){elsewhere}{times}{said}; it {}.",
                case.name(case.blamed()),
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

pub(in crate::diagnose::verdict) fn name_resolution(case: &Case<'_>) -> Option<Verdict> {
    let chosen =
        case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::NameResolutionFailed))?;
    let failure = &chosen.failure;
    let question = question(case, failure);
    let server =
        failure.address().map(|(address, port)| wording::address(address, failure.protocol, port));
    let server = server.or_else(|| name_server(case, failure));
    let name = question.clone().unwrap_or_else(|| "a host name".to_owned());
    let lookup = lookup_of(case, failure);
    let at = server.as_ref().map(|it| format!(" at {it}")).unwrap_or_default();
    let (why, answer, next_step) = match &failure.subject {
        Subject::Question { answer: Some(answer), .. } => {
            let code = answer_name(answer.code);
            let tried = match lookup.as_ref().map_or(0, |it| it.candidates.len()) {
                0 | 1 => String::new(),
                count => format!(" ({count} names were tried, by the search list of /etc/resolv.conf)"),
            };
            (
                format!("the name server{at} answered {code}{tried}"),
                Some(code),
                match answer.code {
                    NO_SUCH_NAME => format!("Correct the name {name}: no such name exists; in Kubernetes check service and namespace."),
                    _ => format!("Check the name server{at} (CoreDNS, /etc/resolv.conf, its upstream)."),
                },
            )
        }
        Subject::Question { answer: None, .. } if failure.errno.0 == 0 => (
            format!("the name server{at} never answered"),
            None,
            "Check that the name server in /etc/resolv.conf can be reached over UDP 53 (network policy, CoreDNS).".to_owned(),
        ),
        Subject::Question { answer: None, .. }
        | Subject::Address { .. }
        | Subject::Path(_)
        | Subject::None => (
            format!("no name server answers{at} ({} of {})", failure.errno, failure.call),
            None,
            "Check the name server in /etc/resolv.conf (CoreDNS running, network policy for UDP and TCP 53).".to_owned(),
        ),
    };
    let mut draft = plain::begin_failed_call(case, chosen, Cause::NameResolutionFailed, &name)
        .known("question", question)
        .known("answer", answer)
        .known("name_server", server);
    if let Some(lookup) = lookup.filter(|lookup| lookup.candidates.len() > 1) {
        draft = draft.detail("candidates", candidates(&lookup));
    }
    if let Some((address, port)) = failure.address() {
        draft = draft.address(address, failure.protocol, port);
    }
    Some(
        draft
            .summary(format!(
                "{} could not resolve {name}: {why}; it {}.",
                case.name(case.blamed()),
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// How resolvers and runtimes say that they found no address (gai_strerror(3), getaddrinfo of libuv, Go's, Rust's, the JVM's),
/// in lower case.
const UNRESOLVED: &[&str] = &[
    "name or service not known",
    "temporary failure in name resolution",
    "nodename nor servname provided",
    "no address associated with hostname",
    "could not resolve host",
    "getaddrinfo enotfound",
    "getaddrinfo eai_again",
    "failed to lookup address information",
    "java.net.unknownhostexception",
];

/// The program says so, though no name server was seen to be asked: the name was none, or is looked up elsewhere.
pub(in crate::diagnose::verdict) fn name_resolution_by_words(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed() && end.status.signal.is_none())?;
    let words = case.last_words();
    // An exception is quoted by its own rule.
    if case.chosen.is_some() || words.told().is_some() {
        return None;
    }
    let any = |line: &[u8]| UNRESOLVED.iter().any(|sign| contains(line, sign.as_bytes()));
    let is_it = |line: &[u8]| any(line) && !goes_on(line);
    let (line, index, _) = words.decisive(is_it, |line| complains(line) && !any(line))?;
    let name = case.name(id);
    Some(
        Draft::new(Cause::NameResolutionFailed, Confidence::Likely, id)
            .status(end.status)
            .detail("last_words", line.as_str())
            .evidence(format!("its last words: {line}"), [index])
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(format!(
                "{name} could not resolve a name: \"{line}\"; no question to a name server is recorded; it {}.",
                case.ending()
            ))
            .next_step(
                "Check the name as the program got it (blanks or a carriage return at its end, an empty variable), then \
                 /etc/hosts and the name server.",
            )
            .finish(),
    )
}

pub(in crate::diagnose::verdict) fn peer(failure: &Failure<'_>) -> String {
    match &failure.subject {
        Subject::Path(path) => format!("the unix socket {path}"),
        Subject::Address { address, port } => wording::address(address, failure.protocol, *port),
        Subject::Question { .. } | Subject::None => {
            "a peer whose address is not recorded".to_owned()
        }
    }
}

/// Where a process of the life listens on the port of a refused loopback address, but of the other family: `localhost`
/// is ::1 for some and 127.0.0.1 for others.
fn other_family(case: &Case<'_>, failure: &Failure<'_>) -> Option<SocketAddr> {
    let Some((Address::Inet(refused), _)) = failure.address() else { return None };
    let before = case.timeline.entries.iter().take(failure.entries[0]);
    let binds = before.filter_map(Event::bind).filter(|it| it.errno.is_none() && !it.listen);
    let mut bound = binds.filter_map(|bind| bind.address.inet());
    let listens = |it: &SocketAddr| {
        it.port() == refused.port()
            && it.is_ipv4() != refused.is_ipv4()
            && (it.ip().is_loopback() || it.ip().is_unspecified())
    };
    bound.rfind(listens).filter(|_| refused.ip().is_loopback())
}

/// Refusals of the same peer.
fn attempts(case: &Case<'_>, failure: &Failure<'_>) -> u64 {
    let same = |other: &Failure<'_>| {
        other.errno == failure.errno
            && other.address().is_some()
            && other.address() == failure.address()
    };
    let all = Failure::all_of(case, failure.process.id);
    let mut attempts = 0;
    for other in all.iter().filter(|other| same(other)) {
        attempts += 1 + u64::from(other.after.repeats);
    }
    attempts
}

/// The name that was asked for: the failure's own, else the last one asked before.
fn question(case: &Case<'_>, failure: &Failure<'_>) -> Option<String> {
    let before = || {
        let all = Failure::all_of(case, failure.process.id);
        let mut before = all.iter().rev().filter(|it| it.time_ns <= failure.time_ns);
        before.find_map(|it| it.question().map(ToString::to_string))
    };
    let asked = failure.question().map(ToString::to_string).or_else(before);
    asked.filter(|name| !name.is_empty())
}

/// The name server that a call of this process names, else those it is configured with.
fn name_server(case: &Case<'_>, failure: &Failure<'_>) -> Option<String> {
    let named = named_server(case, failure);
    let servers = &case.facts.name_servers;
    named.or_else(|| (!servers.is_empty()).then(|| wording::list(servers)))
}

fn named_server(case: &Case<'_>, failure: &Failure<'_>) -> Option<String> {
    case.events(failure.process.id).rev().find_map(|(_, event)| {
        let call = event.call()?;
        let server = match &call.object {
            Object::Address(address) => address.inet().filter(|inet| inet.port() == 53)?,
            Object::Dns(dns) => SocketAddr::new(dns.server?, 53),
            Object::None | Object::Path { .. } | Object::File { .. } | Object::Pids { .. } => {
                return None;
            }
        };
        Some(wording::address(&Address::Inet(server), call.protocol, 53))
    })
}

/// The lookup that a message belongs to.
fn lookup_of<'a>(case: &Case<'a>, failure: &Failure<'_>) -> Option<Lookup<'a>> {
    let holds = |lookup: &Lookup<'_>| {
        let mut messages = lookup.candidates.iter().flat_map(|it| &it.messages);
        messages.any(|it| it.entries[0] == failure.entries[0])
    };
    lookup::of(case, failure.process.id).into_iter().find(holds)
}

/// The names that were tried, and what came of each.
fn candidates(lookup: &Lookup<'_>) -> Value {
    let names = lookup.candidates.iter().map(|candidate| {
        let answer = candidate.code().map(answer_name);
        json!({ "name": candidate.name.to_json_string(), "answer": answer })
    });
    names.collect()
}

/// RFC 1035, 4.1.1.
fn answer_name(code: u8) -> String {
    match code {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        other => format!("code {other}"),
    }
}
