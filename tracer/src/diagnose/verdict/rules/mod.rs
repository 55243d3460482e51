//! The rules, each of which knows some causes and names one of them, or none at the first doubt. A rule must not do I/O.

mod arguments;
mod bind;
mod exception;
mod exec;
mod fault;
mod heap;
mod killed;
mod limits;
mod loader;
mod lock;
mod network;
mod oom;
mod path;
mod permission;
mod plain;
mod processor;
mod runtime_init;
mod shell;
mod stopped;
mod tls;
mod transfer;
mod unreachable;
mod unsupported;
mod unusable;
mod wanted;
mod watches;
mod writes;

use super::{Verdict, case::Case};

pub(in crate::diagnose::verdict) use plain::unknown;
pub(in crate::diagnose::verdict) use stopped::first_stop;

pub(in crate::diagnose::verdict) type Rule = fn(&Case<'_>) -> Option<Verdict>;

/// In the order of [`Cause::ALL`](super::Cause::ALL): the first that fits.
pub(in crate::diagnose::verdict) const OF_A_LIFE: &[Rule] = &[
    plain::completed,
    exec::never_executed,
    runtime_init::never_executed,
    // Before the stop by which the runtime clears away what it could not set up.
    runtime_init::not_set_up,
    shell::command_not_run,
    oom::killed,
    wanted::ended,
    stopped::by_runtime,
    // Before the abort or fault by which a runtime ends itself.
    heap::exhausted,
    processor::too_old,
    fault::by_kernel,
    fault::abort,
    writes::broken_pipe,
    writes::file_size_limit,
    killed::by_signal,
    killed::by_timeout,
    loader::library,
    bind::refused,
    exec::could_not_run,
    path::file_not_found,
    permission::denied,
    path::read_only_filesystem,
    path::disk_full,
    unusable::is_a_directory,
    lock::held,
    unusable::mount_point_busy,
    unusable::text_file_busy,
    unusable::cross_device,
    unusable::path_invalid,
    unusable::volume_failed,
    limits::open_files,
    limits::processes,
    limits::memory,
    watches::limit,
    arguments::too_long,
    unsupported::call,
    network::connection_refused,
    unreachable::timed_out,
    unreachable::host,
    unreachable::reset,
    unreachable::ports_exhausted,
    unreachable::address_family,
    network::name_resolution,
    network::name_resolution_by_words,
    tls::failed,
    transfer::told_by_status,
    exception::uncaught,
    plain::exited_by_itself,
    plain::exited_with_error,
    fault::abort_anyway,
];

/// Of a process that ended while its container lived on.
pub(in crate::diagnose::verdict) const OF_A_PROCESS: &[Rule] =
    &[oom::killed, heap::exhausted, processor::too_old, fault::by_kernel, fault::abort];
