//! The rows of the store. It measures nothing.

use crate::store::Store;
use crate::table::{Row, Section, Target, Unit};

const EVENTS_PER_SECOND: f64 = 100_000.0;
const BYTES_PER_EVENT: f64 = 200.0;
const ANSWER_MS: f64 = 20.0;

pub fn section(store: &Store) -> Section {
    let of = format!("{} events", store.amount.events);
    let mut rows = vec![
        Row::new("events taken a second", store.events_per_second.round(), Unit::PerSecond)
            .beside(of.clone())
            .target(Target::AtLeast(EVENTS_PER_SECOND)),
        Row::new("size of an event in the file", store.bytes_per_event, Unit::Bytes)
            .beside(of.clone())
            .target(Target::AtMost(BYTES_PER_EVENT)),
    ];
    for (question, times) in &store.answers {
        let row = |what: String, value| Row::new(what, value, Unit::Milliseconds);
        rows.push(
            row(format!("tracer {question}, the whole process, p50"), times.median())
                .beside(format!("{of}, {} crashes", store.amount.crashes))
                .target(Target::AtMost(ANSWER_MS)),
        );
        rows.push(
            row(format!("tracer {question}, the slowest"), times.percentile(100.0))
                .beside(format!("of {}", times.len()))
                .target(Target::AtMost(ANSWER_MS)),
        );
    }
    Section { name: "The store", rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Amount;

    #[test]
    fn one_slow_answer_misses_the_target_where_the_median_meets_it() {
        let store = Store {
            amount: Amount { events: 1_000_000, crashes: 2_000, questions: 3 },
            events_per_second: 120_000.0,
            bytes_per_event: 90.0,
            answers: vec![("crashes", [9.0, 10.0, 30.0].into_iter().collect())],
        };
        let met: Vec<_> = section(&store).rows.iter().map(Row::met).collect();
        assert_eq!(met, [Some(true), Some(true), Some(true), Some(false)]);
    }
}
