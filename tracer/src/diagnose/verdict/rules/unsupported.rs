//! System calls that this kernel, or a filter, does not have. It must not know calls that are refused with EPERM.

use crate::{
    diagnose::verdict::{
        Cause, Verdict, case::Case, evidence::failure::Failure, rules::unusable::begin,
    },
    linux::syscall,
};

/// ENOSYS.
pub(in crate::diagnose::verdict) fn call(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::CallUnsupported)?;
    let failure = &chosen.failure;
    let call = called(case, failure);
    let kernel = &case.facts.machine.kernel;
    let kernel =
        if kernel.is_empty() { "this kernel".to_owned() } else { format!("kernel {kernel}") };
    let (who, next_step) = if failure.process.seccomp {
        (
            format!("{kernel} does not have it, or the seccomp filter that is on hides it"),
            format!(
                "Allow {call} in the seccomp profile (a profile older than the call answers ENOSYS), else run it on a newer kernel."
            ),
        )
    } else {
        (
            format!("{kernel} does not have it, and no seccomp filter is on"),
            format!(
                "Run it on a node whose kernel has {call}, or configure the program without it."
            ),
        )
    };
    Some(
        draft
            .detail("seccomp", failure.process.seccomp)
            .summary(format!(
                "{} needs the system call {call}, which is not there (ENOSYS): {who}; it {}.",
                case.name(case.blamed()),
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// Its name, or its number where that is in no table.
fn called(case: &Case<'_>, failure: &Failure<'_>) -> String {
    let call = case.event(failure.entries[0]).call();
    match call.filter(|call| call.name == syscall::UNKNOWN) {
        Some(unknown) => format!("number {}", unknown.number),
        None => failure.call.to_owned(),
    }
}
