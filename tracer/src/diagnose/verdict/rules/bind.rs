//! A bind or listen that was refused: the address is taken, not allowed or not there. It must not know
//! other calls.

use crate::{
    capture::event::{Address, Bind, ProcessId, Protocol},
    diagnose::facts::model::Holder,
    linux::text::Text,
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::{
        capability::NET_BIND_SERVICE,
        failure::{Failure, Subject},
        privilege,
        select::Chosen,
    },
    rules::plain,
    wording,
};

/// Ports below this need a privilege by default (net.ipv4.ip_unprivileged_port_start).
const UNPRIVILEGED_PORT: u16 = 1024;

/// The chosen failure, if it is one of bind's own.
pub(in crate::diagnose::verdict) fn refused(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref()?;
    let cause = chosen.cause()?;
    if cause == Cause::BindAddressInUse {
        return Some(in_use(case, chosen));
    }
    if cause == Cause::BindPermissionDenied {
        return Some(not_allowed(case, chosen));
    }
    (cause == Cause::BindAddressUnavailable).then(|| unavailable(case, chosen))
}

fn begin(case: &Case<'_>, chosen: &Chosen<'_>, cause: Cause) -> (Draft, String) {
    let failure = &chosen.failure;
    let place = place(failure);
    let mut draft = plain::begin_failed_call(case, chosen, cause, &place);
    if let Some((address, port)) = failure.address() {
        draft = draft.address(address, failure.protocol, port);
    }
    if let Some(path) = failure.path() {
        draft = draft.text("path", path);
    }
    (draft, place)
}

fn place(failure: &Failure<'_>) -> String {
    match &failure.subject {
        Subject::Path(path) => format!("the unix socket {path}"),
        Subject::Address { address, port } => wording::address(address, failure.protocol, *port),
        Subject::Question { .. } | Subject::None => "an unknown address".to_owned(),
    }
}

fn in_use(case: &Case<'_>, chosen: &Chosen<'_>) -> Verdict {
    let failure = &chosen.failure;
    let (mut draft, place) = begin(case, chosen, Cause::BindAddressInUse);
    let who = case.name(case.blamed());
    let known = holder(case, failure);
    let found = known.is_some_and(|it| it.pid.is_some());
    let (held, next_step) = match known {
        _ if let Some((index, id)) = bound_before(case, failure).filter(|_| !found) => {
            draft = draft.evidence(format!("{} had bound it before", case.name(id)), [index]);
            match id == failure.process.id {
                true => (
                    "which it had bound itself before".to_owned(),
                    "Configure two different addresses: the program binds this one twice.".to_owned(),
                ),
                false => (
                    format!("which {}, a process of this container, had bound before", case.name(id)),
                    format!("Give {} or this process another port.", case.name(id)),
                ),
            }
        }
        Some(holder) => {
            draft = draft.detail("holder_address", holder.address.as_str());
            let command = if holder.command.is_empty() { &holder.comm } else { &holder.command };
            if let Some(peer) = &holder.peer {
                let (own, next_step) = talks(holder, command, peer);
                draft = draft.detail("holder_peer", peer.as_str()).known("holder_pid", holder.pid);
                (own, next_step)
            } else if let Some(pid) = holder.pid {
                draft = draft.detail("holder_pid", pid).text("holder_command", command);
                let own = case.timeline.processes.values().any(|process| {
                    process.tracked && process.agent_pid.unwrap_or(process.id.pid) == pid
                });
                let mine = if own { ", a process of this container itself" } else { "" };
                (
                    format!("{} is held by {} (pid {pid}){mine}", holder.address, command),
                    format!("Stop {} (pid {pid}), or give one of the two another port.", holder.comm),
                )
            } else {
                (
                    format!("{} is held by a process that was not found", holder.address),
                    "Find the holder with `ss -lntup` in the same network namespace (hostNetwork: on the node)."
                        .to_owned(),
                )
            }
        }
        None if failure.path().is_some() => (
            "the file is left over or another process listens there".to_owned(),
            "Remove the socket file before binding if nobody listens on it any more.".to_owned(),
        ),
        None => (
            "who holds it was not found".to_owned(),
            "Find the holder with `ss -lntup` in the same network namespace (hostNetwork: on the node).".to_owned(),
        ),
    };
    if let Some(bind) = bind(case, failure) {
        draft =
            draft.detail("reuse_address", bind.reuse_address).detail("reuse_port", bind.reuse_port);
    }
    draft
        .summary(format!(
            "{who} could not {} {place}: the address is already in use (EADDRINUSE), {held}; it {}.",
            failure.call,
            case.ending()
        ))
        .next_step(next_step)
        .finish()
}

/// The process of the life that bound the same port before, and had not ended.
fn bound_before(case: &Case<'_>, failure: &Failure<'_>) -> Option<(usize, ProcessId)> {
    let at = failure.entries[0];
    let port = |bind: &Bind| bind.address.port().unwrap_or(bind.port);
    let wanted = bind(case, failure).map(port).filter(|port| *port != 0)?;
    let before = case.timeline.entries.iter().enumerate().take(at).rev();
    let mut bound = before.filter(|(_, event)| {
        event.bind().is_some_and(|bind| {
            let same = Some(bind.protocol) == failure.protocol && port(bind) == wanted;
            same && bind.errno.is_none() && !bind.listen
        })
    });
    let lives = |id: &ProcessId| case.end(*id).is_none_or(|end| end.index > at);
    bound.find_map(|(index, event)| Some((index, event.process.id)).filter(|(_, id)| lives(id)))
}

/// The port is the near end of a connection: the kernel gives them out from one range to whoever connects.
fn talks(holder: &Holder, command: &Text, peer: &str) -> (String, String) {
    match holder.pid {
        Some(pid) => (
            format!("{} is the near end of a connection of {command} (pid {pid}) to {peer}", holder.address),
            "Use a port outside of net.ipv4.ip_local_port_range, or keep it out of that (net.ipv4.ip_local_reserved_ports), \
             so that no connection gets it; SO_REUSEADDR helps against closed ones."
                .to_owned(),
        ),
        None => (
            format!("{} is the near end of a connection to {peer} that is being closed", holder.address),
            "Let the program set SO_REUSEADDR before it binds: closed connections keep a port for a minute (TIME_WAIT)."
                .to_owned(),
        ),
    }
}

/// Who holds the port: of the same protocol and family first.
fn holder<'a>(case: &Case<'a>, failure: &Failure<'_>) -> Option<&'a Holder> {
    let (address, port) = failure.address()?;
    let port = address.port().unwrap_or(port);
    let family = match failure.protocol? {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Other(_) => return None,
    };
    let facts =
        case.facts.ports.iter().filter(|it| it.port == port && it.protocol.starts_with(family));
    let ipv6 = matches!(address, Address::Inet(inet) if inet.is_ipv6());
    let exact = |protocol: &str| protocol.ends_with('6') == ipv6;
    let mut holders: Vec<(bool, &Holder)> =
        facts.flat_map(|fact| fact.holders.iter().map(|it| (exact(&fact.protocol), it))).collect();
    holders.sort_by_key(|(exact, it)| (it.pid.is_none(), !exact));
    holders.first().map(|(_, holder)| *holder)
}

fn not_allowed(case: &Case<'_>, chosen: &Chosen<'_>) -> Verdict {
    let failure = &chosen.failure;
    let (mut draft, place) = begin(case, chosen, Cause::BindPermissionDenied);
    let uid = failure.process.uid;
    let port = match failure.address() {
        Some((Address::Inet(inet), _)) => inet.port(),
        Some((_, port)) => port,
        None => 0,
    };
    let is_low = port > 0 && port < UNPRIVILEGED_PORT;
    let refusal = privilege::refusal(case, failure, Some(NET_BIND_SERVICE).filter(|_| is_low));
    draft = draft.detail("uid", uid).detail("refused_by", refusal.by);
    let (why, next_step) = if is_low && refusal.by == "capability" {
        draft = draft.detail("capability", "CAP_NET_BIND_SERVICE");
        let grant = match (chosen.confidence, uid) {
            (Confidence::Likely | Confidence::None, _) => "",
            (Confidence::Proven, 0) => ", or add the capability NET_BIND_SERVICE",
            // An added capability is not in effect for a user other than root.
            (Confidence::Proven, _) => {
                ", set the pod's sysctl net.ipv4.ip_unprivileged_port_start, or give the program file the capability \
                 NET_BIND_SERVICE (setcap)"
            }
        };
        (
            format!(
                "ports below {UNPRIVILEGED_PORT} need CAP_NET_BIND_SERVICE, which it lacks (uid {uid})"
            ),
            format!(
                "Use a port from {UNPRIVILEGED_PORT} on (a Service can still map {port} to it){grant}."
            ),
        )
    } else if failure.path().is_some() {
        (
            format!("uid {uid} may not create the socket file there"),
            "Give that user write permission in the folder of the socket.".to_owned(),
        )
    } else {
        (
            format!("it was refused to uid {uid} ({})", refusal.text),
            "See whether a seccomp profile or a security module forbids it.".to_owned(),
        )
    };
    draft
        .summary(format!(
            "{} may not {} {place} ({}): {why}; it {}.",
            case.name(case.blamed()),
            failure.call,
            failure.errno,
            case.ending()
        ))
        .next_step(next_step)
        .finish()
}

fn unavailable(case: &Case<'_>, chosen: &Chosen<'_>) -> Verdict {
    let (draft, place) = begin(case, chosen, Cause::BindAddressUnavailable);
    draft
        .summary(format!(
            "{} could not bind {place}: no interface of its network namespace has that address \
             (EADDRNOTAVAIL); it {}.",
            case.name(case.blamed()),
            case.ending()
        ))
        .next_step(
            "Bind 0.0.0.0 or [::], or the pod's own address (status.podIP by the downward API).",
        )
        .finish()
}

fn bind<'a>(case: &Case<'a>, failure: &Failure<'_>) -> Option<&'a Bind> {
    case.event(failure.entries[0]).bind()
}
