//! The rows of the gateway under strain. It measures nothing.

use std::time::Duration;

use super::mebibytes;
use crate::gateway::strain::{
    Handshakes, Idle, LIMITS, PAYLOAD_BYTES, RATE, SUBSCRIBERS, Stop, Strain, Stuck,
};
use crate::table::{Row, Section, Target, Unit};

pub fn sections(strain: &Strain) -> Vec<Section> {
    vec![
        Section { name: "The gateway, idle clients", rows: idle(&strain.idle) },
        Section { name: "The gateway, handshakes", rows: handshakes(&strain.handshakes) },
        Section {
            name: "The gateway, a stuck subscriber",
            rows: strain.stuck.iter().flat_map(stuck).collect(),
        },
        Section { name: "The gateway, SIGTERM under load", rows: stop(&strain.stop) },
    ]
}

/// What a client that says nothing may take where there are many.
const IDLE_BYTES: f64 = 40.0 * 1024.0;

fn idle(all: &[Idle]) -> Vec<Row> {
    let most = all.iter().map(|idle| idle.connections).max();
    let row = |idle: &Idle| {
        let what = format!("one of {} idle clients over {}", idle.connections, idle.over.name());
        let anonymous = Unit::Bytes.show(idle.anonymous_each().round());
        let all = Unit::Mebibytes.show(mebibytes(idle.after.now));
        let row = Row::new(what, idle.resident_each().round(), Unit::Bytes)
            .beside(format!("anonymous {anonymous}; the whole gateway {all}"));
        if Some(idle.connections) == most { row.target(Target::AtMost(IDLE_BYTES)) } else { row }
    };
    all.iter().map(row).collect()
}

/// Of what quinn alone does.
const HANDSHAKES_PERCENT: f64 = 80.0;

fn handshakes(all: &Handshakes) -> Vec<Row> {
    let Handshakes { gateway, quinn } = all;
    let share = gateway.per_second.times(&quinn.per_second).scaled(100.0);
    let alone = |what: &str| format!("quinn alone {what}");
    let per_second = Unit::PerSecond.show(quinn.per_second.median().round());
    let cpu = Unit::Microseconds.show(quinn.cpu_us.median());
    vec![
        Row::median("handshakes over QUIC, of quinn alone", &share, Unit::Percent)
            .beside(alone(&per_second))
            .target(Target::AtLeast(HANDSHAKES_PERCENT)),
        Row::median("handshakes over QUIC", &gateway.per_second.rounded(), Unit::PerSecond)
            .beside(LIMITS),
        Row::median("CPU time of a handshake", &gateway.cpu_us, Unit::Microseconds)
            .beside(alone(&cpu)),
    ]
}

/// Of what the others get without the stuck one.
const LATER_PERCENT: f64 = 10.0;
/// A client's queue and what QUIC keeps for it, twice: buffers are larger than what is in them.
const GROWN_MIB: f64 = 20.0;

fn stuck(all: &Stuck) -> Vec<Row> {
    let over = all.over.name();
    let load = format!("{} others, {RATE} messages/s of {PAYLOAD_BYTES} B", SUBSCRIBERS - 1);
    let without = format!("all read {}", Unit::Milliseconds.show(all.without.p99.median()));
    let later = all.with.p99.percent_above(&all.without.p99);
    let uncounted = all.missed.abs_diff(all.dropped);
    vec![
        Row::median(
            format!("p99 of the others over {over}, all read"),
            &all.without.p99,
            Unit::Milliseconds,
        )
        .beside(load),
        Row::median(
            format!("p99 of the others over {over}, one is stuck, above"),
            &later,
            Unit::Percent,
        )
        .beside(without)
        .target(Target::AtMost(LATER_PERCENT)),
        Row::median(
            format!("the longest wait of the others over {over} while its queue fills"),
            &all.falling.most,
            Unit::Milliseconds,
        )
        .beside(format!("all read {}", Unit::Milliseconds.show(all.without.most.median()))),
        Row::median(
            format!("memory for a stuck subscriber over {over}"),
            &all.grown_bytes.scaled(1.0 / f64::from(1 << 20)),
            Unit::Mebibytes,
        )
        .beside("most resident, above all read")
        .target(Target::AtMost(GROWN_MIB)),
        Row::new(
            format!("messages that it missed over {over}, not counted"),
            uncounted as f64,
            Unit::Count,
        )
        .beside(format!("dropped and counted {}", all.dropped))
        .target(Target::AtMost(0.0)),
    ]
}

/// What a gateway may take by default to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(25);

fn stop(stop: &Stop) -> Vec<Row> {
    let Stop { seen, exit_code, took } = stop;
    let errors: Vec<_> =
        seen.errors.iter().map(|(code, count)| format!("{count} {code}")).collect();
    let calls = format!(
        "of {} that a provider got, of {}; {} results, {}; {} were on their way when their caller was told",
        seen.asked,
        seen.calls,
        seen.results,
        errors.join(", "),
        seen.without_reply - seen.accepted_without_reply,
    );
    let code = exit_code.map_or(f64::NAN, f64::from);
    vec![
        Row::new("accepted calls without a reply", seen.accepted_without_reply as f64, Unit::Count)
            .beside(calls)
            .target(Target::AtMost(0.0)),
        Row::new("clients that were not told", (seen.clients - seen.told) as f64, Unit::Count)
            .beside(format!("of {}", seen.clients))
            .target(Target::AtMost(0.0)),
        Row::new("exit code", code, Unit::Count).target(Target::AtMost(0.0)),
        Row::new("SIGTERM to exit", took.as_secs_f64() * 1e3, Unit::Milliseconds)
            .beside("grace")
            .target(Target::AtMost(GRACE.as_secs_f64() * 1e3)),
    ]
}
