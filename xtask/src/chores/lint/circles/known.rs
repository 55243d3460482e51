//! Circles that are older than the check, each by its files. This list may only shrink.

pub const CIRCLES: &[&[&str]] = &[
    &["tracer/src/query/cluster.rs", "tracer/src/query/forward.rs", "tracer/src/query/source.rs"],
    &["tracer/src/query/events.rs", "tracer/src/query/live.rs", "tracer/src/query/stored.rs"],
    &[
        "tracer/src/verdict/case.rs",
        "tracer/src/verdict/evidence/answers.rs",
        "tracer/src/verdict/evidence/attempts.rs",
        "tracer/src/verdict/evidence/blame.rs",
        "tracer/src/verdict/evidence/capability.rs",
        "tracer/src/verdict/evidence/errors.rs",
        "tracer/src/verdict/evidence/failure.rs",
        "tracer/src/verdict/evidence/lane.rs",
        "tracer/src/verdict/evidence/lookup.rs",
        "tracer/src/verdict/evidence/maker.rs",
        "tracer/src/verdict/evidence/pace.rs",
        "tracer/src/verdict/evidence/probes.rs",
        "tracer/src/verdict/evidence/select.rs",
        "tracer/src/verdict/evidence/undone.rs",
        "tracer/src/verdict/words/lines.rs",
        "tracer/src/verdict/words/mod.rs",
        "tracer/src/verdict/words/objects.rs",
        "tracer/src/verdict/words/spoken.rs",
    ],
];
