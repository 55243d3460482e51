//! Ends that were wanted: of a pod that was deleted, or of a helper whose work was done. It must not know other ends.

use crate::linux::signal::Signal;

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    rules::{killed, stopped},
    terms::WantedWhy,
    wording,
};

/// Clocks of a cluster agree no better, and tell of whole seconds.
const SLACK_NS: u64 = 2_000_000_000;

/// Stopped, or ended in peace, after its end was wanted: no crash.
pub(in crate::diagnose::verdict) fn ended(case: &Case<'_>) -> Option<Verdict> {
    let wanted = case.terms.wanted?;
    let is_after = |time_ns: u64| time_ns.saturating_add(SLACK_NS) >= wanted.since_ns;
    if let Some((stop, end)) = stopped::first_stop(case) {
        let is_wanted = is_after(stop.event.time_ns);
        return is_wanted.then(|| stopped::as_wanted(case, &stop, &end, wanted.why));
    }
    let end = case.end(case.main).filter(|end| is_after(end.time_ns))?;
    (!end.failed() || was_asked(case)).then(|| in_peace(case, &end, wanted.why))
}

/// By a signal that asks for an end, as a preStop hook may send it.
fn was_asked(case: &Case<'_>) -> bool {
    let asks = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP];
    killed::by_signal(case).is_some_and(|verdict| {
        let signal = verdict.details.get("signal").and_then(serde_json::Value::as_str);
        asks.iter().any(|asks| signal == Some(&asks.name()))
    })
}

fn in_peace(case: &Case<'_>, end: &End<'_>, why: WantedWhy) -> Verdict {
    let name = case.name(case.main);
    let ended = wording::ended(end.status);
    Draft::new(Cause::None, Confidence::None, case.main)
        .status(end.status)
        .detail("reason", why.name())
        .summary(format!("{name} {ended}, as it should: {}.", why.text()))
        .evidence(format!("{name} {ended}"), [end.index])
        .next_step("Nothing is wrong.")
        .finish()
}
