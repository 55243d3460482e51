//! Which failed call of a process may be why it ended. It must not know what the call means.

use std::borrow::Cow;

use crate::{
    capture::event::{Address, Bind, BootNs, ProcessId},
    linux::{syscall, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence,
    death::{Death, End},
    evidence::{
        answers, attempts,
        failure::{Failure, Subject, Told},
        lane, lookup, maker,
        pace::{self, SOON_NS},
        probes, programs, undone,
    },
    words::{LastWords, naming::Naming},
};

/// A server that cannot bind gives up within this time: some try again for a while.
const GIVE_UP_NS: u64 = 30_000_000_000;
/// An end with status 0 this soon after a failed bind.
const QUIET_NS: u64 = 1_000_000_000;
/// Resolvers wait 5 s for an answer (resolv.conf(5)); some time passes until the program has given up.
const UNANSWERED_NS: u64 = 7_000_000_000;
/// What a program still complains of when it ends, it met within this time before.
const NAMED_NS: u64 = 10_000_000_000;

/// A failed call, how surely it is the cause, and why.
#[derive(Clone, Debug)]
pub(in crate::diagnose::verdict) struct Chosen<'a> {
    pub failure: Failure<'a>,
    pub confidence: Confidence,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) enum Why {
    /// Last words name it; the entry that holds them.
    Words(usize),
    /// No later success of the same is recorded.
    NeverSucceeded,
    /// The end came so many nanoseconds later.
    EndFollowed(u64),
}

/// The failed call that may be the cause of a process's end, by its own events and the words of `voices`.
pub(in crate::diagnose::verdict) fn cause<'a>(
    death: &Death<'a>,
    id: ProcessId,
    voices: &[ProcessId],
) -> Option<Chosen<'a>> {
    let end = death.end(id)?;
    let all = candidates(death, id, end.time_ns);
    let failures: Vec<Failure<'a>> =
        all.iter().filter(|failure| !probes::is_idle(failure)).cloned().collect();
    let words = LastWords::of(death, voices);
    let bind = never_bound(death, &words, &failures, &end);
    if !end.failed() {
        // Some end well although they said why they cannot go on.
        let told = || {
            let (naming, chosen) = named_by(death, &words, &failures, end.time_ns)?;
            let fatal = naming >= Naming::Error && words.end_fatally();
            fatal.then_some(Chosen { confidence: Confidence::Likely, ..chosen })
        };
        return bind.or_else(told);
    }
    // What the program went on without, and then ended of something else.
    let bind = bind.filter(|it| !words.end_by_another(&it.failure) && !words.wave_off(&it.failure));
    match named_by(death, &words, &all, end.time_ns) {
        Some((naming, chosen)) if naming >= Naming::Object || bind.is_none() => Some(chosen),
        _ => bind.or_else(|| last_before_end(death, &words, &failures, end.time_ns)),
    }
}

/// What failed last before the end, though nothing says that it mattered.
pub(in crate::diagnose::verdict) fn hint<'a>(
    death: &Death<'a>,
    id: ProcessId,
    voices: &[ProcessId],
) -> Option<Failure<'a>> {
    let end = death.end(id)?;
    let mut failures = candidates(death, id, end.time_ns);
    failures.retain(|failure| !probes::is_idle(failure));
    let silent = LastWords::of(death, voices).is_empty();
    let worth = |failure: &&Failure<'_>| {
        let near = end.time_ns.saturating_sub(failure.time_ns) <= SOON_NS;
        let sought = probes::is_custom(failure) || probes::is_search(failure, &failures);
        // Of what was only looked for, words would tell.
        let looked = probes::need_not_exist(failure) && !silent;
        near && !is_unanswered(failure)
            && !sought
            && !looked
            && !attempts::is_attempt(failure)
            && !undone::made_good(failure)
    };
    failures.iter().rev().find(worth).cloned()
}

/// Failures of a process that could be causes, up to its end, in order of time.
fn candidates<'a>(death: &Death<'a>, id: ProcessId, end_ns: BootNs) -> Vec<Failure<'a>> {
    let mut all = Failure::all_of(death, id);
    all.retain(|failure| failure.time_ns <= end_ns);
    let (messages, mut all): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|it| matches!(it.subject, Subject::Question { .. }));
    all.retain(|failure| {
        failure.cause().is_some()
            // What it was to do is not known.
            && failure.call != syscall::UNKNOWN
            && !attempts::asks_only(failure)
            // Which folder of its search path had a library is for the loader to find out.
            && !(failure.is_lookup() && failure.path().is_some_and(probes::is_library))
    });
    // A name is asked for in many messages, and one of them says what came of it.
    all.extend(lookup::all(death, messages).iter().filter_map(|it| it.failure(death)));
    all.sort_by_key(|failure| failure.time_ns);
    all
}

/// The failure that last words name most surely; of equals the latest.
fn named_by<'a>(
    death: &Death<'_>,
    words: &LastWords<'_>,
    failures: &[Failure<'a>],
    end_ns: BootNs,
) -> Option<(Naming, Chosen<'a>)> {
    let recent = failures.iter().filter(|it| end_ns.saturating_sub(it.time_ns) <= NAMED_NS);
    let named = recent.filter_map(|it| words.naming(it).map(|(naming, at)| (naming, at, it)));
    // A question may have had an answer that was not seen: its name alone does not say that it failed.
    let bare = |naming: Naming| matches!(naming, Naming::Object | Naming::Mention);
    let named = named.filter(|(naming, _, it)| !is_unanswered(it) || !bare(*naming));
    // What programs only try, or fail at every start, must be named for itself, and be the last complaint.
    let named = named.filter(|(naming, _, it)| {
        let tried = probes::is_idle(it) || attempts::is_attempt(it) || undone::made_good(it);
        if tried && words.complain_of_another_after(it) {
            return false;
        }
        // Where no other memory was refused, a lack of memory is that of huge pages.
        let alone = attempts::wants_huge_pages(it) && !is_one_of_several(it, failures);
        *naming == Naming::Both || !tried || alone
    });
    // A script that says more goes on.
    let named = named.filter(|(_, _, it)| {
        let shell = death.is_shell(it.process.id) && it.told_by == Told::Call;
        !(shell && words.go_on_after_naming(it))
    });
    // What it went on after, and then said more of another kind, is not why it ended.
    let named = named.filter(|(_, _, it)| !was_survived(death, words, (it, failures), end_ns));
    // Of a file that was there, names with an ending more were tried as well.
    let named = named.filter(|(naming, _, it)| {
        *naming == Naming::Both || !is_variant_of_argument(death, words, it, failures)
    });
    // The bare text of an error may be meant of any lookup: rather of none that is made for a try.
    let named = named.filter(|(naming, _, it)| {
        let sought = probes::need_not_exist(it) || probes::is_search(it, failures);
        *naming != Naming::Error || !sought || !is_one_of_several(it, failures)
    });
    // The next address of a name was reached, and then something else was complained of.
    let named = named
        .filter(|(_, _, it)| !(it.after.same_port_reached && words.complain_of_another_after(it)));
    let named = named.filter(|(naming, _, it)| {
        *naming != Naming::Object || !answers::must_be_named_by_error(it)
    });
    let (naming, at, failure) =
        named.max_by_key(|(naming, _, failure)| (*naming, failure.time_ns))?;
    // The bare text of an error does not say which of several failures it was, and words that go on to complain of
    // something else may mean that.
    let ambiguous = naming == Naming::Error
        && (is_one_of_several(failure, failures)
            || attempts::is_attempt(failure)
            || lane::overran(death, failure));
    let after_ns = end_ns.saturating_sub(failure.time_ns);
    let (id, entry) = (failure.process.id, failure.entries[0]);
    let went_on = after_ns > SOON_NS && pace::went_on(death, id, entry).is_some();
    let undone = went_on || undone::made_good(failure) || undone::worked_on(failure);
    // Something that is not recorded may have come between.
    let late = after_ns > pace::LATE_NS;
    // A name that no message holds was inferred.
    let inferred = matches!(&failure.subject, Subject::Question { name: Cow::Owned(_), .. });
    let vague = ambiguous
        || inferred
        || late
        || naming == Naming::Mention
        || undone
        || words.complain_after_naming(failure)
        || !death.saw_all_of(failure.process.id);
    let confidence = if vague { Confidence::Likely } else { Confidence::Proven };
    let mut blamed = failure.clone();
    if let Some(refused) = maker::refused_before(failure, failures) {
        blamed = refused.clone();
        blamed.entries.extend(&failure.entries);
    }
    Some((naming, Chosen { failure: blamed, confidence, why: Why::Words(at) }))
}

/// The process said something of another kind after that failed call, and went on: it reached a peer, was refused something
/// else once it had told of the first, or ran on for a while.
fn was_survived(
    death: &Death<'_>,
    words: &LastWords<'_>,
    (failure, failures): (&Failure<'_>, &[Failure<'_>]),
    end_ns: BootNs,
) -> bool {
    if failure.told_by != Told::Call || !words.go_on_to_another(failure) {
        return false;
    }
    let (id, at) = (failure.process.id, failure.entries[0]);
    let refused_later = || {
        let told_at = words.naming(failure).map(|(_, told_at)| told_at);
        failures.iter().any(|it| {
            it.process.id == id
                && told_at.is_some_and(|told_at| it.entries[0] > told_at)
                && !it.is_lookup()
                && !it.is_dns()
                && !probes::is_idle(it)
                && !attempts::is_attempt(it)
                && (it.call != failure.call || it.errno != failure.errno)
        })
    };
    undone::reached_a_peer(failure)
        || refused_later()
        || !pace::ends_soon(death, id, (failure.time_ns, at), end_ns)
}

/// The last failed bind or listen that nothing made good afterwards, and after which the process did not go on with
/// other sockets.
fn never_bound<'a>(
    death: &Death<'a>,
    words: &LastWords<'_>,
    failures: &[Failure<'a>],
    end: &End<'_>,
) -> Option<Chosen<'a>> {
    let limit_ns = if end.failed() { GIVE_UP_NS } else { QUIET_NS };
    let last = failures.iter().rev().find(|failure| failure.told_by == Told::Bind)?;
    let (id, at) = (last.process.id, last.entries[0]);
    let after_ns = end.time_ns.saturating_sub(last.time_ns);
    let soon = pace::ends_soon(death, id, (last.time_ns, at), end.time_ns);
    let handled =
        bound_later(death, last) || listened_later(death, last) || has_it_by_ipv6(death, last);
    if after_ns > limit_ns || handled {
        return None;
    }
    let served_before =
        death.events(id).any(|(index, event)| index < at && event.bind().is_some_and(pace::serves));
    let served_after = pace::went_on(death, id, at).is_some();
    let other_words = words.since(last.time_ns) && words.naming(last).is_none();
    // It ran on with what it had: only its words can say that this one mattered.
    if !soon && (served_before || served_after || other_words) {
        return None;
    }
    let failed_later = failures.iter().any(|it| {
        it.entries[0] > at && !it.is_lookup() && !attempts::is_attempt(it) && it.process.id == id
    });
    let sure = end.failed()
        && !served_before
        && !served_after
        && !other_words
        && !failed_later
        && !death.is_unheard(id)
        && death.saw_all_of(id);
    let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
    Some(Chosen { failure: last.clone(), confidence, why: Why::NeverSucceeded })
}

/// The process got some socket of the same protocol to listen after that, or has a UDP port that it chose.
fn listened_later(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let later = death.events(failure.process.id).filter(|(at, _)| *at > failure.entries[0]);
    let mut binds = later.filter_map(|(_, event)| event.bind());
    binds.any(|bind| Some(bind.protocol) == failure.protocol && pace::serves(bind))
}

/// The process itself has the same port by a socket of IPv6 that takes IPv4, too (ipv6(7): IPV6_V6ONLY): one of the two is
/// enough.
fn has_it_by_ipv6(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let Some(failed) = death.event(failure.entries[0]).bind() else { return false };
    let by_ipv6 = |bind: &Bind| {
        let any = matches!(&bind.address, Address::Inet(inet) if inet.is_ipv6() && inet.ip().is_unspecified());
        any && !bind.v6_only && bind.errno.is_none() && !bind.listen
    };
    let any_ipv4 = matches!(&failed.address, Address::Inet(inet) if inet.is_ipv4() && inet.ip().is_unspecified());
    let before = death.events(failure.process.id).filter(|(at, _)| *at < failure.entries[0]);
    any_ipv4
        && wanted_port(failed) != 0
        && before.filter_map(|(_, event)| event.bind()).any(|bind| {
            by_ipv6(bind)
                && bind.protocol == failed.protocol
                && wanted_port(bind) == wanted_port(failed)
        })
}

/// Some process of the life bound the same address, or the same socket another one, after that.
fn bound_later(death: &Death<'_>, failure: &Failure<'_>) -> bool {
    let at = failure.entries[0];
    let Some(failed) = death.event(at).bind() else { return false };
    let later = death.timeline.entries.iter().skip(at + 1);
    let mut binds = later.filter_map(|event| Some((event.process.id, event.bind()?)));
    binds.any(|(id, bind)| {
        let same_socket = id == failure.process.id && bind.fd == failed.fd && !bind.listen;
        let same_port = wanted_port(bind) == wanted_port(failed) && wanted_port(bind) != 0;
        let same_address = bind.address == failed.address && bind.family == failed.family;
        bind.errno.is_none()
            && bind.listen == failed.listen
            && bind.protocol == failed.protocol
            && (same_port || same_address || same_socket)
    })
}

fn wanted_port(bind: &Bind) -> u16 {
    bind.address.inet().map_or(bind.port, |inet| inet.port())
}

/// The last failure, where the end followed soon and nothing shows that the process went on. Refusals and exhaustion
/// count before lookups, which go on while a program reports why it ends.
fn last_before_end<'a>(
    death: &Death<'_>,
    words: &LastWords<'_>,
    failures: &[Failure<'a>],
    end_ns: BootNs,
) -> Option<Chosen<'a>> {
    let near = |failure: &&Failure<'_>| {
        let (id, at) = (failure.process.id, failure.entries[0]);
        let handled = failure.told_by == Told::Bind && bound_later(death, failure);
        let asked = is_unanswered(failure) && failure.cause().is_none();
        pace::ends_soon(death, id, (failure.time_ns, at), end_ns)
            && pace::went_on(death, id, at).is_none()
            && !handled
            && !asked
            && !attempts::is_attempt(failure)
            && !undone::made_good(failure)
            && !undone::worked_on(failure)
            && !was_survived(death, words, (failure, failures), end_ns)
    };
    let strong = failures
        .iter()
        .rev()
        .filter(near)
        .filter(|failure| !failure.is_lookup() && answers::may_end_in_silence(death, failure))
        .filter(|failure| words.is_empty() || !undone::went_to_a_file(failure))
        .find(|failure| !words.speak_against(failure));
    let lookup = || {
        let mut lookups = failures.iter().rev().filter(near).filter(|failure| failure.is_lookup());
        let told = lookups.clone().find(|it| is_asked_for(death, words, it));
        let last = told.or_else(|| lookups.next())?;
        // A program that is run is looked for along PATH.
        let runs = last.told_by == Told::Exec;
        let sought = !runs && (probes::need_not_exist(last) || probes::is_search(last, failures));
        (!sought && !speak_against_lookup(death, words, last)).then_some(last)
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
fn speak_against_lookup(death: &Death<'_>, words: &LastWords<'_>, failure: &Failure<'_>) -> bool {
    // What a program that has complained looks for belongs to its end.
    if words.complained_within(failure, SOON_NS) {
        return true;
    }
    if death.is_shell(failure.process.id) && words.go_on_after_naming(failure) {
        return true;
    }
    !is_asked_for(death, words, failure)
        && words.speak_against(failure)
        && maker::maker(death, failure, |id| id == death.main).is_none()
}

/// The program was told to use that file, and complains of no other.
fn is_asked_for(death: &Death<'_>, words: &LastWords<'_>, failure: &Failure<'_>) -> bool {
    programs::opens(failure.call)
        && failure.path().is_some_and(|path| death.is_argument(failure.process.id, path))
        && words.complain_of_no_other(failure)
}

/// Another failure had the same error, or another path was looked for in vain as well.
fn is_one_of_several(failure: &Failure<'_>, failures: &[Failure<'_>]) -> bool {
    let is_other = |it: &Failure<'_>| match failure.path() {
        Some(path) => it.path() != Some(path),
        None => it.call != failure.call || it.address() != failure.address(),
    };
    let alike = |it: &&Failure<'_>| {
        let same = if failure.is_lookup() { it.is_lookup() } else { it.errno == failure.errno };
        same && is_other(it) && it.is_dns() == failure.is_dns() && !probes::is_idle(it)
    };
    failures.iter().any(|it| alike(&it))
}

/// `app.war.zip`, where the program was told to use `app.war`, speaks of that, too, and had it.
fn is_variant_of_argument(
    death: &Death<'_>,
    words: &LastWords<'_>,
    failure: &Failure<'_>,
    failures: &[Failure<'_>],
) -> bool {
    let Some(path) = failure.path().filter(|_| failure.is_lookup()) else { return false };
    let Some(dot) = path.as_bytes().iter().rposition(|byte| *byte == b'.') else { return false };
    let without = &path.as_bytes()[..dot];
    let told = death
        .last_exec(failure.process.id)
        .is_some_and(|(_, _, exec)| exec.args.iter().skip(1).any(|it| it.as_bytes() == without));
    let spoken_of = || words.mention_word(&Text(without.to_vec())).is_some();
    told && spoken_of()
        && !failures.iter().any(|it| it.path().is_some_and(|it| it.as_bytes() == without))
}

fn is_unanswered(failure: &Failure<'_>) -> bool {
    matches!(failure.subject, Subject::Question { answer: None, .. })
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
