//! System calls that this kernel, or a filter, does not have. It must not know calls that are refused with EPERM.

use crate::verdict::{Cause, Verdict, case::Case, rules::unusable::begin};

/// ENOSYS.
pub(in crate::verdict) fn call(case: &Case<'_>) -> Option<Verdict> {
    let (chosen, draft) = begin(case, Cause::CallUnsupported)?;
    let failure = &chosen.failure;
    let kernel = &case.facts.machine.kernel;
    let kernel =
        if kernel.is_empty() { "this kernel".to_owned() } else { format!("kernel {kernel}") };
    let (who, next_step) = if failure.process.seccomp {
        (
            format!("{kernel} does not have it, or the seccomp filter that is on hides it"),
            format!(
                "Allow {} in the seccomp profile (a profile older than the call answers ENOSYS), else run it on a newer kernel.",
                failure.call
            ),
        )
    } else {
        (
            format!("{kernel} does not have it, and no seccomp filter is on"),
            format!(
                "Run it on a node whose kernel has {}, or configure the program without it.",
                failure.call
            ),
        )
    };
    Some(
        draft
            .detail("seccomp", failure.process.seccomp)
            .summary(format!(
                "{} needs the system call {}, which is not there (ENOSYS): {who}; it {}.",
                case.name(case.blamed()),
                failure.call,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}
