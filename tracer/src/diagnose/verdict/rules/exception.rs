//! Ends by an exception, panic or deadlock that nothing in the program caught, as its runtime tells of it. It must not
//! know failed calls.

use crate::linux::signal::Signal;

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    evidence::select,
    wording,
    words::reading::{Fit, Kind, Reading, Runtime},
};

pub(in crate::diagnose::verdict) fn uncaught(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed() && end.status.signal.is_none())?;
    let words = case.last_words();
    let told = words.told().filter(|it| !it.followed)?;
    let reading = &told.reading;
    if !matches!(reading.kind, Kind::Uncaught | Kind::Deadlock) {
        return None;
    }
    // Go writes the same dump, and ends with the same status, when it is asked to by SIGQUIT.
    let asked = case.signals(id).any(|(_, _, it)| it.signal == Signal::SIGQUIT);
    if !reading.complete && asked {
        return None;
    }
    let whole = reading.complete && case.timeline.lost == 0;
    let sure = whole && told.fit == Fit::Own;
    let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
    let name = case.name(id);
    let deadlock = reading.kind == Kind::Deadlock;
    let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let mut draft = Draft::new(Cause::UncaughtException, confidence, id)
        .status(end.status)
        .detail("runtime", reading.runtime.name())
        .known("type", known(&reading.type_name))
        .known("message", known(&reading.message))
        .known("root_cause", reading.root_cause.clone())
        .known("frame", reading.frame.clone())
        .known("deadlock", deadlock.then_some(true))
        .evidence(format!("{name} told of {}", described(reading)), [told.index])
        .evidence(status_text(&name, reading, told.fit, &wording::ended(end.status)), [end.index]);
    if !reading.complete {
        draft = draft.evidence("the beginning of what it said was not kept", [told.index]);
    }
    if let Some((quote, index)) = words.quote() {
        draft = draft.evidence(format!("last words: {quote}"), [index]).detail("last_words", quote);
    }
    let mut told = String::new();
    if let Some(failure) = select::hint(case, id, &case.voices(id)) {
        let about = failure.path().map(|path| format!(" of {path}")).unwrap_or_default();
        let text = format!(
            "shortly before, {}{about} had failed with {}; the exception does not tell of it",
            failure.call, failure.errno
        );
        // Who is told to use a file seldom does without it.
        if let Some(path) = failure.path().filter(|path| case.is_argument(id, path)) {
            told = format!(
                "; shortly before, {} of {path}, which its command line names, had failed with {}",
                failure.call, failure.errno
            );
        }
        draft = draft.evidence(text, failure.entries);
    }
    let root =
        reading.root_cause.as_ref().map(|it| format!("; it began with {it}")).unwrap_or_default();
    let place = reading.frame.as_ref().map(|it| format!(" (at {it})")).unwrap_or_default();
    let next_step = match (&reading.frame, deadlock) {
        (_, true) => "Find what each goroutine waits for in the dump that it wrote; nobody is left to wake it.".to_owned(),
        (Some(frame), false) => format!("Start at {frame}: correct what it was given, or handle the error there."),
        (None, false) => "Start from the exception's message; the program's own log may tell what it was about.".to_owned(),
    };
    Some(
        draft
            .summary(format!(
                "{name} {} on {}{place}{root}{told}.",
                wording::ended(end.status),
                described(reading)
            ))
            .next_step(next_step)
            .finish(),
    )
}

/// `an exception that nothing caught: KeyError: 'x'`
fn described(reading: &Reading) -> String {
    let what = match (reading.kind, reading.runtime) {
        (Kind::Deadlock, _) => "a deadlock that Go's runtime found",
        (_, Runtime::Go) if reading.type_name.is_empty() => {
            "a panic or a fatal error of Go's runtime"
        }
        (_, Runtime::Go | Runtime::Rust) => "a panic that nothing caught",
        (_, Runtime::Beam) => "an error that ended the Erlang runtime",
        _ => "an exception that nothing caught",
    };
    match (reading.message.is_empty() && !reading.complete, reading.text()) {
        (true, _) => format!("{what}; its message was not kept"),
        (false, text) => format!("{what}: {text}"),
    }
}

fn status_text(name: &str, reading: &Reading, fit: Fit, ended: &str) -> String {
    let runtime = reading.runtime.name();
    match fit {
        Fit::Own => format!("{name} {ended}, as {runtime} does after that"),
        Fit::Possible | Fit::Not => format!("{name} {ended}"),
    }
}
