//! What the agent counts about itself, in the text format of OpenMetrics. No argument, path or output is in
//! it: it is served on the pod's address. It must not know who counts.

mod labels;
mod occurrences;
mod store;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::node::attribute;

pub use labels::{
    Build, ByCause, ByHook, ByKind, ByProgram, ByReason, ByRequest, ByRing, ByRule, ByTable,
};
pub use occurrences::{EventsLost, LinesLost, SubscriberRefused, Undecodable};
pub use store::StoreMetrics;

/// A value with a fraction.
pub type Fraction = Gauge<f64, AtomicU64>;
/// Seconds that add up.
pub type Seconds = Counter<f64, AtomicU64>;

/// All metrics, registered once. Those of the same name with a label appear from their first use on.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    uptime_seconds: Fraction,

    /// Events decoded, by kind.
    pub events: Family<ByKind, Counter>,
    /// Events or records lost, by kind, as the timelines name them. See [`EventsLost`].
    pub events_lost: Family<ByKind, Counter>,
    /// See [`Undecodable`].
    pub records_undecodable: Counter,
    /// Lives whose first process was seen.
    pub lives_begun: Counter,
    /// Lives whose main process ended.
    pub lives_ended: Counter,
    /// Lives whose first exec came before the recorder was on, of those that ended.
    pub lives_unrecorded: Counter,
    /// Lives that go on.
    pub lives: Gauge,
    /// Verdicts by cause; `none` is no crash.
    pub verdicts: Family<ByCause, Counter>,
    /// Verdicts that were told by a container's path and taken back: it was none that is watched.
    pub verdicts_withdrawn: Counter,
    /// Verdicts that were told once more, since the Kubernetes API knew more of the pod.
    pub verdicts_revised: Counter,
    /// 1 while the Kubernetes API tells of this node's pods.
    pub kubernetes_connected: Gauge,
    /// How often it did not answer, or not as it should.
    pub kubernetes_failures: Counter,
    /// Pods that are known from it.
    pub kubernetes_pods: Gauge,
    /// Pods that there was no room for.
    pub kubernetes_pods_refused: Counter,
    /// From the end of a main process to its verdict.
    pub verdict_seconds: Histogram,
    /// For `Attributor::counting`.
    pub attribution: attribute::Metrics,
    /// 1 while the system call recorder is attached.
    pub recorder_attached: Gauge,
    /// How often it was attached or detached.
    pub recorder_switches: Counter,
    /// The most bytes that waited in a ring buffer when it was read, within the last second.
    pub ring_used_bytes: Family<ByRing, Gauge>,
    pub ring_size_bytes: Family<ByRing, Gauge>,
    /// What the store's writer says of itself.
    pub store: StoreMetrics,
    /// Secrets replaced, by rule.
    pub redactions: Family<ByRule, Counter>,
    /// Followers of the live stream.
    pub subscribers: Gauge,
    /// See [`SubscriberRefused`].
    pub subscribers_refused: Counter,
    /// See [`LinesLost`].
    pub subscriber_lines_lost: Counter,
    /// Requests that tell the Kubernetes API of crashes, by what became of them.
    pub kubernetes_requests: Family<ByRequest, Counter>,
    /// Events and annotations that the Kubernetes API was not given, by reason.
    pub kubernetes_dropped: Family<ByReason, Counter>,
    /// 1 for a hook that is attached, 0 for one that could not be.
    pub hooks_attached: Family<ByHook, Gauge>,
    /// Run time of the eBPF programs, where the kernel counts it (sysctl kernel.bpf_stats_enabled).
    pub program_run_seconds: Family<ByProgram, Seconds>,
    pub program_runs: Family<ByProgram, Counter>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut of = Registrar(Registry::with_prefix("tracer"));
        let attribution = attribute::Metrics::default();
        attribution.register(&mut of.0);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        of.put("start_time_seconds", "Unix time of the agent's start", {
            let gauge = Fraction::default();
            gauge.set(started.as_secs_f64());
            gauge
        });
        of.0.register("build", "Version of the agent", Info::new(Build::this()));
        Self {
            started: Instant::now(),
            uptime_seconds: of.put(
                "uptime_seconds",
                "Since the agent's start",
                Fraction::default(),
            ),
            events: of.add("events", "Events decoded"),
            events_lost: of.add("events_lost", "Events lost in the kernel or for want of room"),
            records_undecodable: of.add("records_undecodable", "Records that no decoder accepts"),
            lives_begun: of.add("lives_begun", "Container instances whose first process was seen"),
            lives_ended: of.add("lives_ended", "Container instances whose main process ended"),
            lives_unrecorded: of.add(
                "lives_unrecorded",
                "Container instances that ended and whose first exec came before the recorder",
            ),
            lives: of.add("lives", "Container instances that are watched now"),
            verdicts: of.add("verdicts", "Ends of container instances, by cause"),
            verdicts_withdrawn: of.add(
                "verdicts_withdrawn",
                "Verdicts taken back: nobody had selected the container",
            ),
            verdicts_revised: of
                .add("verdicts_revised", "Verdicts told once more by what the Kubernetes API said"),
            kubernetes_connected: of.add(
                "kubernetes_connected",
                "1 while the Kubernetes API tells of this node's pods",
            ),
            kubernetes_failures: of
                .add("kubernetes_failures", "Lists and watches of pods that failed"),
            kubernetes_pods: of.add("kubernetes_pods", "Pods known from the Kubernetes API"),
            kubernetes_pods_refused: of
                .add("kubernetes_pods_refused", "Pods that there was no room for"),
            verdict_seconds: of.put(
                "verdict_seconds",
                "From the end of a main process to its verdict",
                Histogram::new(exponential_buckets(0.001, 2.0, 12)),
            ),
            attribution,
            recorder_attached: of.add("recorder_attached", "1 while the recorder is attached"),
            recorder_switches: of.add("recorder_switches", "How often it was switched on or off"),
            ring_used_bytes: of.add(
                "ring_used_bytes",
                "Most bytes that waited in a ring buffer within the last second",
            ),
            ring_size_bytes: of.add("ring_size_bytes", "Size of a ring buffer"),
            store: StoreMetrics::new(&mut of),
            redactions: of.add("redactions", "Secrets replaced, by rule"),
            subscribers: of.add("subscribers", "Followers of the live stream"),
            subscribers_refused: of.add("subscribers_refused", "Followers beyond the most allowed"),
            subscriber_lines_lost: of
                .add("subscriber_lines_lost", "Lines that followers were too slow for"),
            kubernetes_requests: of
                .add("kubernetes_requests", "Requests that tell the Kubernetes API of crashes"),
            kubernetes_dropped: of
                .add("kubernetes_dropped", "Events and annotations that were given up, by reason"),
            hooks_attached: of.add("hooks_attached", "1 for a hook that is attached"),
            program_run_seconds: of.with_unit(
                "program_run",
                "Run time of the eBPF programs, where the kernel counts it",
                Unit::Seconds,
            ),
            program_runs: of.add("program_runs", "Runs of the eBPF programs, where counted"),
            registry: of.0,
        }
    }

    /// All metrics as OpenMetrics text, which [`CONTENT_TYPE`] names.
    pub fn encode(&self) -> String {
        self.uptime_seconds.set(self.started.elapsed().as_secs_f64());
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut out, &self.registry);
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Sets a counter to a total that somebody else counts: the kernel, the store. A total that went
/// back is left alone.
pub fn set_total(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}

/// The same for seconds.
pub fn set_total_seconds(counter: &Seconds, total: Duration) {
    counter.inc_by((total.as_secs_f64() - counter.get()).max(0.0));
}

/// Registers metrics under the prefix.
struct Registrar(Registry);

impl Registrar {
    fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        self.put(name, help, M::default())
    }

    fn put<M>(&mut self, name: &str, help: &str, metric: M) -> M
    where
        M: prometheus_client::registry::Metric + Clone,
    {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn with_unit<M>(&mut self, name: &str, help: &str, unit: Unit) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        let metric = M::default();
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_the_prefix_and_a_help() {
        let text = Metrics::new().encode();
        let families: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        assert!(families.len() >= 18, "{text}");
        assert!(families.iter().all(|line| line.starts_with("tracer_")), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    /// What people are told to look at is there. A sample's name has an end that its family's lacks.
    #[test]
    fn manual_and_alerts_name_metrics_that_exist() {
        let metrics = Metrics::new();
        // Those with a label are there from their first use on.
        metrics.events_lost.get_or_create(&ByKind { kind: "exec" }).inc();
        metrics.verdicts.get_or_create(&ByCause { cause: "none" }).inc();
        metrics.kubernetes_requests.get_or_create(&ByRequest { request: "a", result: "b" }).inc();
        metrics.kubernetes_dropped.get_or_create(&ByReason { reason: "a" }).inc();
        let text = metrics.encode();
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let families: Vec<&str> =
            families.filter_map(|line| line.split_whitespace().next()).collect();
        let manual = include_str!("../../../../docs/operations.md");
        let alerts = include_str!("../../../../deploy/components/monitoring/alerts.yaml");
        let words = [manual, alerts].map(|page| {
            let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.filter(|word| word.starts_with("tracer_")).collect::<Vec<_>>()
        });
        let ends = ["_total", "_bucket", "_count", "_sum", "_info", ""];
        let is_known = |word: &str| {
            ends.iter().any(|end| word.strip_suffix(end).is_some_and(|it| families.contains(&it)))
        };
        for words in words {
            assert!(words.len() >= 8, "{words:?}");
            let unknown: Vec<_> = words.into_iter().filter(|word| !is_known(word)).collect();
            assert_eq!(unknown, [""; 0]);
        }
    }

    #[test]
    fn what_was_counted_is_told_by_its_label() {
        let metrics = Metrics::new();
        metrics.events.get_or_create(&ByKind { kind: "exec" }).inc();
        metrics.verdicts.get_or_create(&ByCause { cause: "oom_killed" }).inc_by(2);
        metrics.verdict_seconds.observe(0.01);
        let program = ByProgram { program: "sys_exit".to_owned() };
        metrics.program_run_seconds.get_or_create(&program).inc_by(0.5);
        let text = metrics.encode();
        for line in [
            "tracer_events_total{kind=\"exec\"} 1",
            "tracer_verdicts_total{cause=\"oom_killed\"} 2",
            "tracer_verdict_seconds_count 1",
            "tracer_attribution_retries_total 0",
            "tracer_program_run_seconds_total{program=\"sys_exit\"} 0.5",
            &format!("tracer_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_total_of_somebody_else_never_goes_back() {
        let metrics = Metrics::new();
        set_total(&metrics.records_undecodable, 7);
        set_total(&metrics.records_undecodable, 3);
        assert_eq!(metrics.records_undecodable.get(), 7);
    }
}
