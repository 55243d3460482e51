//! The types against what is published, both ways: every field is documented, every documented field is produced by a
//! sample (docs/crash.schema.json, docs/openapi.json).

use std::{borrow::Cow, collections::BTreeSet, fmt::Debug};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Candidate, Change, Changes, Container, CrashObject, Explanation, K8s, Observation, Reason,
    Refusal, crash_object,
    question::{CRASHES, Crashes, Death, EVENTS, EXPLAIN, Events, Shown, TIMELINE},
};
use crate::{
    linux::text::Text,
    node::identity::{Identity, Source},
    render::samples,
};

fn crash_schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/crash.schema.json")).unwrap()
}

fn api() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap()
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Nothing of it is unknown.
fn identity() -> Identity {
    let known = |text: &str| Some(text.to_owned());
    Identity {
        container_id: "0123456789abcdef".to_owned(),
        container_name: known("cart"),
        image: known("shop/cart:1"),
        image_id: known("sha256:ab"),
        attempt: Some(3),
        pod_name: known("cart-0"),
        pod_uid: known("uid"),
        namespace: known("shop"),
        labels: [("app".to_owned(), "cart".to_owned())].into(),
        runtime: known("containerd"),
        node: known("node1"),
        source: Source::Cri,
        lacks: known("its probes"),
    }
}

/// Every kind of entry, and bytes that are not UTF-8 wherever they can be.
fn objects() -> Vec<CrashObject> {
    let (mut timeline, facts, verdict) = samples::every_kind();
    let plain = crash_object("0123456789ab", &timeline, &facts, &verdict);
    let odd = Text(b"\xff".to_vec());
    for event in &mut timeline.entries {
        samples::rewrite(event, &odd);
    }
    let main = &mut timeline.processes.get_mut(&timeline.main).unwrap();
    main.comm = odd.clone();
    (main.runtime_init, main.kernel_thread) = (true, true);
    let hostile = crash_object("0123456789ab", &timeline, &facts, &verdict);
    let owned = |object| CrashObject {
        container: Some(Container::of(&identity())),
        k8s: K8s::of(&identity()),
        ..object
    };
    vec![owned(plain), owned(hostile)]
}

fn change<T>(from: T, to: T) -> Option<Change<T>> {
    Some(Change { from, to })
}

fn explanation() -> Explanation {
    let text = |text: &str| Some(text.to_owned());
    let changes = Changes {
        container_id: "0123456789ab".to_owned(),
        pod: text("cart-0"),
        began: "2001-02-03T04:05:06.004100000Z".to_owned(),
        ended: None,
        image: change(text("a"), text("b")),
        image_id: change(text("a"), text("b")),
        memory_limit_bytes: change(None, Some(1)),
        command: change(Vec::new(), vec!["a".to_owned()]),
        node: change(text("a"), None),
        cause: change(None, text("abort")),
        others: Map::new(),
    };
    let object = CrashObject { timeline: None, ..objects().remove(0) };
    Explanation { object, changes: Some(changes) }
}

/// Names of the fields of a value's types, there or not, as Debug shows them.
fn fields(value: &impl Debug) -> BTreeSet<String> {
    let shown = format!("{value:#?}");
    let fields = shown.lines().filter_map(|line| line.trim_start().split_once(": "));
    let is_name = |name: &&str| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    fields.map(|(name, _)| name).filter(is_name).map(str::to_owned).collect()
}

/// The places of all properties that a schema describes.
fn properties(schema: &Value, place: &str, out: &mut Vec<(String, String)>) {
    match schema {
        Value::Object(members) => {
            for (key, member) in members {
                let place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                if let ("properties", Value::Object(described)) = (key.as_str(), member) {
                    out.extend(
                        described.keys().map(|name| (name.clone(), format!("{place}/{name}"))),
                    );
                }
                properties(member, &place, out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                properties(item, &format!("{place}/{index}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn described(schema: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    properties(schema, "", &mut out);
    out
}

fn violations(schema: &Value, instance: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors = validator.iter_errors(instance);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn samples_keep_the_schema() {
    for object in objects() {
        assert_eq!(violations(&crash_schema(), &json(&object)), [] as [String; 0]);
    }
    assert_eq!(violations(&crash_schema(), &json(&explanation())), [] as [String; 0]);
}

#[test]
fn every_field_of_the_types_is_documented() {
    // Members that have no name in JSON, and one that has another there.
    let nameless = ["object", "what", "more", "others", "version"].map(str::to_owned);
    let schema = described(&crash_schema());
    let documented: BTreeSet<String> = schema.into_iter().map(|(name, _)| name).collect();
    // What hangs on the data, not on the types.
    let free = ["app", "path"].map(str::to_owned);
    let mut all = fields(&explanation());
    objects().iter().for_each(|object| all.extend(fields(object)));
    let unknown: Vec<&String> = all
        .difference(&documented)
        .filter(|name| !nameless.contains(name) && !free.contains(name))
        .collect();
    assert_eq!(unknown, [] as [&String; 0]);
}

/// Where a property is forbidden, some sample must break the schema.
#[test]
fn every_documented_field_is_produced() {
    let mut samples: Vec<Value> = objects().iter().map(json).collect();
    samples.push(json(&explanation()));
    let mut missing = Vec::new();
    for (_, place) in described(&crash_schema()) {
        let mut schema = crash_schema();
        *schema.pointer_mut(&place).unwrap() = json!(false);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        if samples.iter().all(|sample| validator.is_valid(sample)) {
            missing.push(place);
        }
    }
    assert_eq!(missing, [] as [String; 0]);
}

/// Names of the parameters of a path, as docs/openapi.json has them.
fn parameters(path: &str) -> BTreeSet<String> {
    let api = api();
    let listed = api["paths"][path]["get"]["parameters"].as_array().unwrap().iter();
    let listed = listed.map(|parameter| match parameter["$ref"].as_str() {
        Some(place) => api.pointer(place.strip_prefix('#').unwrap()).unwrap(),
        None => parameter,
    });
    let in_query = listed.filter(|parameter| parameter["in"] == "query");
    in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_parameters_of_each_path_are_those_of_its_question() {
    assert_eq!(parameters(CRASHES), fields(&Crashes::default()));
    assert_eq!(parameters("/v1/crashes/{id}"), fields(&Shown::default()));
    assert_eq!(parameters(TIMELINE), fields(&Death::default()));
    assert_eq!(parameters(EVENTS), fields(&Events::default()));
    // An explanation is JSON alone: what asks for colours is given none.
    let mut explain = fields(&Death::default());
    explain.remove("color");
    assert_eq!(parameters(EXPLAIN), explain);
}

#[test]
fn errors_and_events_are_as_the_api_describes_them() {
    let schema = |name: &str| api()["components"]["schemas"][name].clone();
    let candidate = Candidate { namespace: None, pod: Some("cart-0".to_owned()), crash_id: None };
    let error = Reason { message: "no".to_owned(), candidates: vec![candidate] };
    let refusal = Refusal { error };
    assert_eq!(violations(&schema("Error"), &json(&refusal)), [] as [String; 0]);
    let documented = described(&schema("Error")).into_iter().map(|(name, _)| name);
    assert_eq!(documented.collect::<BTreeSet<_>>(), fields(&refusal));

    let object = objects().remove(0);
    for entry in object.timeline.iter().flatten() {
        let observation = Observation {
            entry: Cow::Borrowed(entry),
            container: object.container.as_ref().map(Cow::Borrowed),
            k8s: object.k8s.as_ref().map(Cow::Borrowed),
        };
        let observation = json(&observation);
        assert_eq!(violations(&schema("Event"), &observation), [] as [String; 0]);
        for (name, _) in described(&schema("Event")) {
            assert!(observation.get(&name).is_some(), "no {name} in {observation}");
        }
    }
}
