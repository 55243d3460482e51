//! Arguments and environment that are too long for an exec. It must not know other execs that failed.

use crate::linux::errno::Errno;

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict, case::Case, draft::Draft, rules::unusable,
};

/// E2BIG (fs/exec.c): all strings together may have a quarter of the stack's limit, one of them 128 KiB.
pub(in crate::diagnose::verdict) fn too_long(case: &Case<'_>) -> Option<Verdict> {
    let advice = "Pass less by arguments and environment: a file instead of a long value, xargs for many names, and \
                  enableServiceLinks: false in the pod's spec if the variables of its namespace's Services fill it.";
    if let Some(draft) = never_ran(case) {
        return Some(draft.next_step(advice).finish());
    }
    let (chosen, draft) = unusable::begin(case, Cause::ArgumentsTooLong)?;
    let summary = format!(
        "{} could not execute {}: its arguments and environment are too long ({}: E2BIG); it {}.",
        case.name(case.blamed()),
        chosen.failure.path()?,
        chosen.failure.call,
        case.ending()
    );
    Some(draft.summary(summary).next_step(advice).finish())
}

/// The failed exec of a runtime's init is the end of it.
fn never_ran(case: &Case<'_>) -> Option<Draft> {
    let end = case.end(case.main).filter(|_| case.never_execd(case.main))?;
    let (index, failed) = case.failed_execs(case.main).next_back()?;
    let path = &failed.path;
    (failed.errno == Errno::E2BIG).then(|| {
        Draft::new(Cause::ArgumentsTooLong, Confidence::Proven, case.main)
            .status(end.status)
            .errno(failed.errno)
            .text("path", path)
            .evidence(format!("execve of {path} failed with E2BIG"), [index])
            .evidence(format!("{} {}", case.name(case.main), case.ending()), [end.index])
            .summary(format!(
                "The command {path} never ran: its arguments and environment are too long (E2BIG)."
            ))
    })
}
