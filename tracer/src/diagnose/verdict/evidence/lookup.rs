//! One lookup of a name out of its many DNS messages: a resolver asks for A and AAAA, again after a time-out, and for the
//! name with each domain of a search list (resolv.conf(5)). It must not decide that the lookup mattered.

use std::borrow::Cow;

use crate::{capture::event::ProcessId, diagnose::verdict::death::Death, linux::text::Text};

use super::failure::{Failure, Subject};

/// DNS answers NXDOMAIN: no such name.
const NO_SUCH_NAME: u8 = 3;
/// A question asked again this much later was not answered before.
const ASKED_AGAIN_NS: u64 = 900_000_000;

/// All messages about one name as the program asked for it.
pub(in crate::diagnose::verdict) struct Lookup<'a> {
    pub candidates: Vec<Candidate<'a>>,
}

/// The name with one domain of the search list, or as it is.
pub(in crate::diagnose::verdict) struct Candidate<'a> {
    pub name: &'a Text,
    /// Questions, answers and refusals, by time.
    pub messages: Vec<Failure<'a>>,
}

impl<'a> Candidate<'a> {
    /// Code of the answer that speaks last for it; `None` where it had none.
    pub fn code(&self) -> Option<u8> {
        let codes = || self.messages.iter().filter_map(code);
        // Of A and AAAA one may fail and one be empty.
        codes().rfind(|code| *code != 0).or_else(|| codes().next_back())
    }

    fn is_resolved(&self) -> bool {
        let mut answers = self.messages.iter().filter_map(Failure::answer);
        answers.any(|answer| answer.code == 0 && answer.records > 0)
    }
}

fn code(message: &Failure<'_>) -> Option<u8> {
    message.answer().map(|answer| answer.code)
}

/// The lookups of a process, by time of their first message.
pub(in crate::diagnose::verdict) fn all<'a>(
    death: &Death<'_>,
    messages: Vec<Failure<'a>>,
) -> Vec<Lookup<'a>> {
    let mut lookups: Vec<Lookup<'a>> = Vec::new();
    for message in messages {
        let Subject::Question { name: Cow::Borrowed(name), .. } = message.subject else { continue };
        let of_same = |it: &&mut Lookup<'a>| {
            it.candidates.iter().any(|other| are_of_one_lookup(death, other.name, name))
        };
        let lookup = match lookups.iter_mut().rev().find(of_same) {
            Some(lookup) => lookup,
            None => {
                lookups.push(Lookup { candidates: Vec::new() });
                let Some(lookup) = lookups.last_mut() else { continue };
                lookup
            }
        };
        match lookup.candidates.iter_mut().find(|candidate| candidate.name == name) {
            Some(candidate) => candidate.messages.push(message),
            None => lookup.candidates.push(Candidate { name, messages: vec![message] }),
        }
    }
    lookups
}

/// Those of one process.
pub(in crate::diagnose::verdict) fn of<'a>(death: &Death<'a>, id: ProcessId) -> Vec<Lookup<'a>> {
    let messages = Failure::all_of(death, id).into_iter();
    all(death, messages.filter(|it| matches!(it.subject, Subject::Question { .. })).collect())
}

impl<'a> Lookup<'a> {
    pub fn is_resolved(&self) -> bool {
        self.candidates.iter().any(Candidate::is_resolved)
    }

    /// The candidate that is the name as it was asked for: all others continue it.
    fn as_asked(&self) -> Option<&Candidate<'a>> {
        let shortest = self.candidates.iter().min_by_key(|it| it.name.as_bytes().len())?;
        let all_continue = self
            .candidates
            .iter()
            .all(|it| it.name == shortest.name || rest_after(it.name, shortest.name).is_some());
        all_continue.then_some(shortest)
    }

    /// The name as the program asked for it, and whether the name servers were seen to be asked for it as it is.
    pub fn asked(&self, death: &Death<'_>) -> (Cow<'a, Text>, bool) {
        let Some(first) = self.candidates.first() else {
            return (Cow::Owned(Text::default()), false);
        };
        if let Some(candidate) = self.as_asked() {
            let name = candidate.name;
            let cut = search_domain(death, name).map(|rest| without(name, rest));
            return match cut {
                // The name as it is was asked last, or is what the others made of it that are forgotten.
                Some(short) if self.candidates.len() == 1 && was_forgotten(death, candidate) => {
                    (Cow::Owned(short), false)
                }
                _ => (Cow::Borrowed(name), true),
            };
        }
        let common = self.candidates.iter().skip(1).fold(first.name.clone(), |common, it| {
            Text(common_labels(common.as_bytes(), it.name.as_bytes()).to_vec())
        });
        (Cow::Owned(common), false)
    }

    /// The message that says why the lookup came to nothing, with all the others behind it; `None` if it was
    /// answered, or is still being waited for in its first second.
    pub fn failure(&self, death: &Death<'_>) -> Option<Failure<'a>> {
        if self.is_resolved() {
            return None;
        }
        let messages = || self.candidates.iter().flat_map(|it| &it.messages);
        let refused = messages().filter(|it| code(it).is_none() && it.cause().is_some());
        let failing =
            messages().filter(|it| code(it).is_some_and(|it| it != 0 && it != NO_SUCH_NAME));
        let absent = messages().filter(|it| code(it) == Some(NO_SUCH_NAME));
        let waiting = self.candidates.iter().filter(|it| it.code().is_none());
        let waiting = waiting.flat_map(|it| &it.messages);
        let by_time = |it: &&Failure<'a>| it.time_ns;
        let unanswered = || {
            let last = waiting.clone().max_by_key(by_time)?;
            let first = waiting.clone().min_by_key(by_time)?;
            let again = last.time_ns.saturating_sub(first.time_ns) >= ASKED_AGAIN_NS;
            let mut failure = last.clone();
            if again {
                failure.entries.push(first.entries[0]);
            }
            Some(failure)
        };
        let answered = |failure: &Failure<'a>| {
            let mut failure = failure.clone();
            let others = messages().flat_map(|it| it.entries.clone());
            let others: Vec<usize> =
                others.filter(|entry| !failure.entries.contains(entry)).collect();
            failure.entries.extend(others);
            failure
        };
        let as_asked = self.as_asked().map(|it| it.name);
        let decisive =
            |it: &&Failure<'a>| (as_asked.is_some_and(|name| is_about(it, name)), it.time_ns);
        let told =
            refused.max_by_key(by_time).or_else(|| failing.max_by_key(by_time)).map(answered);
        let mut failure =
            told.or_else(unanswered).or_else(|| absent.max_by_key(decisive).map(answered))?;
        // When it came to nothing is known by its last message.
        failure.time_ns = messages().map(|it| it.time_ns).max().unwrap_or(failure.time_ns);
        if let Subject::Question { name, .. } = &mut failure.subject {
            *name = self.asked(death).0;
        }
        Some(failure)
    }
}

/// The recorder no longer has all calls of who asked.
fn was_forgotten(death: &Death<'_>, candidate: &Candidate<'_>) -> bool {
    candidate.messages.first().is_some_and(|it| death.forgot_calls(it.process.id))
}

fn is_about(message: &Failure<'_>, asked: &Text) -> bool {
    matches!(&message.subject, Subject::Question { name, .. } if **name == *asked)
}

fn are_of_one_lookup(death: &Death<'_>, one: &Text, other: &Text) -> bool {
    if one == other || rest_after(one, other).is_some() || rest_after(other, one).is_some() {
        return true;
    }
    let common = common_labels(one.as_bytes(), other.as_bytes()).len();
    let rest = |name: &'_ Text| name.as_bytes().get(common + 1..).map(<[u8]>::to_vec);
    let (Some(one), Some(other)) = (rest(one), rest(other)) else { return false };
    common > 0 && is_search_domain(death, &one) && is_search_domain(death, &other)
}

/// What follows `name.` in a longer name.
fn rest_after<'b>(longer: &'b Text, name: &Text) -> Option<&'b [u8]> {
    longer.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b".").filter(|_| !name.is_empty())
}

/// The beginning that two names share, in whole labels.
fn common_labels<'b>(one: &'b [u8], other: &[u8]) -> &'b [u8] {
    let mut end = 0;
    for (label, theirs) in one.split(|it| *it == b'.').zip(other.split(|it| *it == b'.')) {
        if label != theirs {
            break;
        }
        end += label.len() + usize::from(end > 0);
    }
    &one[..end]
}

/// A domain of the life's search list; where that was not looked up, one that Kubernetes makes.
fn is_search_domain(death: &Death<'_>, domain: &[u8]) -> bool {
    let known = &death.facts.search_domains;
    if !known.is_empty() {
        return known.iter().any(|it| it.as_bytes() == domain);
    }
    let first = domain.iter().position(|it| *it == b'.').map(|dot| &domain[dot + 1..]);
    domain == b"cluster.local"
        || domain.starts_with(b"svc.")
        || first.is_some_and(|it| it.starts_with(b"svc."))
}

/// The search domain that a name ends with.
fn search_domain<'b>(death: &Death<'_>, name: &'b Text) -> Option<&'b [u8]> {
    let bytes = name.as_bytes();
    let dots = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.map(|(dot, _)| &bytes[dot + 1..]).find(|rest| is_search_domain(death, rest))
}

fn without(name: &Text, rest: &[u8]) -> Text {
    let end = name.as_bytes().len().saturating_sub(rest.len() + 1);
    Text(name.as_bytes()[..end].to_vec())
}
