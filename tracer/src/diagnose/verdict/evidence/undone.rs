//! What the kernel side saw of the time after a failed call: that it was made good, or that its process went on. It must not
//! decide a cause.

use crate::diagnose::verdict::evidence::failure::Failure;

/// So many files opened after a failure are work, not the report of an error: what prints one reads locales, zones and its
/// own sources.
const WORK_OPENS: u32 = 40;

/// The same name was opened later, or the same address reached: it was a step of a search, or a retry succeeded.
pub(in crate::diagnose::verdict) fn made_good(failure: &Failure<'_>) -> bool {
    failure.after.made_good
}

/// Its process reached some peer after it.
pub(in crate::diagnose::verdict) fn reached_a_peer(failure: &Failure<'_>) -> bool {
    failure.after.connected.is_some_and(|count| count > 0)
}

/// Its process opened a file after a peer had refused it: who gives up over a peer seldom needs one.
pub(in crate::diagnose::verdict) fn went_to_a_file(failure: &Failure<'_>) -> bool {
    failure.address().is_some() && failure.after.opened.is_some_and(|count| count > 0)
}

/// Its process reached another peer after a connect that failed, or opened many files.
pub(in crate::diagnose::verdict) fn worked_on(failure: &Failure<'_>) -> bool {
    let connects = failure.address().is_some() && failure.call == "connect";
    let opened = failure.after.opened.is_some_and(|count| count >= WORK_OPENS);
    (connects && reached_a_peer(failure)) || failure.after.same_port_reached || opened
}
