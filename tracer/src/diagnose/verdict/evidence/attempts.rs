//! Calls whose arguments show that a program only tries them, and does without where they fail. It must not decide a cause.

use memchr::memmem;

use crate::linux::{errno::Errno, text::Text};

use super::{
    failure::{Failure, Told},
    programs::file_name,
};

/// mmap(2), shmget(2), memfd_create(2): pages that few nodes set aside.
const MAP_HUGETLB: u64 = 0x4_0000;
const SHM_HUGETLB: u64 = 0o4000;
const MFD_HUGETLB: u64 = 4;
/// open(2), the same on x86_64 and aarch64: the program wants to be gentle.
const O_NOATIME: u64 = 0o1_000_000;
const O_ACCMODE: u64 = 0o3;
const O_CREAT: u64 = 0o100;
/// open(2) of a folder, on x86_64 and on aarch64 (where the former is O_DIRECT).
const O_DIRECTORY: u64 = 0o200_000 | 0o40_000;

/// Nothing but words that name it can make this call the reason of an end.
pub(in crate::diagnose::verdict) fn is_attempt(failure: &Failure<'_>) -> bool {
    if failure.told_by != Told::Call {
        return false;
    }
    wants_huge_pages(failure)
        || tunes(failure)
        || is_gentle(failure)
        || asks_for_folder(failure)
        || is_cache(failure)
        || is_setting_of_user(failure)
}

/// Signal 0 asks whether a process is there (kill(2)), and a refusal is an answer.
pub(in crate::diagnose::verdict) fn asks_only(failure: &Failure<'_>) -> bool {
    let signal = match failure.call {
        "kill" | "tkill" | "pidfd_send_signal" | "rt_sigqueueinfo" => failure.args[1],
        "tgkill" => failure.args[2],
        _ => return false,
    };
    failure.told_by == Told::Call && signal & 0xffff_ffff == 0
}

/// They are few, so that programs fall back to small ones; for `mmap` it is also the kernel's own answer where none
/// are set aside.
pub(in crate::diagnose::verdict) fn wants_huge_pages(failure: &Failure<'_>) -> bool {
    match failure.call {
        "mmap" => failure.args[3] & MAP_HUGETLB != 0,
        "shmget" => failure.args[2] & SHM_HUGETLB != 0,
        "memfd_create" => failure.args[1] & MFD_HUGETLB != 0,
        _ => false,
    }
}

/// Larger buffers, marks and priorities than everybody gets, and higher limits: programs ask for as much as they can get.
fn tunes(failure: &Failure<'_>) -> bool {
    const SOL_SOCKET: u64 = 1;
    const SOL_TCP: u64 = 6;
    // SO_DEBUG, SO_PRIORITY, SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_BUSY_POLL, SO_TXTIME, SO_PREFER_BUSY_POLL and its budget,
    // SO_MARK.
    const BY_CUSTOM: [u64; 9] = [1, 12, 32, 33, 46, 61, 69, 70, 36];
    const TCP_CONGESTION: u64 = 13;
    let [_, level, option, ..] = failure.args.map(|it| it & 0xffff_ffff);
    match failure.call {
        "setsockopt" => {
            (level == SOL_SOCKET && BY_CUSTOM.contains(&option))
                || (level == SOL_TCP && option == TCP_CONGESTION)
        }
        "setrlimit" | "prlimit64" => true,
        _ => false,
    }
}

/// Not to change the time of the last access needs to be the file's owner; programs open it without that then.
fn is_gentle(failure: &Failure<'_>) -> bool {
    failure.errno == Errno::EPERM && open_flags(failure).is_some_and(|it| it & O_NOATIME != 0)
}

/// That is how programs find out whether a path is a folder.
fn asks_for_folder(failure: &Failure<'_>) -> bool {
    failure.errno == Errno::ENOTDIR && open_flags(failure).is_some_and(|it| it & O_DIRECTORY != 0)
}

/// What a program keeps to be faster the next time, or for its user's comfort.
fn is_cache(failure: &Failure<'_>) -> bool {
    const PARTS: [&[u8]; 9] = [
        b"/__pycache__",
        b"/.cache",
        b"/.npm/_",
        b"/hsperfdata_",
        b"/fontconfig",
        b"/.local/share/",
        b"/.java/.userPrefs",
        b"/.nv/",
        b"/.pki/",
    ];
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let refused = matches!(
        failure.errno,
        Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOSPC | Errno::EDQUOT
    );
    let name = file_name(path);
    // `.pytest_cache`, `.eslintcache`
    let hidden = |it: &[u8]| it.starts_with(b".") && it.ends_with(b"cache");
    let kept = path.split(|byte| *byte == b'/').any(hidden)
        || name.ends_with(b".pyc")
        || name.ends_with(b"_history")
        || PARTS.iter().any(|part| memmem::find(path, part).is_some());
    refused && kept
}

/// A hidden file in a home that another user's image left, opened to be read: `/root/.bashrc`.
fn is_setting_of_user(failure: &Failure<'_>) -> bool {
    let Some(path) = failure.path().map(Text::as_bytes) else { return false };
    let in_home = [&b"/root/"[..], b"/home/"].iter().any(|home| path.starts_with(home));
    let hidden = path
        .split(|byte| *byte == b'/')
        .any(|name| name.len() > 2 && name.starts_with(b".") && !name.starts_with(b".."));
    let reads = open_flags(failure).is_none_or(|it| it & (O_ACCMODE | O_CREAT) == 0);
    let refused = matches!(failure.errno, Errno::EACCES | Errno::EPERM);
    refused && in_home && hidden && reads
}

/// It opens a file to write it, and would make it.
pub(in crate::diagnose::verdict) fn opens_to_write(failure: &Failure<'_>) -> bool {
    open_flags(failure).is_some_and(|it| it & O_ACCMODE != 0 && it & O_CREAT != 0)
}

/// Flags of open(2) and openat(2); those of openat2(2) are in memory.
fn open_flags(failure: &Failure<'_>) -> Option<u64> {
    match failure.call {
        "open" => Some(failure.args[1]),
        "openat" => Some(failure.args[2]),
        _ => None,
    }
}
