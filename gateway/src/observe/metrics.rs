//! The gateway's metrics in the text format of OpenMetrics. Metrics that upstream has keep upstream's names.

use std::{fmt, sync::atomic::AtomicU64, time::Instant};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

use super::process;
use crate::{
    budget::{Holdings, What},
    wire::realm::RealmName,
};

/// A value with a fraction.
type Fraction = Gauge<f64, AtomicU64>;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $type:ty),+ })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub struct $name {
                $(pub $label: $type,)+
            }
        )*
    };
}

labels! {
    /// The code of a call's error.
    ByCode { code: &'static str }
    /// `quic`, `tcp`
    ByTransport { transport: &'static str }
    /// Why a connection was refused or ended, or a message was passed over.
    ByReason { reason: &'static str }
    /// What memory is held for.
    ByWhat { what: &'static str }
    /// The name of a configured realm: there are few.
    ByRealm { realm: String }
    Build { version: &'static str }
}

/// All metrics, registered once.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    uptime_seconds: Fraction,
    ready: Gauge,
    process_count: Gauge,
    memory_bytes: Gauge,
    process_memory_bytes: Gauge,
    diagnostics_available: Gauge,
    clients: Gauge,
    subscriptions: Gauge,
    registrations: Gauge,
    calls_open: Gauge,
    dropped: Counter,
    messages_in: Family<ByRealm, Counter>,
    bytes_in: Family<ByRealm, Counter>,
    messages_out: Family<ByRealm, Counter>,
    bytes_out: Family<ByRealm, Counter>,
    /// Connections that completed their handshake.
    pub connections: Family<ByTransport, Counter>,
    /// Handshakes that failed or were refused.
    pub refused: Family<ByReason, Counter>,
    /// Handshakes that were asked to prove their address first.
    pub retries: Counter,
    /// Connections that ended.
    pub closed: Family<ByReason, Counter>,
    /// Calls that failed.
    pub calls_failed: Family<ByCode, Counter>,
    /// The time from a call to its reply.
    pub call_seconds: Histogram,
    /// How often a client had to wait because it had used up its allowance.
    pub slowed: Counter,
    /// Messages that could not be retained for want of room.
    pub not_retained: Counter,
    /// Messages that are retained no longer since another took their place.
    pub no_longer_retained: Counter,
    /// Messages of clients that were passed over.
    pub passed_over: Family<ByReason, Counter>,
    /// The memory that the gateway may take.
    pub memory_limit_bytes: Gauge,
    memory_for_clients_bytes: Gauge,
    memory_held_bytes: Family<ByWhat, Gauge>,
    memory_refused: Family<ByWhat, Counter>,
    /// Seconds until the certificate is no longer valid.
    pub certificate_expiry_seconds: Gauge,
    /// How many bytes may wait in the UDP socket.
    pub udp_receive_buffer_bytes: Gauge,
    udp_receive_errors: Gauge,
    /// New certificates and clients' authorities that could not be used.
    pub certificates_refused: Counter,
}

/// What all realms hold at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub clients: usize,
    pub subscriptions: usize,
    pub registrations: usize,
    /// Calls under way.
    pub open_calls: usize,
    /// Published messages dropped for clients that read too slowly, since the start.
    pub dropped: u64,
    pub memory: Holdings,
}

/// The owner of the realms, whom the metrics ask each time that they are read.
pub trait Realms: fmt::Debug + Send + Sync {
    fn snapshot(&self) -> Snapshot;
}

/// The counters of one realm.
#[derive(Clone, Debug)]
pub struct RealmMetrics {
    /// Messages that came from clients.
    pub messages_in: Counter,
    /// The bytes of their frames.
    pub bytes_in: Counter,
    /// Messages that were written to clients as a whole.
    pub messages_out: Counter,
    /// The bytes of their frames.
    pub bytes_out: Counter,
}

impl Metrics {
    pub fn new() -> Self {
        let mut of = Registrar(Registry::with_prefix("macula_gateway"));
        let version = Build { version: env!("CARGO_PKG_VERSION") };
        of.0.register("build", "Version of the gateway", Info::new(version));
        Self {
            started: Instant::now(),
            uptime_seconds: of.add("uptime_seconds", "Since the gateway's start"),
            ready: of.add("ready", "1 while new clients are welcome"),
            process_count: of.add("process_count", "Threads of the gateway"),
            memory_bytes: of.add("memory_bytes", "Resident memory of the gateway"),
            process_memory_bytes: of
                .add("process_memory_bytes", "The same, by upstream's other name"),
            diagnostics_available: of.add("diagnostics_available", "1: diagnostics are built in"),
            clients: of.add("clients_total", "Connected clients"),
            subscriptions: of.add("subscriptions_total", "Subscriptions of connected clients"),
            registrations: of.add("registrations_total", "Procedures of connected clients"),
            calls_open: of.add("calls_open", "Calls under way"),
            dropped: of
                .add("messages_dropped", "Messages dropped for clients that read too slowly"),
            messages_in: of.add("messages_received", "Messages from clients, by realm"),
            bytes_in: of.add("bytes_received", "Bytes of frames from clients, by realm"),
            messages_out: of.add("messages_sent", "Messages written to clients, by realm"),
            bytes_out: of.add("bytes_sent", "Bytes of frames written to clients, by realm"),
            connections: of.add("connections", "Connections whose handshake was completed"),
            refused: of.add("connections_refused", "Connections refused before they were clients"),
            retries: of.add("handshakes_retried", "Handshakes asked to prove their address first"),
            closed: of.add("connections_closed", "Connections that ended, by reason"),
            calls_failed: of.add("calls_failed", "Calls that came to nothing, by code"),
            call_seconds: of.put(
                "call_seconds",
                "From a call to its reply",
                Histogram::new(exponential_buckets(0.000_05, 2.0, 20)),
            ),
            slowed: of.add("clients_slowed", "Waits of clients that asked for too much a second"),
            not_retained: of
                .add("messages_not_retained", "Messages without room among the retained"),
            no_longer_retained: of
                .add("messages_no_longer_retained", "Retained messages in whose place others came"),
            passed_over: of.add(
                "messages_passed_over",
                "Messages of clients that were passed over, by reason",
            ),
            memory_limit_bytes: of.add("memory_limit_bytes", "Memory that the gateway may take"),
            memory_for_clients_bytes: of
                .add("memory_for_clients_bytes", "Memory that may be held for clients"),
            memory_held_bytes: of
                .add("memory_held_bytes", "Memory that is held for clients, by what for"),
            memory_refused: of
                .add("memory_refused", "What found no memory for clients left, by what for"),
            certificate_expiry_seconds: of
                .add("certificate_expiry_seconds", "Until the certificate ends; 0 is over"),
            udp_receive_buffer_bytes: of
                .add("udp_receive_buffer_bytes", "Granted by the kernel to the UDP socket"),
            udp_receive_errors: of.add(
                "udp_receive_errors",
                "Datagrams that found no room in a socket of this network namespace",
            ),
            certificates_refused: of
                .add("certificates_refused", "New certificates and client authorities of no use"),
            registry: of.0,
        }
    }

    /// The counters of a realm.
    pub fn realm(&self, name: &RealmName) -> RealmMetrics {
        let of = ByRealm { realm: name.to_string() };
        RealmMetrics {
            messages_in: self.messages_in.get_or_create(&of).clone(),
            bytes_in: self.bytes_in.get_or_create(&of).clone(),
            messages_out: self.messages_out.get_or_create(&of).clone(),
            bytes_out: self.bytes_out.get_or_create(&of).clone(),
        }
    }

    fn show(&self, memory: &Holdings) {
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.memory_for_clients_bytes.set(number(memory.most));
        let each = What::ALL.into_iter().zip(memory.held).zip(memory.refused);
        for ((what, held), refused) in each {
            let of = ByWhat { what: what.name() };
            self.memory_held_bytes.get_or_create(&of).set(number(held));
            let counted = self.memory_refused.get_or_create(&of);
            counted.inc_by(refused.saturating_sub(counted.get()));
        }
    }

    /// All metrics as text, which [`CONTENT_TYPE`] names.
    pub fn encode(&self, realms: Snapshot, ready: bool) -> String {
        self.show(&realms.memory);
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let memory = i64::try_from(process::resident_bytes()).unwrap_or(i64::MAX);
        self.uptime_seconds.set(self.started.elapsed().as_secs_f64());
        self.ready.set(i64::from(ready));
        self.process_count.set(i64::try_from(process::threads()).unwrap_or(i64::MAX));
        self.memory_bytes.set(memory);
        self.process_memory_bytes.set(memory);
        self.diagnostics_available.set(1);
        self.clients.set(number(realms.clients));
        self.subscriptions.set(number(realms.subscriptions));
        self.registrations.set(number(realms.registrations));
        self.calls_open.set(number(realms.open_calls));
        let udp_errors = process::udp_receive_errors();
        self.udp_receive_errors.set(i64::try_from(udp_errors).unwrap_or(i64::MAX));
        let counted = self.dropped.get();
        self.dropped.inc_by(realms.dropped.saturating_sub(counted));
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

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl RealmMetrics {
    pub fn received(&self, messages: usize, bytes: usize) {
        self.messages_in.inc_by(number(messages));
        self.bytes_in.inc_by(number(bytes));
    }

    pub fn sent(&self, messages: usize, bytes: usize) {
        self.messages_out.inc_by(number(messages));
        self.bytes_out.inc_by(number(bytes));
    }
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MANUAL: &str = include_str!("../../../docs/gateway.md");

    /// Name, type and labels of each row of the manual's table.
    fn in_manual() -> BTreeSet<(String, String, String)> {
        let row = |line: &str| {
            let cells: Vec<&str> =
                line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let [_, name, kind, label, what, _] = cells[..] else { return None };
            let is_metric = ["counter", "gauge", "histogram", "info"].contains(&kind);
            assert!(!is_metric || !what.is_empty(), "{line}");
            is_metric.then(|| (name.to_owned(), kind.to_owned(), label.to_owned()))
        };
        MANUAL.lines().filter_map(row).collect()
    }

    #[test]
    fn the_manual_has_each_metric_with_its_type_and_label() {
        let metrics = Metrics::new();
        metrics.realm(&"a".parse().unwrap());
        metrics.connections.get_or_create(&ByTransport { transport: "quic" }).inc();
        metrics.refused.get_or_create(&ByReason { reason: "rate" }).inc();
        metrics.closed.get_or_create(&ByReason { reason: "normal" }).inc();
        metrics.calls_failed.get_or_create(&ByCode { code: "timeout" }).inc();
        metrics.passed_over.get_or_create(&ByReason { reason: "topic" }).inc();
        metrics.show(&Holdings::default());
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        let mut found = BTreeSet::new();
        for line in text.lines() {
            let Some(of) = line.strip_prefix("# TYPE macula_gateway_") else { continue };
            let (name, kind) = of.split_once(' ').unwrap();
            let shown = match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            };
            let sample = text.lines().find(|line| {
                line.strip_prefix("macula_gateway_").is_some_and(|line| line.starts_with(&shown))
            });
            let (_, labels) = sample.unwrap().split_once('{').unwrap_or_default();
            let label = labels.split('=').next().unwrap_or_default();
            let label = if kind == "histogram" { "" } else { label };
            found.insert((shown, kind.to_owned(), label.to_owned()));
        }
        let manual = in_manual();
        let missing: Vec<_> = found.symmetric_difference(&manual).collect();
        assert!(missing.is_empty(), "in one of docs/gateway.md and /metrics alone: {missing:#?}");
    }
}
