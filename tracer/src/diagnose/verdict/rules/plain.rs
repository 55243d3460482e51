//! Ends that nothing recorded explains further, and what all verdicts on a failed call share. It must not
//! guess.

use std::collections::HashSet;

use crate::capture::event::ProcessId;

use crate::diagnose::verdict::{
    Cause, Confidence, Policy, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::select::{self, Chosen, Why},
    rules::fault,
    wording,
    words::LastWords,
};

/// Status 0 of a life that may end: no crash.
pub(in crate::diagnose::verdict) fn completed(case: &Case<'_>) -> Option<Verdict> {
    let end = case.end(case.main)?;
    let may_end = match case.terms.policy {
        Policy::Always => false,
        Policy::OnFailure | Policy::Never => true,
    };
    (may_end && !end.failed()).then(|| {
        let name = case.name(case.main);
        Draft::new(Cause::None, Confidence::None, case.main)
            .status(end.status)
            .summary(format!("{name} completed with status 0, as it may."))
            .evidence(format!("{name} exited with status 0"), [end.index])
            .next_step("Nothing is wrong.")
            .finish()
    })
}

/// Status 0 of a life that should run on.
pub(in crate::diagnose::verdict) fn exited_by_itself(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| !end.failed())?;
    let name = case.name(id);
    let mut draft = Draft::new(Cause::ExitedByItself, Confidence::Proven, id)
        .status(end.status)
        .evidence(format!("{name} exited with status 0, no stop signal came before"), [end.index]);
    let mut child = String::new();
    let failed_child = last_failed_child(case);
    if let Some((failed, entries)) = failed_child.clone() {
        child = format!(", after its child {failed}");
        draft = draft.evidence(format!("its child {failed}"), entries);
    }
    if let Some((background, at)) = background(case, &end).filter(|_| failed_child.is_none()) {
        let name_of_it = case.name(background);
        let pid = case.process(background).map(|it| it.agent_pid.unwrap_or(it.id.pid));
        return Some(
            draft
                .detail("wrote_nothing", case.wrote_nothing() == Some(true))
                .known("background_pid", pid)
                .evidence(format!("{name_of_it}, which it had started, still ran then"), [at])
                .summary(format!(
                    "{name} went to the background: it exited with status 0 while {name_of_it}, which it had started, \
                     ran on; a container ends with its main process."
                ))
                .next_step(
                    "Make the main process stay in the foreground (`daemon off`, --nodaemon, -F, -D: no daemon mode).",
                )
                .finish(),
        );
    }
    let words = case.last_words();
    if let Some((quote, at)) = words.quote().filter(|_| words.end_fatally()) {
        return Some(
            draft
                .detail("wrote_nothing", false)
                .detail("last_words", quote.as_str())
                .evidence(format!("last words: {quote}"), [at])
                .summary(format!(
                    "{name} exited with status 0{child} after it had said that it cannot go on: \"{quote}\"."
                ))
                .next_step(
                    "Start from its last words; its status 0 says that all was well, so that nothing but a policy Always starts it again.",
                )
                .finish(),
        );
    }
    let silent = case.wrote_nothing() == Some(true);
    let wrote = if silent { " and without having written anything" } else { "" };
    Some(
        draft
            .detail("wrote_nothing", silent)
            .summary(format!(
                "{name} exited by itself with status 0{child}{wrote}: nobody asked it to stop, it had nothing more to do."
            ))
            .next_step(
                "Make the main process stay in the foreground (no daemon mode), or run it as a Job if it is meant to end.",
            )
            .finish(),
    )
}

/// A descendant of the same program that outlived it, and an entry that tells of it: a daemon forks, maybe twice, and
/// the one that was started exits.
fn background(case: &Case<'_>, end: &End<'_>) -> Option<(ProcessId, usize)> {
    let id = case.blamed();
    let mut open = vec![id];
    let mut seen = HashSet::from([id]);
    let mut found = None;
    while let Some(parent) = open.pop() {
        for child in case.tree.children(parent).iter().filter(|it| seen.insert(**it)) {
            open.push(*child);
            let outlived = case.end(*child).is_none_or(|it| it.index > end.index);
            let at = case.tree.entries_of(*child).first().filter(|at| **at < end.index);
            if let Some(at) = at.filter(|_| outlived) {
                found = found.max(Some((*at, *child)));
            }
        }
    }
    found.map(|(at, child)| (child, at))
}

/// A child that failed although its parent ended well, the last of them.
fn last_failed_child(case: &Case<'_>) -> Option<(String, Vec<usize>)> {
    let children = case.tree.children(case.blamed()).iter();
    let last = case.end(case.blamed())?.index;
    let ends = children.filter_map(|id| Some((*id, case.end(*id)?)));
    let ends = ends.filter(|(_, end)| end.index < last);
    let (id, end) = ends.max_by_key(|(_, end)| end.index).filter(|(_, end)| end.failed())?;
    Some(end_of_child(case, id, &end))
}

/// How a child ended, and what it said before, unless nobody wanted to know.
fn end_of_child(case: &Case<'_>, id: ProcessId, end: &End<'_>) -> (String, Vec<usize>) {
    let text = format!("{} {}", case.name(id), wording::ended(end.status));
    let words = LastWords::of(case, &[id]);
    match words.quote().filter(|_| !words.are_discarded()) {
        Some((quote, at)) => (format!("{text}, its last words: \"{quote}\""), vec![at, end.index]),
        None => (text, vec![end.index]),
    }
}

/// What became of the last child that failed, where its parent itself said nothing.
fn failed_child_of_silent(case: &Case<'_>, spoke: bool) -> Option<(String, Vec<usize>)> {
    let children = case.tree.children(case.blamed()).iter();
    let ends = children.filter_map(|id| Some((*id, case.end(*id)?)));
    let failed = ends.filter(|(id, end)| end.failed() && !case.never_execd(*id));
    let (id, end) = failed.max_by_key(|(_, end)| end.index).filter(|_| !spoke)?;
    Some(end_of_child(case, id, &end))
}

/// A status other than 0 that nothing explains further: the last words are quoted.
pub(in crate::diagnose::verdict) fn exited_with_error(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed() && end.status.signal.is_none())?;
    let name = case.name(id);
    let words = case.last_words().quote();
    let nothing = case.wrote_nothing();
    let said = match (&words, nothing) {
        (Some((text, _)), _) => format!("its last words: \"{text}\""),
        (None, Some(true)) => "it wrote nothing to descriptors 1 and 2 (stdout, stderr)".to_owned(),
        (None, _) if end.exit.written == Some([0, 0]) => "it wrote nothing itself".to_owned(),
        (None, _) => "nothing that it wrote itself is recorded".to_owned(),
    };
    let mut draft = Draft::new(Cause::ExitedWithError, Confidence::Proven, id)
        .status(end.status)
        .known("wrote_nothing", nothing)
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index]);
    let mut before = String::new();
    if let Some((child, at)) = failed_child_of_silent(case, words.is_some()) {
        before = format!("; earlier its child {child}");
        draft = draft.evidence(format!("its child {child}"), at);
    }
    if let Some((text, index)) = &words {
        draft = draft
            .evidence(format!("last words: {text}"), [*index])
            .detail("last_words", text.as_str());
    }
    if let Some(message) = &case.facts.runtime_message {
        draft = draft.detail("runtime_message", message.as_str());
    }
    if let Some(failure) = select::hint(case, id, &case.voices(id)) {
        let about = failure.path().map(|path| format!(" of {path}")).unwrap_or_default();
        let text = format!(
            "shortly before, {}{about} had failed with {}; nothing shows that it mattered",
            failure.call, failure.errno
        );
        draft = draft.evidence(text, failure.entries);
    }
    let next_step = match words {
        Some(_) => {
            "Start from its last words; nothing that the kernel saw explains the status further."
        }
        None => {
            "Run it with more verbose logging: nothing that the kernel saw explains the status."
        }
    };
    Some(
        draft
            .summary(format!("{name} {}; {said}{before}.", wording::ended(end.status)))
            .next_step(next_step)
            .finish(),
    )
}

/// The end itself is not recorded.
pub(in crate::diagnose::verdict) fn unknown(case: &Case<'_>) -> Verdict {
    let id = case.main;
    let name = case.name(id);
    let seen = case.tree.entries_of(id).last().copied();
    Draft::new(Cause::None, Confidence::None, id)
        .summary(format!("The end of {name} is not recorded, so that its cause is not known."))
        .evidence(format!("the last that was seen of {name}"), seen.into_iter().collect::<Vec<_>>())
        .next_step("See whether records were lost (`tracer doctor`), and wait for its next end.")
        .finish()
}

/// Evidence and details that every verdict on a failed call has.
pub(in crate::diagnose::verdict) fn begin_failed_call(
    case: &Case<'_>,
    chosen: &Chosen<'_>,
    cause: Cause,
    object: &str,
) -> Draft {
    let failure = &chosen.failure;
    let id = case.blamed();
    let name = case.name(id);
    let mut draft =
        Draft::new(cause, chosen.confidence, id).detail("syscall", failure.call).evidence(
            match (object, failure.errno.0) {
                // The call itself did what it should: a DNS message was sent or received.
                (object, 0) => {
                    format!("{} asked for {object} or told of it, in vain", failure.call)
                }
                ("it", _) => format!("{} failed with {}", failure.call, failure.errno),
                (object, _) => {
                    format!("{} of {object} failed with {}", failure.call, failure.errno)
                }
            },
            failure.entries.clone(),
        );
    if failure.errno.0 != 0 {
        draft = draft.errno(failure.errno);
    }
    let end = case.end(id);
    if let Some(end) = end {
        draft = draft.status(end.status);
    }
    let at: Vec<usize> = end.iter().map(|end| end.index).collect();
    if let Some(index) = fault::reasoned_end(case) {
        draft = draft.evidence(format!("{name} then ended itself by a signal"), [index]);
    }
    match chosen.why {
        Why::Words(index) => draft
            .evidence("the last words name it", [index])
            .evidence(format!("{name} {}", case.ending()), at),
        Why::NeverSucceeded => {
            let later = match chosen.confidence {
                Confidence::Proven => "it did not succeed later",
                Confidence::Likely | Confidence::None => "no later success of it is recorded",
            };
            draft.evidence(format!("{later}, and {name} {}", case.ending()), at)
        }
        Why::EndFollowed(ns) => {
            let draft = draft.evidence(
                format!(
                    "{} later, without another failure, {name} {}",
                    wording::span(ns),
                    case.ending()
                ),
                at,
            );
            match case.last_words().quote() {
                Some((text, index)) => {
                    draft.evidence(format!("its last words do not name it: {text}"), [index])
                }
                None => draft,
            }
        }
    }
}
