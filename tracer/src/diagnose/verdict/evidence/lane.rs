//! Whether failures like one may have been forgotten: the recorder keeps the latest of each kind. It must not know what
//! they meant.

use tracer_ebpf::abi::recorder::{LANE_SIZE, lane};

use crate::{
    capture::event::{Call, Object},
    diagnose::verdict::death::Death,
    linux::errno::Errno,
};

use super::{failure::Failure, probes};

/// The lane of a failure is full, and calls of its process were overwritten: others like it may have been among them.
pub(in crate::diagnose::verdict) fn overran(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let id = failure.process.id;
    let calls = || death.events(id).filter_map(|(index, event)| Some((index, event.call()?)));
    let Some(own) = calls().find(|(index, _)| failure.entries.contains(index)) else {
        return false;
    };
    let own = lane_of(own.1);
    let kept = calls().filter(|(_, call)| lane_of(call) == own).count();
    death.forgot_calls(id) && kept >= LANE_SIZE[own]
}

/// As the kernel side sorts them (tracer-ebpf: syscall/calls.rs); an error that it puts elsewhere than here makes a lane
/// look emptier by one.
fn lane_of(call: &Call) -> usize {
    let is_of_socket = matches!(call.object, Object::Address(_) | Object::Dns(_)) || call.reported;
    match call.errno {
        _ if is_of_socket => lane::NET,
        Errno::ENOENT | Errno::ENOTDIR if probes::looks(call.name) => lane::LOOKED,
        Errno::ENOENT | Errno::ENOTDIR => lane::LOOKUP,
        Errno::EACCES
        | Errno::EPERM
        | Errno::EROFS
        | Errno::ENOSPC
        | Errno::EDQUOT
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::ENOMEM
        | Errno::EAGAIN
        | Errno::EIO
        | Errno::EBUSY
        | Errno::EEXIST
        | Errno::EISDIR
        | Errno::ETXTBSY
        | Errno::EFBIG
        | Errno::ENOEXEC
        | Errno::ELOOP
        | Errno::ENAMETOOLONG => lane::DENIED,
        _ => lane::OTHER,
    }
}
