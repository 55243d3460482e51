//! Counts of attribution, for the agent's metrics. It must not know what was asked.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// What attribution answered, and how it got there. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub answers: Family<AnswerLabels, Counter>,
    /// Questions asked again since the runtime did not know the container yet, or did not answer.
    pub retries: Counter,
    /// Calls that the runtime refused, answered unintelligibly or not in time.
    pub failed_calls: Counter,
    /// From the question to its final answer.
    pub latency: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AnswerLabels {
    pub answer: AnswerLabel,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "these are the label's values")]
pub enum AnswerLabel {
    container,
    pause,
    unobservable,
    unknown,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0];
        Self {
            answers: Family::default(),
            retries: Counter::default(),
            failed_calls: Counter::default(),
            latency: Histogram::new(buckets),
        }
    }
}

impl Metrics {
    /// Adds all of them to a registry, which gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        let answers = "Containers asked for, by what was found out";
        registry.register("attribution_answers", answers, self.answers.clone());
        let retries = "Questions to the container runtime that had to be asked again";
        registry.register("attribution_retries", retries, self.retries.clone());
        let failed = "Calls to the container runtime that were not answered";
        registry.register("attribution_failed_calls", failed, self.failed_calls.clone());
        let latency = "Time from a container's first event to its identity";
        let histogram = self.latency.clone();
        registry.register_with_unit("attribution_latency", latency, Unit::Seconds, histogram);
    }

    pub(super) fn answered(&self, answer: AnswerLabel, after: Duration) {
        self.answers.get_or_create(&AnswerLabels { answer }).inc();
        self.latency.observe(after.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_registered_by_their_names() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("tracer");
        metrics.register(&mut registry);
        metrics.answered(AnswerLabel::pause, Duration::from_millis(3));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("tracer_attribution_answers_total{answer=\"pause\"} 1"), "{text}");
        assert!(text.contains("tracer_attribution_latency_seconds_count 1"), "{text}");
    }
}
