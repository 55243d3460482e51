//! What the store's writer counts, as metrics. It must not know the store's file.

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

use super::{ByTable, Fraction, Registrar, set_total};
use crate::node::store::Statistics;

/// Set from the writer's [`Statistics`].
#[derive(Debug)]
pub struct StoreMetrics {
    size_bytes: Gauge,
    queued_bytes: Gauge,
    lag_seconds: Fraction,
    failing: Gauge,
    rows_written: Family<ByTable, Counter>,
    rows_deleted: Family<ByTable, Counter>,
    dropped: Counter,
    refused: Counter,
    failures: Counter,
}

impl StoreMetrics {
    pub(super) fn new(of: &mut Registrar) -> Self {
        Self {
            size_bytes: of.add("store_size_bytes", "Database with its wal and shm files"),
            queued_bytes: of.add("store_queued_bytes", "Waiting to be written"),
            lag_seconds: of.add("store_lag_seconds", "From arrival to commit, last batch"),
            failing: of.add("store_failing", "1 while the store cannot be written"),
            rows_written: of.add("store_rows_written", "Rows written, by table"),
            rows_deleted: of.add("store_rows_deleted", "Rows deleted for age or size, by table"),
            dropped: of.add("store_dropped", "What the writer had no room for"),
            refused: of.add("store_refused", "Rows that cannot be stored for what is in them"),
            failures: of.add("store_failures", "Failed transactions, and tries to open it"),
        }
    }

    pub fn set(&self, now: &Statistics) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.size_bytes.set(bytes(now.bytes));
        self.queued_bytes.set(bytes(now.queued_bytes));
        self.lag_seconds.set(std::time::Duration::from_nanos(now.lag_ns).as_secs_f64());
        self.failing.set(i64::from(now.failing));
        for (rows, table, count) in [
            (&self.rows_written, "events", now.events),
            (&self.rows_written, "crashes", now.crashes),
            (&self.rows_deleted, "events", now.deleted_events),
            (&self.rows_deleted, "crashes", now.deleted_crashes),
        ] {
            set_total(&rows.get_or_create(&ByTable { table }), count);
        }
        set_total(&self.dropped, now.dropped_events.saturating_add(now.dropped_others));
        set_total(&self.refused, now.refused);
        set_total(&self.failures, now.failed_writes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::metrics::Metrics;

    #[test]
    fn what_the_writer_says_is_shown() {
        let metrics = Metrics::new();
        metrics.store.set(&Statistics {
            bytes: 4096,
            lag_ns: 50_000_000,
            deleted_events: 3,
            dropped_events: 1,
            dropped_others: 2,
            failing: true,
            ..Statistics::default()
        });
        let text = metrics.encode();
        for line in [
            "tracer_store_size_bytes 4096",
            "tracer_store_lag_seconds 0.05",
            "tracer_store_rows_deleted_total{table=\"events\"} 3",
            "tracer_store_dropped_total 3",
            "tracer_store_failing 1",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }
}
