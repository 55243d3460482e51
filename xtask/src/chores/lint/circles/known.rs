//! Circles that are older than the check, each by its files. This list may only shrink.

pub const CIRCLES: &[&[&str]] = &[
    &["tracer/src/query/cluster.rs", "tracer/src/query/forward.rs", "tracer/src/query/source.rs"],
    &["tracer/src/query/events.rs", "tracer/src/query/live.rs", "tracer/src/query/stored.rs"],
    &[
        "tracer/src/diagnose/verdict/case.rs",
        "tracer/src/diagnose/verdict/evidence/answers.rs",
        "tracer/src/diagnose/verdict/evidence/attempts.rs",
        "tracer/src/diagnose/verdict/evidence/blame.rs",
        "tracer/src/diagnose/verdict/evidence/capability.rs",
        "tracer/src/diagnose/verdict/evidence/errors.rs",
        "tracer/src/diagnose/verdict/evidence/failure.rs",
        "tracer/src/diagnose/verdict/evidence/lane.rs",
        "tracer/src/diagnose/verdict/evidence/lookup.rs",
        "tracer/src/diagnose/verdict/evidence/maker.rs",
        "tracer/src/diagnose/verdict/evidence/pace.rs",
        "tracer/src/diagnose/verdict/evidence/probes.rs",
        "tracer/src/diagnose/verdict/evidence/select.rs",
        "tracer/src/diagnose/verdict/evidence/undone.rs",
        "tracer/src/diagnose/verdict/words/lines.rs",
        "tracer/src/diagnose/verdict/words/mod.rs",
        "tracer/src/diagnose/verdict/words/objects.rs",
        "tracer/src/diagnose/verdict/words/spoken.rs",
    ],
];
