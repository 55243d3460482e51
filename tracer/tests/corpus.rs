//! The recorded crash corpus, replayed: what the kernel said of real deaths goes through decoding, timeline and verdict
//! again, on any machine and without root. It must not know how the deaths were provoked.
#![allow(clippy::unwrap_used, reason = "a broken corpus must fail the test where it is broken")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::{prelude::*, sample::Index};
use serde_json::Value;
use tracer::{
    capture::{
        decode::{Arch, decode},
        event::{Event, What},
    },
    contract::{CrashObject, What as Known, crash_object},
    diagnose::{
        timeline::Timeline,
        verdict::{Cause, Terms, Verdict, incidents, verdict},
    },
    exec::Recording,
};

/// One recorded death and what must be said of it.
struct Death {
    name: String,
    folder: PathBuf,
    expected: Value,
}

impl Death {
    fn replay(&self, words: bool) -> (Recording, Verdict) {
        let recording = Recording::load(&self.folder, words)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.name));
        let verdict = verdict(&recording.timeline, &recording.facts, &Terms::default());
        (recording, verdict)
    }

    fn object(&self, words: bool) -> Value {
        let (recording, verdict) = self.replay(words);
        serde_json::to_value(object(&recording, &verdict)).unwrap()
    }
}

fn object(recording: &Recording, verdict: &Verdict) -> CrashObject {
    crash_object("0123456789ab", &recording.timeline, &recording.facts, verdict)
}

fn docs(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

fn corpus() -> Vec<Death> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let mut deaths: Vec<Death> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("no corpus at {}: {error}", folder.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let expected = fs::read(entry.path().join("death.json")).unwrap();
            let expected = serde_json::from_slice(&expected).unwrap();
            Death { name, folder: entry.path(), expected }
        })
        .collect();
    deaths.sort_by(|a, b| a.name.cmp(&b.name));
    deaths
}

/// Checks every death; panics with all that were wrong.
fn every_death(check: impl Fn(&Death) -> Result<(), String>) {
    let wrong: Vec<String> = corpus()
        .iter()
        .filter_map(|death| Some(format!("{}: {}", death.name, check(death).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn same(what: &str, is: &Value, expected: &Value) -> Result<(), String> {
    if is == expected { Ok(()) } else { Err(format!("{what} is {is}, expected {expected}")) }
}

/// Whether a string of `value`, or a number as text, contains `said`.
fn says(value: &Value, said: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => value.to_string() == said,
        Value::Number(number) => number.to_string() == said,
        Value::String(string) => string.contains(said),
        Value::Array(items) => items.iter().any(|item| says(item, said)),
        Value::Object(members) => members.values().any(|member| says(member, said)),
    }
}

#[test]
fn every_recorded_death_gets_its_verdict() {
    every_death(|death| {
        let object = death.object(true);
        let (crash, expected) = (&object["crash"], &death.expected);
        same("cause", &crash["cause"], &expected["cause"])?;
        if !expected["confidence"].is_null() {
            same("confidence", &crash["confidence"], &expected["confidence"])?;
        }
        same("exit", &object["exit"], &expected["exit"])?;
        let told = ["summary", "evidence", "next_step", "details"].map(|key| &crash[key]);
        for said in expected["says"].as_array().ok_or("no says")? {
            let said = said.as_str().ok_or("says is no list of strings")?;
            if !told.iter().any(|value| says(value, said)) {
                return Err(format!("nothing in it says {said:?}: {}", crash["summary"]));
            }
        }
        Ok(())
    });
}

/// A grep over stderr is not what this is. Only an end that nothing but its last words explains may lose by it:
/// an error, an exception, a limit that a runtime keeps for itself.
#[test]
fn without_captured_output_the_cause_is_the_same() {
    every_death(|death| {
        let (recording, verdict) = death.replay(false);
        // What a runtime's init says before it becomes the command is no output.
        let mut entries = recording.timeline.entries.iter();
        if entries.any(|e| matches!(e.what, What::Words(_)) && !e.process.runtime_init) {
            return Err("it still has its output".to_owned());
        }
        let expected = &death.expected["cause"];
        let by_words = [
            Cause::ExitedWithError,
            Cause::TlsFailed,
            Cause::UncaughtException,
            Cause::HeapExhausted,
        ];
        if by_words.iter().any(|cause| expected == cause.name()) {
            return Ok(());
        }
        same("cause", &Value::from(verdict.cause.name()), expected)
    });
}

#[test]
fn every_crash_object_keeps_its_schema() {
    let schema = serde_json::from_slice(&docs("crash.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    every_death(|death| {
        for words in [true, false] {
            let object = death.object(words);
            if let Some(error) = validator.iter_errors(&object).next() {
                return Err(format!("{}: {error}", error.instance_path()));
            }
        }
        Ok(())
    });
}

#[test]
fn every_crash_object_is_read_as_it_was_written() {
    every_death(|death| {
        let (recording, verdict) = death.replay(true);
        let written = serde_json::to_string(&object(&recording, &verdict)).unwrap();
        let read: CrashObject = serde_json::from_str(&written).map_err(|e| e.to_string())?;
        let mut entries = read.timeline.iter().flatten();
        if let Some(entry) = entries.find(|entry| matches!(entry.what, Known::Unknown(_))) {
            return Err(format!("it is not read: {entry:?}"));
        }
        let again = serde_json::to_string(&read).unwrap();
        if again == written { Ok(()) } else { Err(format!("{written}\nbecame\n{again}")) }
    });
}

#[test]
fn every_verdict_cites_entries_that_are_there() {
    every_death(|death| {
        for words in [true, false] {
            let (recording, verdict) = death.replay(words);
            if verdict.evidence.is_empty() {
                return Err("no evidence".to_owned());
            }
            let entries = recording.timeline.entries.len();
            let mut cited = verdict.evidence.iter().flat_map(|evidence| &evidence.timeline);
            if let Some(index) = cited.find(|index| **index >= entries) {
                return Err(format!("it cites entry {index} of {entries}"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_recording_is_of_the_death_whose_name_it_bears() {
    every_death(|death| {
        same("name", &death.expected["name"], &Value::from(death.name.clone()))?;
        let about = fs::read(death.folder.join("recording.json")).map_err(|e| e.to_string())?;
        let about: Value = serde_json::from_slice(&about).map_err(|e| e.to_string())?;
        for key in ["kernel", "object_sha256"] {
            same(key, &death.expected[key], &about[key])?;
        }
        Ok(())
    });
}

/// Waits that a clock decides are as long on a busy node as on an idle one.
const CLOCKED_NS: u64 = 250_000_000;

/// When things happened, had all work since the first exec taken `slowness` times as long.
struct Slowed {
    slowness: u64,
    /// Moments as they were and as they are, in order.
    moments: Vec<(u64, u64)>,
}

impl Slowed {
    fn new(events: &[Event], slowness: u64) -> Self {
        let first = events.iter().find(|event| matches!(event.what, What::Exec(_)));
        let began_ns = first.or(events.first()).map_or(0, |event| event.time_ns);
        let mut times: Vec<u64> = events.iter().map(|event| event.time_ns).collect();
        times.retain(|time_ns| *time_ns >= began_ns);
        times.sort_unstable();
        times.dedup();
        let mut moments: Vec<(u64, u64)> = Vec::new();
        for time_ns in times {
            let (was, is) = moments.last().copied().unwrap_or((time_ns, time_ns));
            let gap_ns = time_ns - was;
            let factor = if gap_ns <= CLOCKED_NS { slowness } else { 1 };
            moments.push((time_ns, is + gap_ns * factor));
        }
        Self { slowness, moments }
    }

    fn at(&self, time_ns: u64) -> u64 {
        let before = self.moments.partition_point(|(was, _)| *was <= time_ns);
        let Some((was, is)) = before.checked_sub(1).map(|at| self.moments[at]) else {
            return time_ns;
        };
        let next = self.moments.get(before).map_or(u64::MAX, |(_, is)| *is);
        is.saturating_add((time_ns - was).saturating_mul(self.slowness)).min(next)
    }

    fn event(&self, mut event: Event) -> Event {
        event.time_ns = self.at(event.time_ns);
        event.process.id.start_ns = self.at(event.process.id.start_ns);
        if let What::Signal(signal) = &mut event.what {
            signal.sender.id.start_ns = self.at(signal.sender.id.start_ns);
        }
        if let What::Oom(oom) = &mut event.what {
            oom.trigger.id.start_ns = self.at(oom.trigger.id.start_ns);
        }
        event
    }
}

/// A death on a node where all processors are busy is the same death.
#[test]
fn on_a_slow_node_the_cause_is_the_same() {
    every_death(|death| {
        for words in [true, false] {
            let (recording, expected) = death.replay(words);
            for slowness in [3, 10, 20] {
                let events = recording.timeline.entries.clone();
                let slowed = Slowed::new(&events, slowness);
                let events = events.into_iter().map(|event| slowed.event(event)).collect();
                let timeline = Timeline::build(events).map_err(|error| error.to_string())?;
                let verdict = verdict(&timeline, &recording.facts, &Terms::default());
                let how = format!("the cause {slowness} times slower, words {words}");
                same(&how, &verdict.cause.name().into(), &expected.cause.name().into())?;
                same(&how, &verdict.blamed.pid.into(), &expected.blamed.pid.into())?;
            }
        }
        Ok(())
    });
}

/// The records of every recorded death, each death's in their order.
fn records() -> Vec<Vec<Vec<u8>>> {
    corpus().iter().map(|death| death.replay(true).0.records).collect()
}

/// Changes to a record: bytes set, and its end cut off or padded with zeros.
#[derive(Clone, Debug)]
struct Damage {
    changes: Vec<(Index, u8)>,
    cut: Option<Index>,
    padding: usize,
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..12);
        let cut = prop_oneof![3 => Just(None), 1 => any::<Index>().prop_map(Some)];
        (changes, cut, 0..9_usize).prop_map(|(changes, cut, padding)| Self {
            changes,
            cut,
            padding,
        })
    }

    fn apply(&self, record: &mut Vec<u8>) {
        for (place, value) in &self.changes {
            let place = place.index(record.len());
            record[place] = *value;
        }
        if let Some(cut) = &self.cut {
            record.truncate(cut.index(record.len()));
        }
        record.resize(record.len() + self.padding, 0);
    }
}

#[test]
fn damaged_real_records_never_make_a_decoder_panic() {
    let records: Vec<Vec<u8>> = records().concat();
    let mut runner = runner(4096);
    let case = (prop::sample::select(records), Damage::any());
    runner
        .run(&case, |(mut record, damage)| {
            damage.apply(&mut record);
            if let Ok(events) = decode(&record, Arch::X86_64) {
                prop_assert!(!events.is_empty());
            }
            Ok(())
        })
        .unwrap();
}

/// Records lost, doubled, out of order or with other contents: a verdict still comes, and cites what is there.
#[test]
fn a_damaged_recording_still_gets_a_verdict() {
    let deaths: Vec<Recording> = corpus().iter().map(|death| death.replay(true).0).collect();
    let mut runner = runner(512);
    let damage = prop::collection::vec((any::<Index>(), Damage::any()), 0..6);
    let moves = prop::collection::vec((any::<Index>(), any::<Index>()), 0..6);
    let lost = prop::collection::vec(any::<Index>(), 0..6);
    let case = (0..deaths.len(), damage, moves, lost);
    runner
        .run(&case, |(death, damage, moves, lost)| {
            let mut records = deaths[death].records.clone();
            for (index, damage) in damage {
                let index = index.index(records.len());
                // Sizes stay, so that most are still accepted.
                Damage { cut: None, padding: 0, ..damage }.apply(&mut records[index]);
            }
            for (from, to) in moves {
                let record = records[from.index(records.len())].clone();
                records.insert(to.index(records.len()), record);
            }
            for index in lost {
                if records.len() > 1 {
                    records.remove(index.index(records.len()));
                }
            }
            let decoded = records.iter().filter_map(|record| decode(record, Arch::X86_64).ok());
            let Ok(timeline) = Timeline::build(decoded.flatten().collect()) else {
                return Ok(());
            };
            let facts = &deaths[death].facts;
            let said = verdict(&timeline, facts, &Terms::default());
            let entries = timeline.entries.len();
            let cited = said.evidence.iter().flat_map(|evidence| &evidence.timeline);
            prop_assert!(cited.into_iter().all(|index| *index < entries));
            incidents(&timeline, facts);
            crash_object("0123456789ab", &timeline, facts, &said);
            Ok(())
        })
        .unwrap();
}

/// A failure prints the smallest case that fails; no files are left behind.
fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
}
