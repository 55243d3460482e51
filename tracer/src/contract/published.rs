//! The crash object against its published contract: docs/crash.schema.json and docs/events.md.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::{Value, json};

use super::{
    Container, CrashObject, Entry, Gap, K8s, KINDS, Line, Observation, What as Known, crash_object,
    entry, names,
};
use crate::{capture::event::What, diagnose::verdict::Cause, linux::text::Text, render::samples};

const SCHEMA: &str = include_str!("../../../docs/crash.schema.json");
const EVENTS: &str = include_str!("../../../docs/events.md");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn violations(instance: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let errors = validator.iter_errors(instance);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn every_kind() -> Value {
    let (timeline, facts, verdict) = samples::every_kind();
    serde_json::to_value(crash_object("0123456789ab", &timeline, &facts, &verdict)).unwrap()
}

fn entries() -> Vec<Value> {
    every_kind()["timeline"].as_array().unwrap().clone()
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::meta::validate(&schema()).unwrap();
}

#[test]
fn crash_objects_keep_the_schema() {
    let (timeline, facts, verdict) = samples::missing_file();
    let mut object = crash_object("0123456789ab", &timeline, &facts, &verdict);
    assert_eq!(violations(&serde_json::to_value(&object).unwrap()), [] as [String; 0]);
    object.timeline = None;
    object.container = Some(Container { id: "0123456789ab".to_owned(), ..Container::default() });
    assert_eq!(violations(&serde_json::to_value(&object).unwrap()), [] as [String; 0]);
}

#[test]
fn every_entry_keeps_the_schema() {
    let (timeline, facts, verdict) = samples::every_kind();
    for event in timeline.entries {
        let one = samples::timeline(vec![event]);
        let object = serde_json::to_value(crash_object("x", &one, &facts, &verdict)).unwrap();
        assert_eq!(violations(&object), [] as [String; 0], "{:#}", object["timeline"][0]);
    }
}

#[test]
fn every_kind_is_sampled() {
    let (timeline, ..) = samples::every_kind();
    let sampled: BTreeSet<_> = timeline.entries.iter().map(|e| names::kind(&e.what)).collect();
    assert_eq!(sampled, BTreeSet::from(KINDS));
}

#[test]
fn the_schema_refuses_what_it_does_not_describe() {
    for (index, entry) in entries().iter().enumerate() {
        let mut object = every_kind();
        object["timeline"] = json!([entry]);
        object["timeline"][0]["surprise"] = json!(1);
        assert_ne!(violations(&object), [] as [String; 0], "entry {index} with a surprise");
    }
    let mut object = every_kind();
    object["timeline"][0]["kind"] = json!("unheard_of");
    assert_ne!(violations(&object), [] as [String; 0]);
}

#[test]
fn the_schema_lists_the_causes_in_their_order() {
    let listed = schema()["$defs"]["crash"]["properties"]["cause"]["enum"].clone();
    let causes: Vec<_> = Cause::ALL.iter().map(|cause| cause.name()).collect();
    assert_eq!(listed, json!(causes));
}

fn hostile() -> Text {
    Text(b"\xff\0\n\"".to_vec())
}

#[test]
fn bytes_that_are_not_utf8_keep_the_schema_everywhere() {
    let (mut timeline, facts, verdict) = samples::every_kind();
    for event in &mut timeline.entries {
        samples::rewrite(event, &hostile());
    }
    let object = serde_json::to_value(crash_object("x", &timeline, &facts, &verdict)).unwrap();
    assert_eq!(violations(&object), [] as [String; 0]);
}

#[test]
fn offsets_count_from_the_beginning_of_the_life() {
    let event = samples::event(5, What::CallsForgotten(1));
    assert_eq!(entry(&event, 2, 0).offset_ns, 3);
    assert_eq!(entry(&event, 9, 0).offset_ns, -4);
    assert_eq!(entry(&event, u64::MAX, 0).offset_ns, i64::MIN);
}

/// The section of docs/events.md under a heading, to the next one.
fn section(name: &str) -> &'static str {
    let heading = format!("\n## {name}\n");
    let start = EVENTS.find(&heading).unwrap_or_else(|| panic!("docs/events.md has no {heading}"));
    let body = &EVENTS[start + heading.len()..];
    body.split("\n## ").next().unwrap_or_default()
}

#[test]
fn every_kind_has_a_section_that_names_its_fields() {
    let common = section("Every entry");
    for entry in entries() {
        let kind = entry["kind"].as_str().unwrap();
        let own = section(kind);
        let mut keys = BTreeSet::new();
        collect_keys(&entry, &mut keys);
        for key in keys {
            let plain = key.strip_suffix("_b64").unwrap_or(&key);
            let mention = format!("`{plain}`");
            assert!(
                own.contains(&mention) || common.contains(&mention),
                "docs/events.md#{kind} does not mention {mention}"
            );
        }
    }
}

#[test]
fn no_section_is_about_a_kind_that_does_not_exist() {
    let headings = EVENTS.lines().filter_map(|line| line.strip_prefix("## "));
    let headings: Vec<_> = headings.filter(|heading| *heading != "Every entry").collect();
    assert_eq!(headings, KINDS);
}

fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                collect_keys(value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads what was written, and writes it again.
fn again<T: serde::de::DeserializeOwned + serde::Serialize>(json: &str) -> String {
    serde_json::to_string(&serde_json::from_str::<T>(json).unwrap()).unwrap()
}

#[test]
fn what_is_written_is_read_and_written_again_to_the_byte() {
    let (mut timeline, facts, verdict) = samples::every_kind();
    for is_hostile in [false, true] {
        if is_hostile {
            let entries = timeline.entries.iter_mut();
            entries.for_each(|event| samples::rewrite(event, &hostile()));
        }
        let object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        let json = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<CrashObject>(&json).unwrap(), object);
        assert_eq!(again::<CrashObject>(&json), json);
        assert!(matches!(serde_json::from_str(&json).unwrap(), Line::Crash(_)));
        for entry in object.timeline.into_iter().flatten() {
            assert!(!matches!(entry.what, Known::Unknown(_)), "{entry:?}");
            let of = Observation {
                entry: Cow::Owned(entry),
                container: Some(Cow::Owned(Container::default())),
                k8s: Some(Cow::Owned(K8s::of_node("a"))),
            };
            let json = serde_json::to_string(&of).unwrap();
            assert_eq!(again::<Observation<'_>>(&json), json);
            let Line::Observation(read) = serde_json::from_str(&json).unwrap() else {
                panic!("{json}");
            };
            assert_eq!(*read, of);
        }
    }
    let gap = serde_json::to_string(&Gap::of_lines(3)).unwrap();
    assert_eq!(gap, r#"{"kind":"lost","of":"lines","count":3}"#);
    assert_eq!(again::<Gap>(&gap), gap);
    assert!(matches!(serde_json::from_str(&gap).unwrap(), Line::Gap(_)));
}

#[test]
fn an_entry_of_a_later_version_is_read_as_far_as_it_is_known() {
    let read = |json: Value| serde_json::from_value::<Entry>(json).unwrap();
    let mut entries = entries();
    for entry in &mut entries {
        let known = read(entry.clone());
        entry["surprise"] = json!({"a": 1});
        entry["process"]["surprise"] = json!([1]);
        assert_eq!(read(entry.clone()), known);
    }
    // A kind that is not known, and one whose fields have become others.
    for (kind, field) in [("rumour", json!(1)), ("exit", json!("all of it"))] {
        let mut entry = entries[0].clone();
        entry["kind"] = json!(kind);
        entry["exit"] = field;
        entry.as_object_mut().unwrap().shift_remove("process");
        let read = read(entry.clone());
        assert_eq!(read.what.kind(), kind);
        assert!(matches!(read.what, Known::Unknown(_)), "{read:?}");
        assert_eq!(serde_json::to_value(&read).unwrap()["exit"], entry["exit"]);
    }
}

#[test]
fn a_word_of_a_later_version_is_kept() {
    let (timeline, facts, verdict) = samples::every_kind();
    let object = crash_object("x", &timeline, &facts, &verdict);
    let words = [("stream", "words"), ("change", "cgroup"), ("result", "signal"), ("of", "lost")];
    for (field, kind) in words {
        let of_kind = |entry: &&Entry| entry.what.kind() == kind;
        let entry = object.timeline.iter().flatten().find(of_kind).unwrap();
        let mut entry = serde_json::to_value(entry).unwrap();
        entry[field] = json!("unheard_of");
        let read: Entry = serde_json::from_value(entry.clone()).unwrap();
        assert!(!matches!(read.what, Known::Unknown(_)), "{read:?}");
        assert_eq!(serde_json::to_value(&read).unwrap(), entry);
    }
}
