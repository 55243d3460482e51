//! Peers that give no answer, have no way to them, or hang up. It must not know refusals and names.

use std::net::SocketAddr;

use crate::{
    capture::event::{Address, Call, Object, ProcessId, Protocol},
    linux::errno::Errno,
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{
        errors,
        failure::Failure,
        select::{Chosen, Why},
    },
    rules::{network, plain},
    wording,
    words::{phrases::contains, said::Line},
};

/// Pending connects this far apart were not one attempt at several addresses.
const TRIED_AGAIN_NS: u64 = 900_000_000;
/// Nobody waits longer for a connection: the kernel gives up by then (tcp_syn_retries: 127 s).
const PATIENCE_NS: u64 = 130_000_000_000;

/// ETIMEDOUT; or the program's own time ran out while the connect was pending.
pub(in crate::diagnose::verdict) fn timed_out(case: &Case<'_>) -> Option<Verdict> {
    match begin(case, Cause::ConnectionTimedOut) {
        Some((chosen, draft)) => Some(no_answer(case, chosen, draft)),
        None => never_came_back(case),
    }
}

fn no_answer(case: &Case<'_>, chosen: &Chosen<'_>, draft: Draft) -> Verdict {
    let failure = &chosen.failure;
    let peer = network::peer(failure);
    let name = case.name(case.blamed());
    let summary = match failure.address() {
        Some(_) => format!(
            "{name} could not connect to {peer}: no answer came until the time was up ({}: ETIMEDOUT); it {}.",
            failure.call,
            case.ending()
        ),
        None => format!(
            "{name} lost its connection: the peer did not answer any more ({}: ETIMEDOUT); it {}.",
            failure.call,
            case.ending()
        ),
    };
    draft.summary(summary).next_step(silence_advice(&peer)).finish()
}

fn silence_advice(peer: &str) -> String {
    format!(
        "Check that {peer} is the right address and that packets reach it: a NetworkPolicy (of either side) or a \
         firewall that drops them looks just like this."
    )
}

/// The last connect of which no result is recorded, if the words complain of the time it took, or if the same was tried
/// again later.
fn never_came_back(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed())?;
    if case.chosen.as_ref().is_some_and(|it| matches!(it.why, Why::Words(_))) {
        return None;
    }
    let pending = pending(case, id);
    let words = case.last_words();
    let says = words.decisive(tells_of_a_connect_in_vain, |_| false).or_else(|| {
        let said = words.decisive(tells_of_time, |_| false)?;
        was_in_connect(words.lines_of(said.1), &said.0).then_some(said)
    });
    let recent = |at: u64| end.time_ns.saturating_sub(at) <= PATIENCE_NS;
    // Words that name one of several peers mean that one; those that name another mean none of them.
    let meant = |peer: &SocketAddr| match &says {
        Some((line, _, _)) => line.contains(&peer.ip().to_string()) || !names_an_address(line),
        None => true,
    };
    let Pending { index: last, peer, time_ns: at_ns, since_ns, attempts } =
        *pending.iter().rev().find(|it| recent(it.time_ns) && meant(&it.peer))?;
    let earlier = pending.iter().filter(|it| it.peer == peer);
    let attempts = earlier.clone().map(|it| it.attempts).max().unwrap_or(attempts).max(attempts);
    let again = earlier.clone().find(|it| at_ns.saturating_sub(it.since_ns) >= TRIED_AGAIN_NS);
    let again_alone = at_ns.saturating_sub(since_ns) >= TRIED_AGAIN_NS;
    let tried_again = again.is_some() || again_alone;
    if says.is_none() && (!tried_again || !words.is_empty() || case.chosen.is_some()) {
        return None;
    }
    let shown = wording::address(&Address::Inet(peer), Some(Protocol::Tcp), 0);
    let name = case.name(id);
    let waited = wording::span(end.time_ns.saturating_sub(at_ns));
    let mut entries: Vec<usize> = again.iter().map(|it| it.index).chain([last]).collect();
    entries.dedup();
    let mut draft = Draft::new(Cause::ConnectionTimedOut, Confidence::Likely, id)
        .status(end.status)
        .errno(Errno::EINPROGRESS)
        .detail("syscall", "connect")
        .detail("attempts", attempts.max(u32::try_from(earlier.count()).unwrap_or(attempts)))
        .address(&Address::Inet(peer), Some(Protocol::Tcp), 0)
        .evidence(format!("connect to {shown} was still pending when it returned, and no result of it is recorded"), entries)
        .evidence(format!("{waited} later {name} {}", case.ending()), [end.index]);
    if let Some((line, index, _)) = says {
        draft = draft.evidence(format!("its last words: {line}"), [index]);
    }
    let summary = format!(
        "{name} most likely got no answer from {shown}: it began to connect, no result of that is recorded, and it {} \
         {waited} later.",
        case.ending()
    );
    Some(draft.summary(summary).next_step(silence_advice(&shown)).finish())
}

/// Four numbers with dots between, wherever they stand.
fn names_an_address(line: &str) -> bool {
    let signs = |c: char| !(c.is_ascii_digit() || c == '.');
    line.split(signs).any(|word| word.trim_matches('.').parse::<std::net::Ipv4Addr>().is_ok())
}

/// A connect over TCP that was pending when it returned, and of which no result is recorded.
#[derive(Clone, Copy)]
struct Pending {
    index: usize,
    peer: SocketAddr,
    time_ns: u64,
    /// When the first of several alike was begun.
    since_ns: u64,
    attempts: u32,
}

fn pending(case: &Case<'_>, id: ProcessId) -> Vec<Pending> {
    let mut pending: Vec<(u64, Pending)> = Vec::new();
    for (index, event) in case.events(id) {
        let Some(call) = event.call() else { continue };
        if call.name == "getsockopt" || call.errno != Errno::EINPROGRESS {
            // A result told for this descriptor: whatever was begun on it came back.
            pending.retain(|(fd, _)| *fd != call.args[0] || !is_socket_call(call));
            continue;
        }
        let reached = call.after.made_good || call.after.same_port_reached;
        if let (Object::Address(Address::Inet(inet)), "connect") = (&call.object, call.name)
            && call.protocol != Some(Protocol::Udp)
            && !reached
        {
            let since_ns = call.after.first_ns.unwrap_or(event.time_ns);
            let (time_ns, attempts) = (event.time_ns, call.after.repeats.saturating_add(1));
            pending
                .push((call.args[0], Pending { index, peer: *inet, time_ns, since_ns, attempts }));
        }
    }
    pending.into_iter().map(|(_, pending)| pending).collect()
}

fn is_socket_call(call: &Call) -> bool {
    matches!(call.name, "connect" | "getsockopt" | "recvfrom" | "sendto" | "recvmsg" | "sendmsg")
}

/// `connect timed out`, `dial tcp ...: i/o timeout`; not the time of a read.
fn tells_of_a_connect_in_vain(line: &[u8]) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| contains(line, word.as_bytes()));
    tells_of_time(line) && any(&["connect", "dial", "reach"])
}

/// Of a connect or of something else, but not of a read or of a name.
fn tells_of_time(line: &[u8]) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| contains(line, word.as_bytes()));
    any(&["timed out", "timeout", "time-out", "deadline exceeded", "etimedout"])
        && !any(&["read timed out", "read timeout", "readtimeout", "idle", "lost connection"])
        && !any(&["lookup", "resolv", "getaddrinfo"])
}

/// The innermost call of the trace above that line is a connect: `sock.connect(sa)`.
fn was_in_connect(lines: &[Line], said: &str) -> bool {
    let Some(at) = lines.iter().position(|line| line.trimmed() == said) else { return false };
    let carets = |line: &&Line| line.trimmed().chars().all(|it| "^~ ".contains(it));
    let innermost = lines[..at].iter().rev().find(|line| !carets(line));
    innermost.is_some_and(|line| line.is_indented() && line.text.contains("connect("))
}

/// No way to the host: no route, a router's refusal, no answer on the local network.
pub(in crate::diagnose::verdict) fn host(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::HostUnreachable)?;
    let failure = &chosen.failure;
    let peer = network::peer(failure);
    let (why, next_step) = match failure.errno {
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => (
            "no host answers at that address, or a router or firewall rejected it",
            format!(
                "Check that {peer} is the right address and that its host is up; a NetworkPolicy or firewall that rejects looks the same."
            ),
        ),
        Errno::ENETDOWN => (
            "the network interface is down",
            "Check the pod's network interface (CNI), and that it is up before the program starts."
                .to_owned(),
        ),
        _ if errors::is_ipv6(failure) => (
            "its network namespace has no route there; it is an IPv6 address",
            format!("Give the pod IPv6, or let the program use an IPv4 address instead of {peer}."),
        ),
        _ => (
            "its network namespace has no route there",
            format!("Check the pod's routes (CNI, `ip route` in the pod) and the address {peer}."),
        ),
    };
    Some(
        draft
            .summary(format!(
                "{} could not reach {peer}: {why} ({}: {}); it {}.",
                case.name(case.blamed()),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// The peer, or something on the way, ended the connection.
pub(in crate::diagnose::verdict) fn reset(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::ConnectionReset)?;
    let failure = &chosen.failure;
    let peer = network::peer(failure);
    Some(
        draft
            .summary(format!(
                "The connection of {} to {peer} was reset by the other side ({}: ECONNRESET); it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(format!(
                "Look at why the other side hung up: logs of {peer} at that time, its restarts, idle limits of proxies and \
                 load balancers between, TLS spoken to a plain port; let the program connect again."
            ))
            .finish(),
    )
}

/// No local port is left for another connection to that peer.
pub(in crate::diagnose::verdict) fn ports_exhausted(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::PortsExhausted)?;
    let failure = &chosen.failure;
    let peer = network::peer(failure);
    Some(
        draft
            .summary(format!(
                "{} could not connect to {peer}: no local port is left for another connection there (connect: \
                 EADDRNOTAVAIL); it {}.",
                case.name(case.blamed()),
                case.ending()
            ))
            .next_step(
                "Let the program use its connections again instead of opening new ones (keep-alive, a pool); else widen \
                 net.ipv4.ip_local_port_range in the pod's securityContext.sysctls.",
            )
            .finish(),
    )
}

/// The kernel, or a filter, has no such family: IPv6 that is switched off, most of all.
pub(in crate::diagnose::verdict) fn address_family(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::AddressFamilyUnsupported)?;
    let failure = &chosen.failure;
    let family = family(failure);
    let name = case.name(case.blamed());
    let object = match failure.address() {
        Some(_) => format!(" of {}", network::peer(failure)),
        None => String::new(),
    };
    let (why, next_step) = match (failure.errno, family.as_deref()) {
        (Errno::EADDRNOTAVAIL, _) => (
            "it has no IPv6 address to connect from".to_owned(),
            "Give the pod IPv6, or let the program use IPv4: 127.0.0.1 instead of localhost or ::1, an A record instead of AAAA."
                .to_owned(),
        ),
        (_, Some("AF_INET6")) => (
            "there is no IPv6 here (AF_INET6)".to_owned(),
            "Switch IPv6 on (ipv6.disable of the node, the seccomp profile), or let the program listen and connect on IPv4: \
             0.0.0.0 instead of ::."
                .to_owned(),
        ),
        (_, known) => {
            let family = known.unwrap_or("that address family");
            (
                format!("{family} is not supported here"),
                format!("Allow {family} (kernel module on the node, seccomp profile), or configure the program without it."),
            )
        }
    };
    let filter = if failure.process.seccomp { "; a seccomp filter is on" } else { "" };
    Some(
        draft
            .known("family", family.clone())
            .detail("seccomp", failure.process.seccomp)
            .summary(format!(
                "{name} could not use a network: {why} ({}{object}: {}){filter}; it {}.",
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// The number that socket(2) was given (linux/socket.h), or the family of the address.
fn family(failure: &Failure<'_>) -> Option<String> {
    if errors::is_ipv6(failure) {
        return Some("AF_INET6".to_owned());
    }
    (failure.call == "socket").then(|| match failure.args[0] {
        1 => "AF_UNIX".to_owned(),
        2 => "AF_INET".to_owned(),
        10 => "AF_INET6".to_owned(),
        16 => "AF_NETLINK".to_owned(),
        17 => "AF_PACKET".to_owned(),
        29 => "AF_CAN".to_owned(),
        38 => "AF_ALG".to_owned(),
        40 => "AF_VSOCK".to_owned(),
        44 => "AF_XDP".to_owned(),
        other => format!("address family {other}"),
    })
}

fn begin<'a, 'b>(case: &'b Case<'a>, cause: Cause) -> Option<(&'b Chosen<'a>, Draft)> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(cause))?;
    let failure = &chosen.failure;
    let object = failure.address().map_or_else(|| "it".to_owned(), |_| network::peer(failure));
    let draft = plain::begin_failed_call(case, chosen, cause, &object);
    Some((
        chosen,
        match failure.address() {
            Some((address, port)) => draft.address(address, failure.protocol, port),
            None => draft,
        },
    ))
}
