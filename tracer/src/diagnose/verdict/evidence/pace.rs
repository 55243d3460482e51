//! How soon an end came after a failure, measured by the process's own pace: on a busy node everything takes longer. It
//! must not know what failed.

use crate::{
    capture::event::{Bind, BootNs, ProcessId, Protocol},
    diagnose::verdict::death::Death,
};

/// An end this soon after a failure may be its consequence, whatever the process's pace.
pub(in crate::diagnose::verdict) const SOON_NS: u64 = 100_000_000;
/// No process takes longer than this to end of a failure.
pub(in crate::diagnose::verdict) const LATE_NS: u64 = 3_000_000_000;
/// Until then a process is starting: what it has done so far shows its pace.
const STARTING_NS: u64 = 60_000_000_000;

/// The end came so soon after that moment that it may be its consequence: at once, or after no more than half the time that
/// the process had needed from its exec up to it, with nothing done meanwhile.
pub(in crate::diagnose::verdict) fn ends_soon(
    death: &Death<'_>,
    id: ProcessId,
    (at_ns, index): (BootNs, usize),
    end_ns: BootNs,
) -> bool {
    let after_ns = end_ns.saturating_sub(at_ns);
    let began_ns = death.last_exec(id).map_or(id.start_ns, |(_, time_ns, _)| time_ns);
    let before_ns = at_ns.saturating_sub(began_ns);
    let in_pace = after_ns <= LATE_NS
        && before_ns <= STARTING_NS
        && after_ns <= before_ns / 2
        && went_on(death, id, index).is_none();
    after_ns <= SOON_NS || in_pace
}

/// What the process did after an entry that shows that it went on with its work: it got a socket to listen, or ran
/// a program. The entry that tells of it.
pub(in crate::diagnose::verdict) fn went_on(
    death: &Death<'_>,
    id: ProcessId,
    index: usize,
) -> Option<usize> {
    let served =
        death.events(id).find(|(at, event)| *at > index && event.bind().is_some_and(serves));
    let ran = || {
        let children = death.tree.children(id).iter();
        children
            .filter_map(|child| death.tree.execs(*child).first().copied())
            .find(|at| *at > index)
    };
    served.map(|(at, _)| at).or_else(ran)
}

/// It listens, or has a UDP port that it chose.
pub(in crate::diagnose::verdict) fn serves(bind: &Bind) -> bool {
    let chosen = bind.protocol == Protocol::Udp && bind.address.port().is_some();
    bind.errno.is_none() && (bind.listen || chosen)
}
