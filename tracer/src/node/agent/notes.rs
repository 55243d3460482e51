//! Metrics and log lines of what the node notes: each stands once, so that both agree. It must not decide anything.

use std::time::Duration;

use super::{clock::now, lives::Note};
use crate::{
    contract::names,
    node::metrics::{ByCause, EventsLost, Metrics},
};

/// Counts and logs one.
pub fn write(note: Note, metrics: &Metrics) {
    match note {
        Note::LifeBegun => {
            metrics.lives_begun.inc();
        }
        Note::LifeJudged { cause, end_ns, is_recorded } => {
            let took = Duration::from_nanos(now().saturating_sub(end_ns));
            metrics.verdict_seconds.observe(took.as_secs_f64());
            metrics.verdicts.get_or_create(&ByCause { cause }).inc();
            metrics.lives_ended.inc();
            metrics.lives_unrecorded.inc_by(u64::from(!is_recorded));
        }
        Note::IncidentJudged { cause } => {
            metrics.verdicts.get_or_create(&ByCause { cause }).inc();
        }
        Note::Revised { id, cause } => {
            tracing::info!(id, cause, "an end is told again: more is known of its pod");
            metrics.verdicts_revised.inc();
        }
        Note::Withdrawn { id, why } => {
            tracing::info!(id, why, "what was told of a death is withdrawn");
            metrics.verdicts_withdrawn.inc();
        }
        Note::Unobservable { pod, why } => {
            tracing::warn!(pod, why, "a pod cannot be observed");
        }
        Note::Lost { of, count } => EventsLost { kind: names::lost(of), count }.tell(metrics),
        Note::Uncounted { count } => EventsLost { kind: "uncounted", count }.tell(metrics),
        Note::Strays { count } => EventsLost { kind: "stray", count }.tell(metrics),
        Note::PodsListed { pods, is_news } => {
            if is_news {
                tracing::info!(pods, "the Kubernetes API tells of this node's pods");
            }
            metrics.kubernetes_connected.set(1);
        }
        Note::PodsUnlisted { error, is_news } => pods_unlisted(&error, is_news, metrics),
    }
}

fn pods_unlisted(error: &str, is_news: bool, metrics: &Metrics) {
    metrics.kubernetes_failures.inc();
    metrics.kubernetes_connected.set(0);
    if is_news {
        tracing::warn!(error, "the Kubernetes API no longer tells of pods: what is known is kept");
    } else if metrics.kubernetes_failures.get() == 1 {
        tracing::warn!(
            error,
            "the Kubernetes API does not tell of pods: restart policies are assumed until it does"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_counted() {
        let metrics = Metrics::new();
        write(Note::LifeBegun, &metrics);
        write(Note::LifeJudged { cause: "abort", end_ns: now(), is_recorded: false }, &metrics);
        write(Note::IncidentJudged { cause: "abort" }, &metrics);
        write(Note::PodsListed { pods: 3, is_news: true }, &metrics);
        assert_eq!((metrics.lives_begun.get(), metrics.lives_ended.get()), (1, 1));
        assert_eq!(metrics.lives_unrecorded.get(), 1);
        assert_eq!(metrics.verdicts.get_or_create(&ByCause { cause: "abort" }).get(), 2);
        assert_eq!(metrics.kubernetes_connected.get(), 1);
        write(Note::PodsUnlisted { error: "gone".to_owned(), is_news: true }, &metrics);
        assert_eq!((metrics.kubernetes_connected.get(), metrics.kubernetes_failures.get()), (0, 1));
    }
}
