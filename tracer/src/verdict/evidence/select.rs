//! Which failed call of a process may be why it ended. It must not know what the call means.

use std::collections::HashSet;

use crate::event::{BootNs, Object, ProcessId, What};

use crate::verdict::{
    Cause, Confidence,
    case::Case,
    evidence::failure::{Failure, Subject, Told},
    evidence::maker,
    evidence::probes,
    words::{LastWords, Naming},
};

/// An end this soon after a failure may be its consequence.
pub(in crate::verdict) const SOON_NS: u64 = 100_000_000;
/// A server that cannot bind gives up within this time: some try again for a while.
const GIVE_UP_NS: u64 = 30_000_000_000;
/// An end with status 0 this soon after a failed bind.
const QUIET_NS: u64 = 1_000_000_000;
/// Resolvers wait 5 s for an answer (resolv.conf(5)); some time passes until the program has given up.
const UNANSWERED_NS: u64 = 7_000_000_000;
/// What a program still complains of when it ends, it met within this time before.
const NAMED_NS: u64 = 10_000_000_000;
/// A question asked again this much later was not answered before.
const ASKED_AGAIN_NS: u64 = 900_000_000;

/// A failed call, how surely it is the cause, and why.
#[derive(Clone, Debug)]
pub(in crate::verdict) struct Chosen<'a> {
    pub failure: Failure<'a>,
    pub confidence: Confidence,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Why {
    /// Last words name it; the entry that holds them.
    Words(usize),
    /// No later success of the same is recorded.
    NeverSucceeded,
    /// The end came so many nanoseconds later.
    EndFollowed(u64),
}

/// The failed call that may be the cause of a process's end.
pub(in crate::verdict) fn cause<'a>(case: &Case<'a>, id: ProcessId) -> Option<Chosen<'a>> {
    let end = case.end(id)?;
    let failures = candidates(case, id, end.time_ns);
    let bind = never_bound(case, &failures, end.time_ns, end.failed());
    if !end.failed() {
        return bind;
    }
    let words = LastWords::of(case, &all_of_chain(case, id));
    let named = named_by(&words, &failures, end.time_ns);
    let bind = bind.filter(|it| it.confidence == Confidence::Proven || words.is_empty());
    match named {
        Some((naming, chosen)) if naming >= Naming::Object || bind.is_none() => Some(chosen),
        _ => bind.or_else(|| last_before_end(case, &words, &failures, end.time_ns)),
    }
}

/// What failed last before the end, though nothing says that it mattered.
pub(in crate::verdict) fn hint<'a>(case: &Case<'a>, id: ProcessId) -> Option<Failure<'a>> {
    let end = case.end(id)?;
    let failures = candidates(case, id, end.time_ns);
    let silent = LastWords::of(case, &all_of_chain(case, id)).is_empty();
    let worth = |failure: &&Failure<'_>| {
        let near = end.time_ns.saturating_sub(failure.time_ns) <= SOON_NS;
        let sought = probes::is_custom(failure) || probes::is_search(failure, &failures);
        // Of what was only looked for, words would tell.
        let looked = probes::need_not_exist(failure) && !silent;
        near && !is_unanswered(failure) && !sought && !looked
    };
    failures.iter().rev().find(worth).cloned()
}

/// Failures of a process that could be causes, up to its end, in order of time.
fn candidates<'a>(case: &Case<'a>, id: ProcessId, end_ns: BootNs) -> Vec<Failure<'a>> {
    let mut all = Failure::all_of(case, id);
    all.retain(|failure| {
        failure.time_ns <= end_ns
            && failure.cause().is_some()
            && !probes::is_idle(failure)
            // Which folder of its search path had a library is for the loader to find out.
            && !(failure.is_lookup() && failure.path().is_some_and(probes::is_library))
            && !was_resolved(case, failure)
    });
    all.extend(unanswered_question(case, id, end_ns));
    all
}

/// The blamed process first, then those that passed blame on: a shell prints for its child.
fn all_of_chain(case: &Case<'_>, id: ProcessId) -> Vec<ProcessId> {
    let mut ids = vec![id];
    if case.in_chain(id) {
        ids.extend(case.chain.iter().rev().map(|link| link.id).filter(|it| *it != id));
    }
    ids
}

/// The failure that last words name most surely; of equals the latest.
fn named_by<'a>(
    words: &LastWords<'_>,
    failures: &[Failure<'a>],
    end_ns: BootNs,
) -> Option<(Naming, Chosen<'a>)> {
    let recent = failures.iter().filter(|it| end_ns.saturating_sub(it.time_ns) <= NAMED_NS);
    let named = recent.filter_map(|it| words.naming(it).map(|(naming, at)| (naming, at, it)));
    // A question may have had an answer that was not seen: its name alone does not say that it failed.
    let named = named.filter(|(naming, _, it)| !is_unanswered(it) || *naming != Naming::Object);
    let (naming, at, failure) =
        named.max_by_key(|(naming, _, failure)| (*naming, failure.time_ns))?;
    // The bare text of an error does not say which of several lookups it was, and words that go on to complain of
    // something else may mean that.
    let vague = naming == Naming::Error && is_one_of_several(failure, failures)
        || words.complain_after_naming(failure);
    let confidence = if vague { Confidence::Likely } else { Confidence::Proven };
    Some((naming, Chosen { failure: failure.clone(), confidence, why: Why::Words(at) }))
}

/// The last failed bind or listen that nothing made good afterwards.
fn never_bound<'a>(
    case: &Case<'a>,
    failures: &[Failure<'a>],
    end_ns: BootNs,
    failed: bool,
) -> Option<Chosen<'a>> {
    let limit_ns = if failed { GIVE_UP_NS } else { QUIET_NS };
    let last = failures.iter().rev().find(|failure| failure.told_by == Told::Bind)?;
    let gave_up = end_ns.saturating_sub(last.time_ns) <= limit_ns;
    // It may have made do with another port: then only its words can say that this one mattered.
    let sure = !listened_later(case, last);
    let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
    (gave_up && !bound_later(case, last)).then(|| Chosen {
        failure: last.clone(),
        confidence,
        why: Why::NeverSucceeded,
    })
}

/// The process got some socket to listen after that.
fn listened_later(case: &Case<'_>, failure: &Failure<'_>) -> bool {
    let mut later = case.events(failure.process.id).filter(|(at, _)| *at > failure.entries[0]);
    later.any(|(_, event)| match &event.what {
        What::Bind(bind) => bind.listen && bind.errno.is_none(),
        _ => false,
    })
}

/// Some process of the life bound the same address, or the same socket another one, after that.
fn bound_later(case: &Case<'_>, failure: &Failure<'_>) -> bool {
    let at = failure.entries[0];
    let What::Bind(failed) = &case.event(at).what else { return false };
    case.timeline.entries.iter().skip(at + 1).any(|event| match &event.what {
        What::Bind(bind) if bind.errno.is_none() && bind.listen == failed.listen => {
            let same_socket = event.process.id == failure.process.id && bind.fd == failed.fd;
            let same_port = wanted_port(bind) == wanted_port(failed) && wanted_port(bind) != 0;
            let same_address = bind.address == failed.address && bind.family == failed.family;
            bind.protocol == failed.protocol
                && (same_port || same_address || (same_socket && !bind.listen))
        }
        _ => false,
    })
}

fn wanted_port(bind: &crate::event::Bind) -> u16 {
    match &bind.address {
        crate::event::Address::Inet(inet) => inet.port(),
        _ => bind.port,
    }
}

/// The last failure, where the end followed at once. Refusals and exhaustion count before lookups,
/// which go on while a program reports why it ends.
fn last_before_end<'a>(
    case: &Case<'_>,
    words: &LastWords<'_>,
    failures: &[Failure<'a>],
    end_ns: BootNs,
) -> Option<Chosen<'a>> {
    let near = |failure: &&Failure<'_>| {
        let handled = failure.told_by == Told::Bind && bound_later(case, failure);
        let asked = is_unanswered(failure) && failure.cause().is_none();
        end_ns.saturating_sub(failure.time_ns) <= SOON_NS && !handled && !asked
    };
    let strong = failures
        .iter()
        .rev()
        .filter(near)
        .find(|failure| !failure.is_lookup() && !words.speak_against(failure));
    let lookup = || {
        let last = failures.iter().rev().filter(near).find(|failure| failure.is_lookup())?;
        let sought = probes::need_not_exist(last) || probes::is_search(last, failures);
        (!sought && !speak_against_lookup(case, words, last)).then_some(last)
    };
    // Answers can be read in ways that are not watched: words that do not speak of names outweigh silence.
    let unanswered = |again: bool, within_ns: u64| {
        failures.iter().rev().filter(|_| words.is_empty()).find(|failure| {
            let asked_again = failure.entries.len() > 1;
            let soon = end_ns.saturating_sub(failure.time_ns) <= within_ns;
            is_unanswered(failure) && failure.cause().is_none() && soon && (asked_again || !again)
        })
    };
    let failure = strong
        .or_else(|| unanswered(false, SOON_NS))
        .or_else(lookup)
        .or_else(|| unanswered(true, UNANSWERED_NS))?;
    let why = Why::EndFollowed(end_ns.saturating_sub(failure.time_ns));
    Some(Chosen { failure: failure.clone(), confidence: Confidence::Likely, why })
}

/// A program that spoke after a lookup without naming it did not end because of it, unless another process had
/// failed to make what it looked for.
fn speak_against_lookup(case: &Case<'_>, words: &LastWords<'_>, failure: &Failure<'_>) -> bool {
    words.speak_against(failure) && maker::maker(case, failure).is_none()
}

/// Another path was looked for in vain as well.
fn is_one_of_several(failure: &Failure<'_>, failures: &[Failure<'_>]) -> bool {
    let other = |it: &&Failure<'_>| it.is_lookup() && it.path() != failure.path();
    failure.is_lookup() && failures.iter().any(|it| other(&it))
}

/// A name that a later answer resolved.
fn was_resolved(case: &Case<'_>, failure: &Failure<'_>) -> bool {
    let Subject::Question { name, .. } = &failure.subject else { return false };
    case.events(failure.process.id).any(|(index, event)| match &event.what {
        What::Call(call) => match &call.object {
            Object::Dns(dns) => {
                let found = dns.answer.is_some_and(|answer| answer.code == 0 && answer.records > 0);
                // A search list asks for the name with and without suffixes.
                let related = name.as_bytes().starts_with(dns.question.as_bytes())
                    || dns.question.as_bytes().starts_with(name.as_bytes());
                index > failure.entries[0] && found && related
            }
            _ => false,
        },
        _ => false,
    })
}

fn is_unanswered(failure: &Failure<'_>) -> bool {
    matches!(failure.subject, Subject::Question { answer: None, .. })
}

/// The last question that was never answered; where it was asked again, with both entries.
fn unanswered_question<'a>(case: &Case<'a>, id: ProcessId, end_ns: BootNs) -> Option<Failure<'a>> {
    let messages: Vec<Failure<'a>> = Failure::all_of(case, id)
        .into_iter()
        .filter(|it| matches!(it.subject, Subject::Question { .. }) && it.time_ns <= end_ns)
        .collect();
    let answered: HashSet<_> =
        messages.iter().filter(|it| !is_unanswered(it)).map(question).collect();
    let last =
        messages.iter().rev().find(|it| is_unanswered(it) && !answered.contains(&question(it)))?;
    let first = messages.iter().find(|it| question(it) == question(last))?;
    let again = last.time_ns.saturating_sub(first.time_ns) >= ASKED_AGAIN_NS;
    last.cause().is_none().then(|| {
        let mut failure = last.clone();
        if again {
            failure.entries.push(first.entries[0]);
        }
        failure
    })
}

fn question<'a>(failure: &Failure<'a>) -> &'a [u8] {
    match &failure.subject {
        Subject::Question { name, .. } => name.as_bytes(),
        Subject::Path(_) | Subject::Address { .. } | Subject::None => &[],
    }
}

impl Chosen<'_> {
    /// The cause that it is.
    pub fn cause(&self) -> Option<Cause> {
        match self.failure.cause() {
            None if is_unanswered(&self.failure) => Some(Cause::NameResolutionFailed),
            cause => cause,
        }
    }
}
