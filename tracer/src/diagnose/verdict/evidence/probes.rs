//! What loaders, C libraries and interpreters look for without needing it. It must not decide a cause.

use std::collections::HashSet;

use memchr::memmem;

use crate::linux::{errno::Errno, text::Text};

use crate::diagnose::verdict::evidence::{
    capability,
    failure::{Failure, Told},
    programs::{file_name, folder},
};

/// Anywhere in a path.
const PARTS: &[&[u8]] = &[
    b"/ld.so.preload",
    b"/ld.so.cache",
    b"/glibc-hwcaps/",
    b"/tls/haswell/",
    b"/locale/",
    b"/LC_MESSAGES",
    b"/locale-archive",
    b"/gconv",
    b"/charset.alias",
    b"/nscd/",
    b"/terminfo/",
    b"pyvenv.cfg",
    b"__pycache__",
    b"/etc/localtime",
    b"/zoneinfo/",
    b"/etc/suid-debug",
    b"/etc/host.conf",
    b"/etc/gai.conf",
    b"/nss_",
    b"/libnss_",
    b"/.terminfo",
    b"/sitecustomize",
    b"/usercustomize",
    b"/etc/debuginfod",
    b"/debug/.build-id",
    // Separate debug information, which backtraces look for.
    b".dwp",
    b"/.debug/",
    b"/usr/lib/debug",
    b".cpython-",
    b".abi3.so",
    b"python3.zip",
    b"/perl5/",
    b"/etc/perl/",
    b"/sss/",
    b"/var/lib/sss",
    b"/hugepages",
    b"/transparent_hugepage",
    b"/etc/selinux/",
];

/// At its beginning: the kernel's own files are asked for what this kernel may not have.
const PREFIXES: &[&[u8]] = &[b"/proc/", b"/sys/", b"/dev/", b"/run/systemd/", b"<"];

/// Calls by which programs try what they can do without.
const TRIED: &[&str] = &[
    "io_uring_setup",
    "prctl",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setattr",
    "setpriority",
    "mbind",
    "set_mempolicy",
    "get_mempolicy",
    "membarrier",
    "madvise",
    "keyctl",
    "rseq",
    "set_robust_list",
    "arch_prctl",
    "ioctl",
    "fcntl",
    "readlink",
    "readlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "utimensat",
    "fadvise64",
    "perf_event_open",
    "epoll_ctl",
    "mlock",
    "mlockall",
    "setpgid",
    "setsid",
    "getdents64",
    "lseek",
];

/// Folders that glibc's loader looks into for builds for this processor (elf/dl-load.c before 2.37).
const PROCESSOR_FOLDERS: &[&[u8]] =
    &[b"tls", b"x86_64", b"haswell", b"avx512_1", b"xeon_phi", b"aarch64", b"atomics"];

/// Calls that look whether a path is there, rather than use it.
const LOOKS: &[&str] = &[
    "access",
    "faccessat",
    "faccessat2",
    "lstat",
    "newfstatat",
    "stat",
    "statfs",
    "statx",
    "inotify_add_watch",
];

/// So many other lookups of one name or in one folder are a search, not a need.
const SEARCH: usize = 5;
/// So many other folders in which the very same name was looked for are a search along a path.
const PLACES: usize = 2;

/// Programs fail this way at every start and go on.
pub(in crate::diagnose::verdict) fn is_idle(failure: &Failure<'_>) -> bool {
    if failure.told_by != Told::Call || failure.is_dns() {
        return false;
    }
    let Some(path) = failure.path().map(Text::as_bytes) else {
        let custom = TRIED.contains(&failure.call) && !makes_an_interface(failure);
        return custom && denied(failure.errno);
    };
    let looks_only = failure.is_lookup() || denied(failure.errno);
    let nowhere = path.is_empty() || path == b".";
    if failure.errno == Errno::ECONNREFUSED {
        return is_part(path, b"/nscd/");
    }
    looks_only
        && (nowhere
            || TRIED.contains(&failure.call)
            || PREFIXES.iter().any(|prefix| path.starts_with(prefix))
            || PARTS.iter().any(|part| is_part(path, part))
            || PROCESSOR_FOLDERS.contains(&file_name(path))
            || file_name(path).starts_with(b"<"))
}

/// Programs that set up interfaces and routes do nothing else.
fn makes_an_interface(failure: &Failure<'_>) -> bool {
    failure.call == "ioctl" && capability::needed_by(failure).is_some()
}

/// It looks whether a path is there, rather than use it.
pub(in crate::diagnose::verdict) fn looks(call: &str) -> bool {
    LOOKS.contains(&call)
}

/// Nothing but words can say that a program needed this path: it only looked whether it was there, or did without it
/// by custom.
pub(in crate::diagnose::verdict) fn need_not_exist(failure: &Failure<'_>) -> bool {
    let looked = failure.told_by == Told::Call && looks(failure.call);
    failure.is_lookup() && (looked || is_custom(failure))
}

/// A user's own setting (a hidden name), or something beside programs, where they look for what was not installed.
pub(in crate::diagnose::verdict) fn is_custom(failure: &Failure<'_>) -> bool {
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let opened = failure.told_by == Told::Call && failure.call != "connect";
    let is_hidden =
        |name: &[u8]| name.len() > 2 && name.starts_with(b".") && !name.starts_with(b"..");
    let hidden = path.split(|byte| *byte == b'/').any(is_hidden);
    let beside = [&b"bin"[..], b"sbin"].contains(&file_name(folder(path)));
    failure.is_lookup() && opened && (hidden || beside)
}

/// One of many lookups of the same name in different folders, or of different names in one.
pub(in crate::diagnose::verdict) fn is_search(failure: &Failure<'_>, all: &[Failure<'_>]) -> bool {
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let alike =
        all.iter().filter(|other| other.is_lookup()).filter_map(|other| other.path()).filter(
            |other| {
                let other = other.as_bytes();
                other != path && (stem(other) == stem(path) || folder(other) == folder(path))
            },
        );
    let places = all.iter().filter(|other| other.is_lookup()).filter_map(|other| {
        let other = other.path()?.as_bytes();
        (file_name(other) == file_name(path) && other != path).then(|| folder(other))
    });
    let places: HashSet<&[u8]> = places.collect();
    failure.is_lookup() && (alike.count() >= SEARCH || places.len() >= PLACES)
}

fn denied(errno: Errno) -> bool {
    matches!(errno, Errno::EACCES | Errno::EPERM)
}

fn is_part(path: &[u8], part: &[u8]) -> bool {
    memmem::find(path, part).is_some()
}

/// The file's name up to its first dot.
pub(in crate::diagnose::verdict) fn stem(path: &[u8]) -> &[u8] {
    let name = file_name(path);
    let hidden = usize::from(name.starts_with(b"."));
    name[hidden..].split(|byte| *byte == b'.').next().unwrap_or_default()
}

/// `libx.so`, `libx.so.1.2`; not the extension modules that interpreters probe for.
pub(in crate::diagnose::verdict) fn is_library(path: &Text) -> bool {
    let name = file_name(path.as_bytes());
    let Some(at) = name.windows(3).rposition(|part| part == b".so") else { return false };
    let version = &name[at + 3..];
    let versioned = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let probed = [&b".cpython-"[..], b".abi3", b"libnss_"]
        .iter()
        .any(|part| memmem::find(name, part).is_some());
    versioned && at > 0 && !probed
}
