//! Circles that are older than the check, each by its files. This list may only shrink.

pub const CIRCLES: &[&[&str]] = &[
    &["tracer/src/query/cluster.rs", "tracer/src/query/forward.rs", "tracer/src/query/source.rs"],
    &["tracer/src/query/events.rs", "tracer/src/query/live.rs", "tracer/src/query/stored.rs"],
];
