//! Crashes and lives: what is asked of them.

use super::*;
use crate::capture::event::ProcessId;
use crate::contract::{Container, K8s};

fn ids(crashes: &[CrashObject]) -> Vec<&str> {
    crashes.iter().map(|object| object.crash.id.trim_start_matches('0')).collect()
}

/// Pod `a`: 1 and 2 crash, 3 ends well; pod `b`: 4 crashes.
fn shop() -> Site {
    let site = Site::new();
    let writer = site.writer();
    let lives =
        [(1, "a", "oom_killed"), (2, "a", "segfault"), (3, "a", "none"), (4, "b", "segfault")];
    for (number, pod, cause) in lives {
        writer.life(life(number, pod));
        assert_eq!(committed(writer.crash(crash(number, cause))), Recorded::New);
    }
    site
}

#[test]
fn a_crash_is_read_as_it_was_told_with_the_names_of_its_pod() {
    let site = shop();
    let stored = site.reader().crash(&Selector::Id("000000000001".to_owned())).unwrap().unwrap();
    let told = crash(1, "oom_killed");
    assert_eq!(stored.text, told.text);
    let identity = life(1, "a").identity;
    let whole = CrashObject {
        k8s: K8s::of(&identity),
        container: Some(Container::of(&identity)),
        ..told.object
    };
    assert_eq!(stored.object, whole);
}

#[test]
fn crashes_are_listed_by_what_is_asked() {
    let site = shop();
    let list = |filter: Filter| {
        let crashes = parsed(&site.reader().crashes(&filter).unwrap());
        ids(&crashes).join(" ")
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(list(Filter::default()), "1 2 4");
    assert_eq!(list(Filter { all: true, ..Filter::default() }), "1 2 3 4");
    assert_eq!(list(Filter { causes: vec!["none".to_owned()], ..Filter::default() }), "3");
    assert_eq!(list(Filter { causes: vec!["segfault".to_owned()], ..Filter::default() }), "2 4");
    assert_eq!(list(Filter { pod: name("b"), ..Filter::default() }), "4");
    assert_eq!(list(Filter { namespace: name("other"), ..Filter::default() }), "");
    assert_eq!(list(Filter { container: name("app"), limit: Some(2), ..Filter::default() }), "2 4");
    let since_ns = Some(THEN + 3 * SECOND);
    assert_eq!(list(Filter { since_ns, ..Filter::default() }), "2 4");
    assert_eq!(list(Filter { until_ns: since_ns, ..Filter::default() }), "1");
    let labels = |value: &'static str| -> Option<LabelTest> {
        Some(Arc::new(move |labels| labels.get("app").is_some_and(|found| found == value)))
    };
    assert_eq!(list(Filter { labels: labels("web"), limit: Some(1), ..Filter::default() }), "4");
    assert_eq!(list(Filter { labels: labels("db"), ..Filter::default() }), "");
    assert!(crashes(&site.reader())[0].timeline.is_none());
}

#[test]
fn a_listed_crash_has_its_names_and_is_otherwise_as_it_was_told() {
    let site = Site::new();
    let writer = site.writer();
    let identity = life(1, "a").identity;
    let mut named = crash(2, "abort");
    (named.object.k8s, named.object.container) =
        (K8s::of(&identity), Some(Container::of(&identity)));
    // As an earlier build may have told it: a list passes on what it does not know.
    for (number, crash) in [(1, crash(1, "abort")), (2, named.clone())] {
        writer.life(life(number, "b"));
        committed(writer.crash(crash));
    }
    sqlite(&site.path())
        .execute("UPDATE crashes SET object = json_set(object, '$.more', 1)", [])
        .unwrap();
    let lines = site.reader().crashes(&Filter::default()).unwrap();
    let [late, told] = lines.as_slice() else { panic!("{lines:?}") };
    let late: Value = serde_json::from_str(late).unwrap();
    assert_eq!(late["k8s"]["pod"]["name"], "b");
    let container = Container::of(&life(1, "b").identity);
    assert_eq!(late["container"], serde_json::to_value(container).unwrap());
    let mut object = serde_json::to_value(CrashObject { timeline: None, ..named.object }).unwrap();
    object["more"] = 1.into();
    assert_eq!(*told, object.to_string());
}

#[test]
fn a_crash_is_found_by_id_or_by_pod() {
    let site = shop();
    let find = |name: &str, previous| {
        let selector = Selector::parse(name, None, None, previous);
        let found = site.reader().crash(&selector).unwrap();
        found.map(|found| found.object.crash.id.trim_start_matches('0').to_owned())
    };
    assert_eq!(find("000000000002", 0).as_deref(), Some("2"));
    assert_eq!(find("a", 0).as_deref(), Some("3"));
    assert_eq!(find("a", 2).as_deref(), Some("1"));
    assert_eq!(find("a", 3), None);
    assert_eq!(find("nothing", 0), None);
    assert_eq!(find("abcdef", 0), None);
}

#[test]
fn a_name_that_fits_several_is_an_error_that_lists_them() {
    let site = shop();
    let error = site.reader().crash(&Selector::Id("0000000000".to_owned())).unwrap_err();
    assert!(error.to_string().contains("\n  000000000004 shop/b"), "{error}");

    let writer = site.writer();
    for (number, pod) in [(10, "web-1"), (11, "web-2"), (12, "cafe00-1")] {
        writer.life(life(number, pod));
        committed(writer.crash(crash(number, "abort")));
    }
    let find = |name: &str| site.reader().crash(&Selector::parse(name, None, None, 0));
    let error = find("web").unwrap_err().to_string();
    assert_eq!(error, "web fits several, name one of them:\n  shop/web-1\n  shop/web-2");
    assert_eq!(find("web-2").unwrap().unwrap().object.crash.id, "00000000000b");
    // It could be an id, but is the beginning of a pod's name.
    assert_eq!(find("cafe00").unwrap().unwrap().object.crash.id, "00000000000c");
}

#[test]
fn a_replay_cannot_tell_a_death_twice() {
    let site = shop();
    let writer = site.writer();
    assert_eq!(committed(writer.crash(crash(1, "oom_killed"))), Recorded::Known);
    let mut better = crash(1, "oom_killed");
    better.object.crash.revision = 2;
    better.object.crash.summary = "better".to_owned();
    assert_eq!(committed(writer.crash(better)), Recorded::Revised);
    assert_eq!(committed(writer.crash(crash(1, "oom_killed"))), Recorded::Known);
    let crashes = crashes(&site.reader());
    assert_eq!(ids(&crashes), ["1", "2", "4"]);
    assert_eq!(crashes[0].crash.summary, "better");

    // After a reboot the same container id would be another life.
    let mut other = crash(1, "oom_killed");
    other.life = Arc::new(LifeKey { boot_id: "other".to_owned(), container_id: container_id(1) });
    assert_eq!(committed(writer.crash(other)), Recorded::New);
}

#[test]
fn incidents_are_kept_beside_the_end_of_their_life() {
    let site = shop();
    let writer = site.writer();
    let incident =
        |pid| NewCrash { process: Some(ProcessId { pid, start_ns: 9 }), ..crash(2, "abort") };
    assert_eq!(committed(writer.crash(incident(5))), Recorded::New);
    assert_eq!(committed(writer.crash(incident(6))), Recorded::New);
    assert_eq!(committed(writer.crash(incident(5))), Recorded::Known);
    assert_eq!(site.reader().crashes(&Filter::default()).unwrap().len(), 5);
}

#[test]
fn lives_without_an_end_are_known_to_the_next_agent() {
    let site = Site::new();
    let writer = site.writer();
    let main = Some(ProcessId { pid: 7, start_ns: u64::MAX });
    writer.life(Life { main, ..life(1, "a") });
    // What is learned later, and not the rest again.
    writer.life(Life { command: Vec::new(), memory_limit_bytes: None, ..life(1, "a") });
    writer.life(life(2, "a"));
    writer.end(&key(2), end(2, 1, "none"));
    writer.life(Life { boot_id: "other".to_owned(), ..life(3, "a") });
    committed(writer.flush());
    assert_eq!(site.reader().living(BOOT).unwrap(), [Life { main, ..life(1, "a") }]);
}

#[test]
fn what_changed_since_the_last_life_that_lasted_is_known() {
    let site = Site::new();
    let writer = site.writer();
    let lives = |number: u32, pod: &str, seconds: u32| {
        let mut life = life(number, pod);
        life.identity.labels.insert("pod-template-hash".to_owned(), pod.to_owned());
        life.end = Some(end(number, seconds, "segfault"));
        life
    };
    writer.life(lives(1, "web-1", 119));
    writer.life(Life { memory_limit_bytes: None, ..lives(2, "web-2", 120) });
    let mut other = lives(300, "db-1", 900);
    other.identity.labels.clear();
    writer.life(other);
    let mut crashed = lives(1000, "web-3", 1);
    crashed.identity.image = Some("registry/app:2".to_owned());
    writer.life(crashed);
    committed(writer.crash(crash(1000, "segfault")));

    let reader = site.reader();
    let stored = reader.crash(&Selector::Id("0000000003e8".to_owned())).unwrap().unwrap();
    let changes = reader.changes(&stored).unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(&changes).unwrap(),
        json!({
            "container_id": "000000000002",
            "pod": "web-2",
            "began": "2001-02-03T04:05:08.000000000Z",
            "ended": "2001-02-03T04:07:08.000000000Z",
            "image": {"from": "registry/app:1", "to": "registry/app:2"},
            "memory_limit_bytes": {"from": null, "to": 134_217_728},
        })
    );
    assert!(!changes.is_empty());
}

#[test]
fn a_crash_too_large_to_be_stored_is_kept_without_its_timeline() {
    let site = shop();
    let mut large = crash(5, "abort");
    large.text = "x".repeat(2 << 20);
    committed(site.writer().crash(large));
    let stored = site.reader().crash(&Selector::Id("000000000005".to_owned())).unwrap().unwrap();
    assert_eq!((stored.object.timeline, stored.object.lost), (Some(Vec::new()), 1));
}

#[test]
fn a_crash_that_cannot_be_read_does_not_hide_the_others() {
    let site = shop();
    let store = sqlite(&site.path());
    let damage = |id: u32, sql: &str| {
        let sql = format!("UPDATE crashes SET {sql} WHERE crash_id = '{id:012}'");
        assert_eq!(store.execute(&sql, []).unwrap(), 1);
    };
    damage(1, "object = 'no JSON'");
    damage(2, "object = json_remove(object, '$.crash.summary')");
    let lines = site.reader().crashes(&Filter::default()).unwrap();
    let id = |line: &String| serde_json::from_str::<Value>(line).unwrap()["crash"]["id"].clone();
    assert_eq!(lines.iter().map(id).collect::<Vec<_>>(), ["000000000002", "000000000004"]);
}

#[test]
fn a_death_whose_parts_cannot_be_read_is_told_without_them() {
    let site = shop();
    let store = sqlite(&site.path());
    let object = "object = json_set(object, '$.process.pid', 'many', '$.exit', 'well', '$.crash.process', 1)";
    let timeline =
        "timeline = json_array(7, json_object('time', '10:00', 'kind', 'fork', 'process', 'me',
        'forker_pid', 3), json(json_extract(timeline, '$[0]')))";
    let sql = format!("UPDATE crashes SET {object}, {timeline}");
    store.execute(&sql, []).unwrap();
    store.execute("UPDATE lives SET command = 1, exit = '[]'", []).unwrap();
    let stored = site.reader().crash(&Selector::Id("000000000004".to_owned())).unwrap().unwrap();
    assert_eq!(stored.object.crash.cause, "segfault");
    assert_eq!(stored.object.process, Process::default());
    let timeline = stored.object.timeline.clone().unwrap();
    let kinds: Vec<&str> = timeline.iter().map(|entry| entry.what.kind()).collect();
    assert_eq!(kinds, ["unreadable", "fork", "call"]);
    assert_eq!(timeline[2].process.pid, 4242);
    assert_eq!(site.reader().changes(&stored).unwrap(), None);
}
