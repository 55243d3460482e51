//! The rows of the table: which figure is compared with what, and what it must reach. It measures
//! nothing.

mod agent;
mod gateway;
mod store;
mod strain;

pub use self::gateway::sections as of_gateway;
pub use self::strain::sections as of_strain;

use super::agent::Agent;
use super::calls::{Condition, Rounds};
use super::deaths::Latency;
use super::pressure::Pressure;
use super::programs::Costs;
use super::sample::Sample;
use super::store::Store;
use super::table::{Row, Section, Target, Unit};
use super::worker::Operation;

/// What was measured of `tracer exec`.
#[derive(Debug)]
pub struct Measured {
    pub rounds: Rounds,
    pub costs: Costs,
    pub latency: Latency,
    pub flood: Pressure,
    pub storm: Pressure,
}

/// Rows of what was measured of the tracer, in the order of the table.
pub fn sections(
    exec: Option<&Measured>,
    agent: Option<&Agent>,
    store: Option<&Store>,
) -> Vec<Section> {
    let mut sections = exec.map(of_exec).unwrap_or_default();
    sections.extend(agent.into_iter().flat_map(agent::sections));
    sections.extend(store.map(store::section));
    sections
}

fn of_exec(measured: &Measured) -> Vec<Section> {
    vec![
        Section { name: "System calls", rows: calls(measured) },
        Section { name: "Fork, exec and exit", rows: spawns(measured) },
        Section { name: "Beside strace and bpftrace", rows: peers(&measured.rounds) },
        Section { name: "A death", rows: deaths(measured) },
        Section { name: "Memory", rows: memory(&measured.rounds) },
        Section { name: "Under pressure", rows: pressure(measured) },
    ]
}

/// Most that the recorder may cost above the empty program.
const UNTRACKED_NS: f64 = 10.0;
const TRACKED_NS: f64 = 15.0;

fn calls(measured: &Measured) -> Vec<Row> {
    use Condition::{Floor, Tracked, Untraced, Untracked};
    use Operation::{Getppid, Openat, Pipe, Words};
    let Measured { rounds, costs, .. } = measured;
    let clock = |what: &str, condition, beside, operation| {
        let other = rounds.of(beside, operation);
        let against = if beside == Floor { "with the empty program" } else { "untraced" };
        Row::median(what, &rounds.of(condition, operation).above(&other), Unit::Nanoseconds)
            .beside(format!("{against} {}", Unit::Nanoseconds.show(other.median())))
    };
    let empty = format!("empty program {}", Unit::Nanoseconds.show(costs.floor.median()));
    let own = |what: &str, cost: &Sample| {
        Row::median(what, &cost.above(&costs.floor), Unit::Nanoseconds).beside(empty.clone())
    };
    let tracked = |operation| costs.tracked.get(&operation).cloned().unwrap_or_default();
    vec![
        clock("the floor: an empty program on sys_exit, getppid", Floor, Untraced, Getppid),
        own("untracked getppid, above the floor, the program's own time", &costs.untracked)
            .target(Target::AtMost(UNTRACKED_NS)),
        clock("the same, by the clock", Untracked, Floor, Getppid)
            .target(Target::AtMost(UNTRACKED_NS)),
        own("tracked getppid, above the floor, the program's own time", &tracked(Getppid))
            .target(Target::AtMost(TRACKED_NS)),
        clock("the same, by the clock", Tracked, Floor, Getppid).target(Target::AtMost(TRACKED_NS)),
        own("tracked write to a pipe, above the floor, the program's own time", &tracked(Pipe))
            .target(Target::AtMost(TRACKED_NS)),
        clock("the same, by the clock", Tracked, Floor, Pipe).target(Target::AtMost(TRACKED_NS)),
        own("tracked write to stderr, its bytes kept, the program's own time", &tracked(Words)),
        own("tracked failing openat, the program's own time", &tracked(Openat)),
        clock("tracked failing openat, above untraced", Tracked, Untraced, Openat)
            .target(Target::AtMost(500.0)),
    ]
}

fn spawns(measured: &Measured) -> Vec<Row> {
    let Measured { rounds, costs, .. } = measured;
    let untraced = rounds.of(Condition::Untraced, Operation::Spawn);
    let above = rounds.of(Condition::Tracked, Operation::Spawn).percent_above(&untraced);
    let beside = format!("untraced {}", Unit::Microseconds.show(untraced.median() / 1e3));
    let empty = rounds.of(Condition::Floor, Operation::Spawn).percent_above(&untraced);
    let mut rows = vec![
        Row::median("tracked, above untraced", &above, Unit::Percent)
            .beside(beside)
            .target(Target::AtMost(3.0)),
        Row::median("with the empty program, above untraced", &empty, Unit::Percent),
    ];
    rows.extend(costs.hooks.iter().map(|(name, time)| {
        let time = Row::median(format!("{name}, one run of the program"), time, Unit::Nanoseconds);
        time.beside(format!("empty program {}", Unit::Nanoseconds.show(costs.floor.median())))
    }));
    rows
}

fn peers(rounds: &Rounds) -> Vec<Row> {
    use Condition::{Bpftrace, Floor, Strace, Tracked, Untraced};
    use Operation::{Getppid, Openat, Pipe, Spawn};
    // Both above the same base; ours counts as 1 ns at least, where noise makes it less.
    let times_ours = |what: &str, peer, base, operation| {
        let above = |of| rounds.of(of, operation).above(&rounds.of(base, operation)).median();
        let (theirs, ours) = (above(peer), above(Tracked));
        let show = |ns: f64| Unit::Microseconds.show(ns / 1e3);
        Row::new(what, theirs / ours.max(1.0), Unit::Times).beside(format!(
            "theirs {}, ours {}",
            show(theirs),
            show(ours)
        ))
    };
    let more = |what: &str, operation| {
        let (ours, theirs) = (rounds.of(Tracked, operation), rounds.of(Bpftrace, operation));
        Row::median(what, &ours.above(&theirs), Unit::Nanoseconds)
            .beside(format!("theirs {}", Unit::Nanoseconds.show(theirs.median())))
            .target(Target::AtMost(0.0))
    };
    let strace = |what, operation| {
        times_ours(what, Strace, Untraced, operation).target(Target::AtLeast(20.0))
    };
    let bpftrace =
        |what, operation| times_ours(what, Bpftrace, Floor, operation).target(Target::AtLeast(2.0));
    vec![
        strace("strace -f, getppid, above untraced", Getppid),
        strace("strace -f, failing openat, above untraced", Openat),
        strace("strace -f, fork + exec + exit, above untraced", Spawn),
        more("ours above bpftrace's, getppid", Getppid),
        more("ours above bpftrace's, write to a pipe", Pipe),
        bpftrace("bpftrace, failing openat, above the floor", Openat),
        bpftrace("bpftrace, fork + exec + exit, above the floor", Spawn),
    ]
}

/// From a death to its object or line: p50, p99; and to its verdict, p99.
const TOLD_MS: [f64; 3] = [2.0, 20.0, 200.0];

fn deaths(measured: &Measured) -> Vec<Row> {
    let Measured { rounds, latency, .. } = measured;
    let object = |what: &str, percent, target| {
        Row::new(what, latency.object.percentile(percent), Unit::Milliseconds)
            .beside(format!("{} deaths", latency.object.len()))
            .target(Target::AtMost(target))
    };
    let [p50, p99, verdict] = TOLD_MS;
    let load: Sample = rounds.load.scaled(1e-6);
    vec![
        object("death to its crash object on stdout, p50", 50.0, p50),
        object("death to its crash object on stdout, p99", 99.0, p99),
        object("death to its verdict, p99: the same object", 99.0, verdict),
        Row::median("death to the end of tracer exec", &latency.end, Unit::Milliseconds),
        Row::median("load, attach and start the command", &load, Unit::Milliseconds)
            .beside("above starting it alone")
            .target(Target::Below(1000.0)),
    ]
}

/// Resident size, and size of the kernel's maps.
const RESIDENT_MIB: f64 = 20.0;
const MAPS_MIB: f64 = 16.0;

fn memory(rounds: &Rounds) -> Vec<Row> {
    let mib = |what: &str, bytes: Vec<u64>| {
        let sample: Sample = bytes.into_iter().map(mebibytes).collect();
        Row::median(what, &sample, Unit::Mebibytes)
    };
    let memory = |of: fn(&super::process::Memory) -> u64| rounds.memory.iter().map(of).collect();
    let maps = |of: fn(&super::process::Maps) -> u64| rounds.maps.iter().map(of).collect();
    vec![
        mib("resident (VmRSS)", memory(|memory| memory.now))
            .beside("one life")
            .target(Target::AtMost(RESIDENT_MIB)),
        mib("resident while it loaded, at most (VmHWM)", memory(|memory| memory.most)),
        mib("of it, not backed by a file (RssAnon)", memory(|memory| memory.anonymous)),
        mib("kernel maps", maps(|maps| maps.now)).target(Target::AtMost(MAPS_MIB)),
        mib("kernel maps, were every entry in use", maps(|maps| maps.full))
            .beside("computed")
            .target(Target::AtMost(MAPS_MIB)),
    ]
}

fn pressure(measured: &Measured) -> Vec<Row> {
    let Measured { flood, storm, .. } = measured;
    let told = |pressure: &Pressure| {
        let Pressure { work, told, lost, .. } = pressure;
        format!("{} ended, {told} told, {lost} reported lost", work.ended)
    };
    let per_second = storm.work.ended as f64 / storm.seconds as f64;
    let seconds = |pressure: &Pressure| format!("for {} s", pressure.seconds);
    vec![
        Row::new(
            "flood: failing calls a second",
            flood.work.calls_per_second.round(),
            Unit::PerSecond,
        )
        .beside(seconds(flood))
        .target(Target::AtLeast(990_000.0)),
        Row::new("flood: deaths not told", missing(flood.work.ended, flood.told), Unit::Count)
            .beside(told(flood))
            .target(Target::AtMost(0.0)),
        Row::new("flood: CPU time of the tracer", flood.cpu_percent, Unit::Percent)
            .beside("of one CPU")
            .target(Target::Below(5.0)),
        Row::new("storm: processes a second", per_second, Unit::PerSecond).beside(seconds(storm)),
        Row::new(
            "storm: ends neither told nor counted as lost",
            storm.unaccounted() as f64,
            Unit::Count,
        )
        .beside(told(storm))
        .target(Target::AtMost(0.0)),
        Row::new("storm: records reported lost, of any kind", storm.all_lost as f64, Unit::Count),
        Row::new("storm: CPU time of the tracer", storm.cpu_percent, Unit::Percent)
            .beside("of one CPU"),
        Row::new("storm: resident, at most", mebibytes(storm.memory), Unit::Mebibytes)
            .beside("the whole timeline is kept"),
    ]
}

fn missing(ended: u64, told: u64) -> f64 {
    ended.saturating_sub(told) as f64
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
