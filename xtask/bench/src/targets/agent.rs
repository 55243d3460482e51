//! The rows of the agent. It measures nothing.

use super::{MAPS_MIB, RESIDENT_MIB, TOLD_MS, mebibytes, missing};
use crate::agent::{Agent, Caller, Growth, Held, Pressure};
use crate::table::{Row, Section, Target, Unit};
use crate::worker::Operation;

pub fn sections(agent: &Agent) -> Vec<Section> {
    vec![
        Section { name: "The agent, its recorder off", rows: disarmed(agent) },
        Section { name: "The agent, a death", rows: deaths(agent) },
        Section { name: "The agent, memory", rows: memory(&agent.growth) },
        Section { name: "The agent, under pressure", rows: pressure(agent) },
    ]
}

/// What counts as no difference.
const DISARMED_PERCENT: f64 = 1.0;

fn disarmed(agent: &Agent) -> Vec<Row> {
    use Caller::{Tracked, Untracked};
    use Operation::{Getppid, Pipe, Spawn};
    let above = |what: &str, caller, operation| {
        let pair = agent.disarmed.of(caller, operation)?;
        let without = pair.without.median();
        let beside = match operation {
            Spawn => Unit::Microseconds.show(without / 1e3),
            _ => Unit::Nanoseconds.show(without),
        };
        let row = Row::median(what, &pair.with.percent_above(&pair.without), Unit::Percent);
        Some(row.beside(format!("without the tracer {beside}")))
    };
    let call = |what: &str, caller, operation| {
        Some(above(what, caller, operation)?.target(Target::AtMost(DISARMED_PERCENT)))
    };
    let rows = [
        call("getppid of any process, above no tracer", Untracked, Getppid),
        call("write to a pipe of any process, above no tracer", Untracked, Pipe),
        call("getppid in a watched container, above no tracer", Tracked, Getppid),
        call("write to a pipe in a watched container, above no tracer", Tracked, Pipe),
        above("fork + exec + exit of any process, above no tracer", Untracked, Spawn),
        above("fork + exec + exit in a watched container, above no tracer", Tracked, Spawn),
    ];
    let on_calls =
        Row::new("programs on system calls", agent.disarmed.on_calls as f64, Unit::Count)
            .beside("those on other hooks stay")
            .target(Target::AtMost(0.0));
    rows.into_iter().flatten().chain([on_calls]).collect()
}

fn deaths(agent: &Agent) -> Vec<Row> {
    let (latency, start) = (&agent.growth.latency, &agent.disarmed.start);
    let line = |what: &str, percent, target| {
        Row::new(what, latency.percentile(percent), Unit::Milliseconds)
            .beside(format!("{} deaths", latency.len()))
            .target(Target::AtMost(target))
    };
    let [p50, p99, verdict] = TOLD_MS;
    vec![
        line("death to its line on stdout, p50", 50.0, p50),
        line("death to its line on stdout, p99", 99.0, p99),
        line("death to its verdict, p99: the same line", 99.0, verdict),
        Row::median("start of tracer run until it is ready", start, Unit::Milliseconds)
            .target(Target::Below(1000.0)),
    ]
}

/// What counts as flat, from a tenth of the starts to the last.
const GROWTH_MIB: f64 = 1.0;

fn memory(growth: &Growth) -> Vec<Row> {
    let Growth { amount, idle, tracked, early, late, .. } = growth;
    let show = |bytes| Unit::Mebibytes.show(mebibytes(bytes));
    let resident = |what: String, held: &Held| {
        let (anonymous, of_files) = (show(held.memory.anonymous), show(held.memory.of_files));
        Row::new(what, mebibytes(held.memory.now), Unit::Mebibytes)
            .beside(format!("RssAnon {anonymous}, RssFile {of_files}"))
            .target(Target::AtMost(RESIDENT_MIB))
    };
    let maps = |what: String, held: &Held| {
        Row::new(what, mebibytes(held.maps.now), Unit::Mebibytes)
            .beside(format!("{} were every entry in use", show(held.maps.full)))
            .target(Target::AtMost(MAPS_MIB))
    };
    let with = format!("with {} containers", amount.tracked);
    let after = format!("after {} starts", amount.starts);
    let flat = format!("growth from start {} to {}", amount.starts / 10, amount.starts);
    let grown = mebibytes(late.memory.now) - mebibytes(early.memory.now);
    vec![
        resident("resident (VmRSS), idle".to_owned(), idle),
        resident(format!("resident, {with}"), tracked),
        resident(format!("resident, {after}"), late),
        Row::new(flat, grown, Unit::Mebibytes)
            .beside(format!("{with} living on"))
            .target(Target::AtMost(GROWTH_MIB)),
        Row::new("resident, at most (VmHWM)", mebibytes(late.memory.most), Unit::Mebibytes),
        maps(format!("kernel maps, {with}"), tracked),
        maps(format!("kernel maps, {after}"), late),
        Row::new("starts a second meanwhile", growth.starts_per_second, Unit::PerSecond)
            .beside("each with a crash told and stored"),
    ]
}

fn pressure(agent: &Agent) -> Vec<Row> {
    let Agent { flood, storm, .. } = agent;
    let told = |pressure: &Pressure| {
        let Pressure { work, told, lost, .. } = pressure;
        format!("{} ended, {told} told, {lost} reported lost", work.ended)
    };
    let seconds = |pressure: &Pressure| format!("for {} s", pressure.seconds);
    let crashes = |what: &str, pressure: &Pressure| {
        let Pressure { deaths, deaths_told, .. } = pressure;
        Row::new(what, missing(*deaths, *deaths_told), Unit::Count)
            .beside(format!("{deaths} died, {deaths_told} lines"))
            .target(Target::AtMost(0.0))
    };
    let cpu = |what: &str, pressure: &Pressure| {
        Row::new(what, pressure.cpu_percent, Unit::Percent).beside("of one CPU")
    };
    let unaccounted = |what: &str, pressure: &Pressure| {
        Row::new(what, pressure.unaccounted() as f64, Unit::Count)
            .beside(told(pressure))
            .target(Target::AtMost(0.0))
    };
    let per_second = storm.work.ended as f64 / storm.seconds as f64;
    let calls = flood.work.calls_per_second.round();
    vec![
        Row::new("flood: failing calls a second", calls, Unit::PerSecond)
            .beside(seconds(flood))
            .target(Target::AtLeast(990_000.0)),
        unaccounted("flood: ends neither told nor counted as lost", flood),
        crashes("flood: deaths of other containers without a line", flood),
        cpu("flood: CPU time of the agent", flood).target(Target::Below(5.0)),
        Row::new("storm: processes a second", per_second, Unit::PerSecond).beside(seconds(storm)),
        unaccounted("storm: ends neither told nor counted as lost", storm),
        crashes("storm: deaths of other containers without a line", storm),
        Row::new("storm: records reported lost, of any kind", storm.all_lost as f64, Unit::Count),
        Row::new("storm: events without room in the store", storm.not_stored as f64, Unit::Count)
            .beside(format!("{} stored", storm.stored)),
        Row::new("storm: lines without room on stdout", storm.lines_lost as f64, Unit::Count),
        cpu("storm: CPU time of the agent", storm),
        Row::new("storm: resident, at most", mebibytes(storm.memory), Unit::Mebibytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Amount;
    use crate::process::{Maps, Memory};
    use crate::sample::Sample;

    fn held(mib: u64) -> Held {
        let now = mib << 20;
        let memory = Memory { now, most: now, anonymous: now / 2, of_files: now / 2 };
        Held { memory, maps: Maps { now: 5 << 20, full: 15 << 20 } }
    }

    #[test]
    fn memory_is_flat_by_what_is_held_after_a_tenth_of_the_starts() {
        let growth = Growth {
            amount: Amount { tracked: 100, deaths: 200, starts: 10_000 },
            idle: held(10),
            tracked: held(12),
            early: held(18),
            late: held(21),
            latency: Sample::default(),
            starts_per_second: 300.0,
        };
        let rows = memory(&growth);
        let of = |what: &str| rows.iter().find(|row| row.what == what).unwrap();
        let flat = of("growth from start 1000 to 10000");
        assert_eq!((flat.value, flat.met()), (3.0, Some(false)));
        assert_eq!(of("resident, with 100 containers").met(), Some(true));
        assert_eq!(of("resident, after 10000 starts").met(), Some(false));
    }
}
