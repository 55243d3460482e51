//! Which cause an error would be, by the call and its arguments: those errors that mean different things of different
//! calls. It must not decide whether it mattered.

use memchr::memmem;

use crate::{
    capture::event::{Address, Protocol},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Cause,
    evidence::{
        failure::{Failure, Told},
        programs::file_name,
    },
};

/// The same on x86_64 and aarch64 (asm-generic/fcntl.h).
const O_CREAT: u64 = 0o100;
const O_EXCL: u64 = 0o200;
/// fcntl(2): the kinds that do not wait.
const F_SETLK: u64 = 6;
const F_OFD_SETLK: u64 = 37;

impl Failure<'_> {
    /// The cause this failure would be, if it were one.
    pub fn cause(&self) -> Option<Cause> {
        if self.is_dns() {
            return self.dns_failed().then_some(Cause::NameResolutionFailed);
        }
        if matches!(self.call, "bind" | "listen") {
            match self.errno {
                Errno::EADDRINUSE => return Some(Cause::BindAddressInUse),
                Errno::EACCES | Errno::EPERM => return Some(Cause::BindPermissionDenied),
                Errno::EADDRNOTAVAIL => return Some(Cause::BindAddressUnavailable),
                _ => {}
            }
        }
        match self.errno {
            Errno::ENOENT | Errno::ENOTDIR if self.path().is_some() => Some(Cause::FileNotFound),
            Errno::EACCES | Errno::EPERM => Some(Cause::PermissionDenied),
            Errno::ENOEXEC | Errno::ELIBBAD if self.told_by == Told::Exec => {
                Some(Cause::ExecFormatError)
            }
            Errno::EROFS => Some(Cause::ReadOnlyFilesystem),
            Errno::ENOSPC | Errno::EDQUOT if !watches(self.call) => Some(Cause::DiskFull),
            Errno::EMFILE | Errno::ENFILE if !watches(self.call) => Some(Cause::FdLimit),
            Errno::EAGAIN if matches!(self.call, "clone" | "clone3" | "fork" | "vfork") => {
                Some(Cause::PidLimit)
            }
            // Of these it says that nothing is mapped there (mincore(2), msync(2), madvise(2)).
            Errno::ENOMEM if matches!(self.call, "mincore" | "msync" | "madvise") => None,
            Errno::ENOMEM => Some(Cause::MemoryAllocationFailed),
            Errno::ECONNREFUSED => Some(Cause::ConnectionRefused),
            _ => of_some_calls(self),
        }
    }
}

/// Errors that mean something of some calls alone; `None` where the error is no fault whoever complains.
fn of_some_calls(failure: &Failure<'_>) -> Option<Cause> {
    let call = failure.call;
    let has_path = failure.path().is_some();
    match failure.errno {
        Errno::ETIMEDOUT if is_of_socket(failure) => Some(Cause::ConnectionTimedOut),
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ENETDOWN | Errno::EHOSTDOWN
            if is_of_socket(failure) && !sorts_addresses(failure) =>
        {
            Some(Cause::HostUnreachable)
        }
        Errno::ECONNRESET if is_of_socket(failure) => Some(Cause::ConnectionReset),
        Errno::EPIPE if writes(call) => Some(Cause::BrokenPipe),
        Errno::EADDRNOTAVAIL if call == "connect" || call == "getsockopt" => {
            if sorts_addresses(failure) {
                None
            } else if is_ipv6(failure) {
                Some(Cause::AddressFamilyUnsupported)
            } else {
                Some(Cause::PortsExhausted)
            }
        }
        Errno::EAFNOSUPPORT if matches!(call, "socket" | "bind" | "connect") => {
            Some(Cause::AddressFamilyUnsupported)
        }
        // unlink(2) of a folder is how programs find out that they need rmdir(2).
        Errno::EISDIR if has_path && !call.starts_with("unlink") => Some(Cause::IsADirectory),
        Errno::EAGAIN if is_lock(failure) => Some(Cause::LockHeld),
        Errno::EEXIST if has_path && makes_alone(failure) => Some(Cause::LockHeld),
        // A folder that is there and in use is not replaced by another (rename(2)).
        Errno::ENOTEMPTY | Errno::EEXIST if call.starts_with("rename") => {
            failure.path().is_some_and(is_lock_file).then_some(Cause::LockHeld)
        }
        Errno::EBUSY if has_path && replaces(call) => Some(Cause::MountPointBusy),
        Errno::EXDEV if has_path && (call.starts_with("rename") || call.starts_with("link")) => {
            Some(Cause::CrossDevice)
        }
        Errno::ETXTBSY => Some(Cause::TextFileBusy),
        Errno::E2BIG if failure.told_by == Told::Exec || call.starts_with("execve") => {
            Some(Cause::ArgumentsTooLong)
        }
        Errno::EFBIG => Some(Cause::FileSizeLimit),
        Errno::ENAMETOOLONG | Errno::ELOOP if has_path => Some(Cause::PathInvalid),
        // unix(7): a socket's path has 108 bytes, and the kernel says no more than that.
        Errno::EINVAL if has_path && matches!(call, "bind" | "connect") => {
            (failure.path()?.as_bytes().len() >= SUN_PATH).then_some(Cause::PathInvalid)
        }
        Errno::EIO | Errno::ESTALE | Errno::EUCLEAN | Errno::EREMOTEIO | Errno::ENOTCONN => {
            fails_on_volume(failure).then_some(Cause::VolumeFailed)
        }
        // max_user_instances and max_user_watches (inotify(7), fanotify(7), epoll(7)).
        Errno::EMFILE | Errno::ENOSPC if watches(call) => Some(Cause::WatchLimit),
        Errno::ENOSYS => Some(Cause::CallUnsupported),
        _ => None,
    }
}

/// Length of `sun_path`.
pub(in crate::diagnose::verdict) const SUN_PATH: usize = 108;

/// inotify, fanotify and epoll, which have limits of their own.
pub(in crate::diagnose::verdict) fn watches(call: &str) -> bool {
    call.starts_with("inotify") || call.starts_with("fanotify") || call == "epoll_ctl"
}

/// A lock on an open file that somebody else has.
pub(in crate::diagnose::verdict) fn is_lock(failure: &Failure<'_>) -> bool {
    match failure.call {
        "flock" => true,
        "fcntl" => [F_SETLK, F_OFD_SETLK].contains(&failure.args[1]),
        _ => false,
    }
}

/// Who makes a file that must not be there yet takes a lock by it, if its name says so; others only pick a free name.
fn makes_alone(failure: &Failure<'_>) -> bool {
    let exclusive = |flags: u64| flags & O_CREAT != 0 && flags & O_EXCL != 0;
    let alone = match failure.call {
        "open" => exclusive(failure.args[1]),
        "openat" => exclusive(failure.args[2]),
        call => ["mkdir", "link", "symlink"].iter().any(|it| call.starts_with(it)),
    };
    alone && failure.path().is_some_and(is_lock_file)
}

fn is_lock_file(path: &Text) -> bool {
    let name = file_name(path.as_bytes()).to_ascii_lowercase();
    [&b"lock"[..], b"lck", b".pid"].iter().any(|part| memmem::find(&name, part).is_some())
}

pub(in crate::diagnose::verdict) fn replaces(call: &str) -> bool {
    ["rename", "unlink", "rmdir"].iter().any(|it| call.starts_with(it))
}

pub(in crate::diagnose::verdict) fn writes(call: &str) -> bool {
    ["write", "pwrite", "send", "splice"].iter().any(|it| call.starts_with(it))
}

/// read(2) and write(2) are of sockets by their error alone: no file gives one of these.
fn is_of_socket(failure: &Failure<'_>) -> bool {
    let socket = ["connect", "getsockopt", "recvfrom", "recvmsg", "recvmmsg", "read", "readv"];
    socket.contains(&failure.call) || writes(failure.call)
}

/// getaddrinfo(3) connects datagram sockets to all that it found, to see which of them has a route.
fn sorts_addresses(failure: &Failure<'_>) -> bool {
    failure.call == "connect" && failure.protocol == Some(Protocol::Udp)
}

pub(in crate::diagnose::verdict) fn is_ipv6(failure: &Failure<'_>) -> bool {
    matches!(failure.address(), Some((Address::Inet(inet), _)) if inet.is_ipv6())
}

/// Calls on files only: terminals, the kernel's own files and sockets give these errors in the course of their work.
fn fails_on_volume(failure: &Failure<'_>) -> bool {
    let Some(path) = failure.path() else { return matches!(failure.call, "fsync" | "fdatasync") };
    let own =
        ["/dev/", "/proc/", "/sys/"].iter().any(|it| path.as_bytes().starts_with(it.as_bytes()));
    let names_socket = matches!(failure.call, "connect" | "bind");
    path.as_bytes().len() > 1 && !own && !names_socket
}
