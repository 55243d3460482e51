//! What refused a call: a missing capability, a limit, a seccomp filter, or none that is known. It must not name causes.

use crate::{
    capture::event::{Address, Limits, ProcessId},
    linux::errno::Errno,
};

use crate::diagnose::verdict::{
    death::Death,
    evidence::{capability::Capability, failure::Failure},
};

pub(in crate::diagnose::verdict) struct Refusal {
    /// `capability`, `limit`, `seccomp`, `network`, `owner` or `unknown`.
    pub by: &'static str,
    pub text: String,
    pub capability: Option<&'static str>,
}

impl Refusal {
    fn new(by: &'static str, text: impl Into<String>) -> Self {
        Self { by, text: text.into(), capability: None }
    }
}

/// What most likely refused a call that is not about a file's modes.
pub(in crate::diagnose::verdict) fn refusal(
    death: &Death<'_>,
    failure: &Failure<'_>,
    needed: Option<Capability>,
) -> Refusal {
    let held = capabilities(death, failure.process.id);
    let seccomp = failure.process.seccomp;
    let also = if seccomp { "; a seccomp filter is on as well" } else { "" };
    let lacks = |it: &Capability| held.is_none_or(|held| held & (1 << it.0) == 0);
    if let Some(other) = without_capability(failure) {
        return other;
    }
    match (needed, held) {
        (Some(it), Some(_)) if lacks(&it) => Refusal {
            by: "capability",
            text: format!("it lacks {}{also}", it.1),
            capability: Some(it.1),
        },
        (Some(it), None) if !seccomp => {
            Refusal { by: "capability", text: format!("it needs {}", it.1), capability: Some(it.1) }
        }
        (_, _) if is_of_filters(failure) => Refusal::new(
            "network",
            "a packet filter, a network policy or a route of the kind prohibit refuses it",
        ),
        (_, _) if seccomp => Refusal::new(
            "seccomp",
            match failure.call {
                "clone3" => {
                    "its seccomp filter refuses it: one older than glibc 2.34 answers EPERM where that C library \
                     waits for ENOSYS (Docker before 20.10.10, containerd before 1.5.8, libseccomp before 2.5)"
                }
                call if call.starts_with("io_uring") => {
                    "its seccomp filter refuses io_uring, as those of containerd 2, Docker 25 and later do"
                }
                _ => {
                    "no capability is missing for it, so that most likely its seccomp filter refuses it"
                }
            },
        ),
        (_, _) if failure.call.starts_with("io_uring") => {
            Refusal::new("unknown", "the node's kernel.io_uring_disabled may forbid it")
        }
        (_, _) => {
            Refusal::new("unknown", "neither a missing capability nor a seccomp filter explains it")
        }
    }
}

/// Refusals that a capability passes over, but that are about something else.
fn without_capability(failure: &Failure<'_>) -> Option<Refusal> {
    Some(match failure.call {
        "mlock" | "mlock2" | "mlockall" => {
            Refusal::new("limit", "it may not lock any memory (RLIMIT_MEMLOCK is 0)")
        }
        "setrlimit" => limit(failure.args[0]),
        "prlimit64" if failure.args[2] != 0 => limit(failure.args[1]),
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "utime" | "utimes" | "utimensat"
        | "futimesat"
            if failure.errno == Errno::EPERM =>
        {
            Refusal::new("owner", "only the owner of a file may do that to it")
        }
        "capset" => {
            Refusal::new("capability", "it may not take capabilities that it does not have")
        }
        _ => return None,
    })
}

/// Raising a hard limit needs a capability, and RLIMIT_NOFILE goes no higher than fs.nr_open even so.
fn limit(resource: u64) -> Refusal {
    const RESOURCES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let name = usize::try_from(resource & 0xffff_ffff).ok().and_then(|it| RESOURCES.get(it));
    let name = name.map_or(String::new(), |name| format!(" RLIMIT_{name}"));
    Refusal::new("limit", format!("it may not raise its hard limit{name}"))
}

/// EPERM of a packet filter or of a program on a cgroup's sockets, EACCES of a prohibited route or a broadcast.
fn is_of_filters(failure: &Failure<'_>) -> bool {
    let is_inet = matches!(failure.address(), Some((Address::Inet(_), _)));
    is_inet && matches!(failure.call, "connect" | "sendto" | "sendmsg" | "sendmmsg")
}

/// Effective capabilities: at its end, else after its last exec.
pub(in crate::diagnose::verdict) fn capabilities(death: &Death<'_>, id: ProcessId) -> Option<u64> {
    let at_end = death.end(id).map(|end| end.exit.cap_effective);
    at_end.or_else(|| death.last_exec(id).map(|(_, _, exec)| exec.cap_effective))
}

/// Limits that the process had at its end.
pub(in crate::diagnose::verdict) fn limits(death: &Death<'_>, id: ProcessId) -> Option<Limits> {
    death.end(id).map(|end| end.exit.limits)
}
