//! What loaders, C libraries and interpreters look for without needing it. It must not decide a cause.

use crate::{errno::Errno, text::Text};

use super::{
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

/// So many lookups of one name or in one folder are a search, not a need.
const SEARCH: usize = 5;
/// So many lookups just before are the habit of an interpreter.
const HABIT: usize = 3;

/// Programs fail this way at every start and go on.
pub(super) fn is_idle(failure: &Failure<'_>) -> bool {
    if failure.told_by != Told::Call || failure.is_dns() {
        return false;
    }
    let Some(path) = failure.path().map(Text::as_bytes) else {
        return TRIED.contains(&failure.call) && denied(failure.errno);
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

/// One of many lookups of the same name in different folders, or of different names in one.
pub(super) fn is_search(failure: &Failure<'_>, all: &[Failure<'_>]) -> bool {
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let alike =
        all.iter().filter(|other| other.is_lookup()).filter_map(|other| other.path()).filter(
            |other| {
                let other = other.as_bytes();
                other != path && (stem(other) == stem(path) || folder(other) == folder(path))
            },
        );
    failure.is_lookup() && alike.count() >= SEARCH
}

/// Lookups of other names were going on just before.
pub(super) fn is_habit(failure: &Failure<'_>, all: &[Failure<'_>], within_ns: u64) -> bool {
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let others = all.iter().filter(|other| {
        let before = failure.time_ns.saturating_sub(other.time_ns);
        let named = other.path().map(Text::as_bytes);
        other.is_lookup()
            && other.time_ns <= failure.time_ns
            && before <= within_ns
            && named.is_some_and(|named| file_name(named) != file_name(path))
    });
    failure.is_lookup() && others.count() > HABIT
}

fn denied(errno: Errno) -> bool {
    matches!(errno, Errno::EACCES | Errno::EPERM)
}

fn is_part(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

/// The file's name up to its first dot.
fn stem(path: &[u8]) -> &[u8] {
    let name = file_name(path);
    let hidden = usize::from(name.starts_with(b"."));
    name[hidden..].split(|byte| *byte == b'.').next().unwrap_or_default()
}
