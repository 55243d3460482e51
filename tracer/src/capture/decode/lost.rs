//! What the kernel side counts as lost.

use tracer_ebpf::abi::{
    header::Kind,
    state::{LOST_CONTAINER, LOST_MAIN, LOST_PROCESS, LOST_RECORDER, LOST_WORDS},
};

use crate::capture::event::LostKind;

/// The kind of an entry of LOST; `None` for a number that the kernel side never writes.
pub fn lost_kind(kind: u32) -> Option<LostKind> {
    let records = [
        (Kind::Exec, LostKind::Exec),
        (Kind::ExecFailed, LostKind::ExecFailed),
        (Kind::Fork, LostKind::Fork),
        (Kind::Exit, LostKind::Exit),
        (Kind::Signal, LostKind::Signal),
        (Kind::Threads, LostKind::Threads),
        (Kind::Oom, LostKind::Oom),
        (Kind::Bind, LostKind::Bind),
        (Kind::Calls, LostKind::Calls),
        (Kind::Words, LostKind::Words),
        (Kind::Said, LostKind::Words),
        (Kind::Cgroup, LostKind::Cgroup),
        (Kind::LongCall, LostKind::Calls),
        (Kind::Found, LostKind::Process),
    ];
    let of_record =
        records.iter().find(|(record, _)| *record as u32 == kind).map(|(_, lost)| *lost);
    of_record.or(match kind {
        LOST_PROCESS | LOST_MAIN => Some(LostKind::Process),
        LOST_RECORDER => Some(LostKind::Recorder),
        LOST_WORDS => Some(LostKind::Words),
        LOST_CONTAINER => Some(LostKind::Container),
        _ => None,
    })
}
