//! What it takes for an error to be blamed that programs often live with: they ask, are told no, and do it another way.
//! It must not know which cause it would be.

use crate::{
    capture::event::{Address, What},
    linux::errno::Errno,
};

use crate::diagnose::verdict::{
    death::Death,
    evidence::{
        errors::{is_ipv6, is_lock, watches},
        failure::{Failure, Told},
    },
};

/// O_NOFOLLOW of x86_64 and of aarch64 (asm/fcntl.h): a link there is what the program asked about.
const O_NOFOLLOW: u64 = 0o400_000 | 0o100_000;

/// Newer calls that C libraries and runtimes try at every start, before the older one.
const TRIED_FIRST: &[&str] = &[
    "arch_prctl",
    "cachestat",
    "clone3",
    "close_range",
    "copy_file_range",
    "epoll_pwait2",
    "execveat",
    "faccessat2",
    "fchmodat2",
    "futex_waitv",
    "get_mempolicy",
    "getrandom",
    "io_pgetevents",
    "io_uring_register",
    "io_uring_setup",
    "landlock_create_ruleset",
    "mbind",
    "membarrier",
    "memfd_create",
    "memfd_secret",
    "mseal",
    "name_to_handle_at",
    "openat2",
    "perf_event_open",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "pkey_alloc",
    "preadv2",
    "pwritev2",
    "renameat2",
    "rseq",
    "sched_getattr",
    "sched_setattr",
    "set_mempolicy",
    "set_robust_list",
    "statx",
    "userfaultfd",
];

/// What the last words must do for an error to be blamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing: whoever meets it has lost.
    Nothing,
    /// If there are any after it, to name it.
    NoOtherWords,
    /// As before; where there are none, the process must not have done anything else after it that is recorded.
    LastOfAll,
    /// To name it, whatever else happened.
    Words,
}

/// Words about something else, said after it, acquit it.
pub(in crate::diagnose::verdict) fn gives_way_to_words(failure: &Failure<'_>) -> bool {
    needs(failure) != Needs::Nothing
}

/// The object's name alone does not say that this error mattered.
pub(in crate::diagnose::verdict) fn must_be_named_by_error(failure: &Failure<'_>) -> bool {
    matches!(needs(failure), Needs::LastOfAll | Needs::Words)
}

/// It may be blamed for an end that nobody explains.
pub(in crate::diagnose::verdict) fn may_end_in_silence(
    death: &Death<'_>,
    failure: &Failure<'_>,
) -> bool {
    match needs(failure) {
        Needs::Nothing | Needs::NoOtherWords => true,
        Needs::LastOfAll => is_last_of_all(death, failure) && !serves(death, failure),
        Needs::Words => false,
    }
}

fn needs(failure: &Failure<'_>) -> Needs {
    match failure.errno {
        Errno::ENOSYS if TRIED_FIRST.contains(&failure.call) => Needs::Words,
        // The next address of a name is tried after it.
        Errno::ENETUNREACH | Errno::EADDRNOTAVAIL | Errno::EHOSTUNREACH
            if failure.told_by == Told::Call && is_ipv6(failure) =>
        {
            Needs::Words
        }
        Errno::ELOOP if opens_without_links(failure) => Needs::Words,
        Errno::EEXIST if failure.call.starts_with("mkdir") => Needs::Words,
        Errno::EEXIST | Errno::ENOTEMPTY if failure.call.starts_with("rename") => Needs::Words,
        Errno::EXDEV if failure.call.starts_with("link") => Needs::Words,
        Errno::EADDRNOTAVAIL if failure.told_by == Told::Call => Needs::NoOtherWords,
        // Who gets no watch looks from time to time instead.
        Errno::EMFILE | Errno::ENOSPC if watches(failure.call) => Needs::LastOfAll,
        Errno::ETIMEDOUT
        | Errno::EHOSTUNREACH
        | Errno::ENETUNREACH
        | Errno::ENETDOWN
        | Errno::EHOSTDOWN
        | Errno::EISDIR
        | Errno::EBUSY
        | Errno::ETXTBSY
        | Errno::E2BIG
        | Errno::EFBIG
        | Errno::ENAMETOOLONG
        | Errno::EIO
        | Errno::ESTALE
        | Errno::EUCLEAN
        | Errno::EREMOTEIO => Needs::NoOtherWords,
        Errno::EAGAIN if is_lock(failure) => Needs::LastOfAll,
        Errno::ENOSYS
        | Errno::ECONNRESET
        | Errno::EPIPE
        | Errno::EAFNOSUPPORT
        | Errno::EEXIST
        | Errno::EXDEV
        | Errno::ELOOP
        | Errno::EINVAL
        | Errno::ENOTCONN => Needs::LastOfAll,
        _ => Needs::Nothing,
    }
}

fn opens_without_links(failure: &Failure<'_>) -> bool {
    match failure.call {
        "open" => failure.args[1] & O_NOFOLLOW != 0,
        "openat" => failure.args[2] & O_NOFOLLOW != 0,
        "openat2" => true,
        _ => false,
    }
}

/// Nothing else of its process is recorded after it but its words and its end.
fn is_last_of_all(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let at = failure.entries[0];
    let later = death.events(failure.process.id).filter(|(index, _)| *index > at);
    !later.into_iter().any(|(_, event)| match &event.what {
        What::Exec(_) | What::ExecFailed(_) | What::Fork(_) | What::Bind(_) | What::Call(_) => true,
        What::Exit(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Cgroup(_)
        | What::Lost(_)
        | What::Found(_) => false,
    })
}

/// It had clients of its own, who come and go: their resets are no reason to end.
fn serves(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let comes_and_goes = [Errno::ECONNRESET, Errno::EPIPE].contains(&failure.errno);
    comes_and_goes
        && death
            .events(failure.process.id)
            .filter_map(|(_, event)| event.bind())
            .any(|bind| bind.errno.is_none() && !matches!(bind.address, Address::Netlink))
}

/// What programs say of it beside the text of strerror(3) in glibc: musl's text, and phrases of runtimes.
pub(in crate::diagnose::verdict) fn phrases(failure: &Failure<'_>) -> &'static [&'static str] {
    match failure.errno {
        Errno::EAGAIN | Errno::EEXIST | Errno::ENOTEMPTY => &[
            "already running",
            "already locked",
            "another instance",
            "another process",
            "cannot lock",
            "can't lock",
            "could not lock",
            "couldn't lock",
            "could not acquire lock",
            "could not obtain lock",
            "failed to lock",
            "failed to acquire lock",
            "acquire the lock",
            "unable to lock",
            "unable to acquire lock",
            "failed to obtain lock",
            "failed to obtain node lock",
            "is locked",
            "lock file",
            "lockfile",
            "pid file",
            "pidfile",
            "lock held",
            "lock is held",
            "lock taken",
            "in use by another",
        ],
        Errno::ETIMEDOUT => &["timed out", "timeout", "connecttimeout"],
        Errno::EHOSTUNREACH => &["host is unreachable", "host unreachable"],
        Errno::ENETUNREACH => &["network unreachable", "network unreachable"],
        Errno::ECONNRESET => &["connection reset", "reset by peer", "econnreset"],
        Errno::EADDRNOTAVAIL => &["address not available", "can't assign requested address"],
        Errno::EAFNOSUPPORT => &["address family not supported", "unsupported address family"],
        Errno::EBUSY => &["resource busy"],
        Errno::EXDEV => &["cross-device link", "different file system", "different filesystem"],
        Errno::EFBIG => &["file size limit", "file too big"],
        Errno::E2BIG => &["arg list too long", "argument list too long", "arguments too long"],
        Errno::ENAMETOOLONG => &["filename too long", "name too long", "path too long"],
        Errno::ELOOP => &["too many symbolic links", "symbolic link loop", "symlink loop"],
        Errno::EINVAL => &["too long"],
        Errno::EIO => &["i/o error"],
        Errno::ESTALE => &["stale nfs file handle", "stale file"],
        Errno::ENOTCONN => &["socket not connected"],
        Errno::EMFILE | Errno::ENOSPC => &["inotify", "watch", "no file descriptors available"],
        Errno::ENOSYS => &["not implemented", "not supported"],
        _ => &[],
    }
}
