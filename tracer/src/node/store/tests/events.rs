//! Events: what goes in comes out, and what is asked of them.

use proptest::prelude::*;

use super::*;
use crate::exec::Recording;

#[test]
fn every_entry_of_the_corpus_comes_back_as_it_was() {
    let site = Site::new();
    let writer = site.writer();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let mut told = Vec::new();
    for folder in std::fs::read_dir(corpus).unwrap() {
        let recording = Recording::load(&folder.unwrap().path(), true).unwrap();
        let (timeline, facts) = (&recording.timeline, &recording.facts);
        told.extend(timeline.entries.iter().map(|event| {
            crate::contract::entry(event, timeline.began_ns, facts.machine.boot_offset_ns)
        }));
    }
    told.iter().for_each(|entry| writer.event(&key(1), entry));
    committed(writer.flush());
    let mut stored = events(&site.reader(), EventFilter::default());
    for event in &mut stored {
        let container = event.as_object_mut().unwrap().shift_remove("container");
        assert_eq!(container, Some(json!({"id": container_id(1)})));
    }
    assert!(told.len() > 1000);
    let stored: Vec<String> = stored.iter().map(Value::to_string).collect();
    let lines = told.iter().map(|entry| serde_json::to_string(entry).unwrap());
    assert_eq!(stored, lines.collect::<Vec<_>>());
    assert_eq!(writer.statistics().events, told.len() as u64);
}

#[test]
fn events_are_selected() {
    let site = Site::new();
    let writer = site.writer();
    for (number, pod) in [(1, "a"), (2, "b")] {
        writer.life(life(number, pod));
    }
    // 300 s of events, so that the rows from a time on are searched for.
    for second in 0..3000 {
        let kind = if second % 10 == 0 { "exec" } else { "exit" };
        writer.event(&key(1 + second % 2), &entry(THEN + i64::from(second) * SECOND / 10, kind));
    }
    committed(writer.flush());
    let reader = site.reader();
    let count = |filter: EventFilter| events(&reader, filter).len();
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(count(EventFilter::default()), 3000);
    assert_eq!(count(EventFilter { pod: name("b"), ..EventFilter::default() }), 1500);
    assert_eq!(
        count(EventFilter { container_id: name("000000000001"), ..EventFilter::default() }),
        1500
    );
    assert_eq!(count(EventFilter { namespace: name("none"), ..EventFilter::default() }), 0);
    assert_eq!(
        count(EventFilter { kinds: vec!["exec".to_owned()], ..EventFilter::default() }),
        300
    );
    let since_ns = Some(THEN + 290 * SECOND);
    assert_eq!(count(EventFilter { since_ns, ..EventFilter::default() }), 100);
    assert_eq!(count(EventFilter { since_ns: Some(i64::MIN), ..EventFilter::default() }), 3000);
    assert_eq!(count(EventFilter { until_ns: since_ns, ..EventFilter::default() }), 2900);
    let labels: LabelTest = Arc::new(|labels| labels.is_empty());
    assert_eq!(count(EventFilter { labels: Some(labels), ..EventFilter::default() }), 0);
}

#[test]
fn a_follower_goes_on_where_it_was() {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    committed(writer.flush());
    let reader = site.reader();
    assert_eq!(reader.last_row().unwrap(), 0);
    let mut after_row = 0;
    for second in 0..3 {
        writer.event(&key(1), &entry(THEN + second * SECOND, "exec"));
        committed(writer.flush());
        let new: Vec<_> = reader
            .events(EventFilter { after_row, ..EventFilter::default() })
            .map(Result::unwrap)
            .collect();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].event.k8s.as_ref().and_then(|k8s| k8s.pod_name()), Some("a"));
        after_row = new[0].row;
    }
    assert_eq!(reader.last_row().unwrap(), after_row);
}

#[test]
fn late_names_are_those_of_earlier_events() {
    let site = Site::new();
    let writer = site.writer();
    writer.event(&key(1), &entry(THEN, "exec"));
    committed(writer.flush());
    writer.life(life(1, "a"));
    committed(writer.flush());
    let filter = EventFilter { pod: Some("a".to_owned()), ..EventFilter::default() };
    assert_eq!(events(&site.reader(), filter).len(), 1);
}

#[test]
fn what_has_no_time_is_refused_and_counted() {
    let site = Site::new();
    let writer = site.writer();
    writer.event(&key(1), &Entry { time: "now".to_owned(), ..entry(THEN, "exec") });
    assert_eq!(writer.statistics().refused, 1);
}

#[test]
fn anybodys_sqlite_can_read_the_events() {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    writer.event(&key(1), &entry(THEN, "call"));
    committed(writer.crash(crash(1, "segfault")));
    let row: (String, String, String, String) = sqlite(&site.path())
        .query_row("SELECT time, pod, process, fields FROM event_list", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!((row.0.as_str(), row.1.as_str()), ("2001-02-03T04:05:06.000Z", "a"));
    assert_eq!(
        row.2,
        r#"{"pid":4242,"creation.time":"2001-02-03T04:05:06.000000000Z","comm":"app","user.id":0}"#
    );
    assert_eq!(
        row.3,
        r#"{"errno":"ENOENT","file.path":"/etc/app.yml","file.truncated":false,"arguments":["0x1","0x2"]}"#
    );
    let cause: String = sqlite(&site.path())
        .query_row("SELECT cause FROM crash_list", [], |row| row.get(0))
        .unwrap();
    assert_eq!(cause, "segfault");
}

fn hostile() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just("\u{0}".to_owned()),
        Just("'; DROP TABLE events; --".to_owned()),
        Just("\\xff\\".to_owned()),
        Just("\u{1b}[2J\u{202e}\u{fffd}\"".to_owned()),
        Just("?1 :a @b $c %s".to_owned()),
        Just("x\u{0}\n".repeat(100 << 10)),
        any::<String>(),
    ];
    prop::collection::vec(odd, 0..3).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn hostile_text_comes_back_as_it_was(text in hostile(), pod in hostile()) {
        let site = Site::new();
        let writer = site.writer();
        let mut odd = words(THEN, &text);
        odd.process.comm = Some(text.clone());
        let mut life = life(1, &pod);
        life.command = vec![text.clone()];
        writer.life(life.clone());
        writer.event(&key(1), &odd);
        let mut told = crash(1, "abort");
        told.object.crash.summary = text.clone();
        told.text = text.clone();
        committed(writer.crash(told));

        let reader = site.reader();
        let stored = events(&reader, EventFilter { pod: Some(pod.clone()), ..EventFilter::default() });
        prop_assert_eq!(stored.len(), 1);
        prop_assert_eq!(stored[0]["text"].as_str(), Some(text.as_str()));
        prop_assert_eq!(stored[0]["process"]["comm"].as_str(), Some(text.as_str()));
        let selector = Selector::Pod { name: pod, namespace: None, container: None, previous: 0 };
        let crash = reader.crash(&selector).unwrap().unwrap();
        prop_assert_eq!(&crash.object.crash.summary, &text);
        prop_assert!(crash.text == text || text.len() > 1 << 20);
        prop_assert_eq!(reader.living(BOOT).unwrap(), vec![life]);
    }
}

/// Three events and a crash, of which something inside is not as it was written.
fn damaged(damage: &[&str]) -> Site {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    for (second, kind) in [(1, "call"), (2, "exec"), (3, "exit")] {
        writer.event(&key(1), &entry(THEN + second * SECOND, kind));
    }
    committed(writer.crash(crash(1, "abort")));
    let store = sqlite(&site.path());
    damage.iter().for_each(|sql| assert!(store.execute(sql, []).unwrap() > 0, "{sql}"));
    site
}

#[test]
fn an_event_that_cannot_be_read_costs_what_is_wrong_in_it_alone() {
    let pid = "UPDATE processes SET body = replace(body, '4242', '\"many\"')";
    let seen = events(&damaged(&[pid]).reader(), EventFilter::default());
    assert_eq!(seen.len(), 3);
    assert_eq!(
        (&seen[0]["process"]["comm"], &seen[0]["process"]["pid"]),
        (&json!("app"), &json!(0))
    );

    let (paths, body) = (
        "UPDATE processes SET body = '[1]'",
        "UPDATE events SET body = 'no JSON' WHERE id = (SELECT min(id) FROM events)",
    );
    let seen = events(&damaged(&[paths, body]).reader(), EventFilter::default());
    assert_eq!(
        seen.iter().map(|event| &event["kind"]).collect::<Vec<_>>(),
        ["call", "exec", "exit"]
    );
    assert_eq!(seen[2]["errno"], "ENOENT");

    let identity = "UPDATE lives SET identity = json_set(identity, '$.attempt', 'often')";
    let seen = events(&damaged(&[identity]).reader(), EventFilter::default());
    assert_eq!(seen[0]["k8s"]["pod"]["name"], "a");
}
