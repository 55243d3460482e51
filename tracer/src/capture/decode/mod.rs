//! Records to events: bytes of the kernel side in, checked types out. It must not do I/O, know the
//! clock, or know containers and Kubernetes.

mod address;
mod arch;
mod bind;
mod cgroup;
mod components;
mod dns;
mod error;
mod exec;
mod exit;
mod fork;
mod found;
mod lookup;
mod lost;
mod oom;
mod record;
mod recorder;
mod said;
mod signal;
mod socket;
mod task;
mod threads;
mod words;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod properties;

use tracer_ebpf::abi::header::Kind;

pub use arch::Arch;
pub use error::DecodeError;
pub use lost::lost_kind;

use crate::capture::event::Event;
use record::Record;

/// Decodes one record. Most give one event; the flight recorder gives one for each call it holds and
/// one for those it forgot, the last words one for each stream that was written to.
///
/// `bytes` may end in up to seven bytes of padding. Times are CLOCK_BOOTTIME nanoseconds, page counts
/// become bytes by `arch.page_bytes`, system call numbers get the names of `arch.syscalls`.
///
/// # Errors
/// The record is of an unknown kind or version, its sizes do not agree, or a field has a value that the
/// kernel side never writes. Nothing is decoded in part.
pub fn decode(bytes: &[u8], arch: Arch) -> Result<Vec<Event>, DecodeError> {
    let record = Record::parse(bytes)?;
    match record.kind {
        Kind::Exec => one(exec::exec(&record)?),
        Kind::ExecFailed => one(exec::exec_failed(&record)?),
        Kind::Fork => one(fork::fork(&record)?),
        Kind::Exit => one(exit::exit(&record, arch)?),
        Kind::Signal => one(signal::signal(&record, arch)?),
        Kind::Threads => one(threads::threads(&record, arch)?),
        Kind::Oom => one(oom::oom(&record, arch)?),
        Kind::Bind => one(bind::bind(&record)?),
        Kind::Calls => recorder::calls(&record, arch),
        Kind::Words => words::words(&record),
        Kind::Said => one(said::said(&record)?),
        Kind::Cgroup => one(cgroup::cgroup(&record)?),
        Kind::LongCall => one(recorder::long_call(&record, arch)?),
        Kind::Found => one(found::found(&record)?),
    }
}

fn one(event: Event) -> Result<Vec<Event>, DecodeError> {
    Ok(vec![event])
}
