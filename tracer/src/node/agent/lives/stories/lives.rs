//! Lives whose runtime answers at once.

use tracer_ebpf::abi::header::Kind;

use super::*;
use crate::{capture::event::Words, linux::signal::Signal};

#[test]
fn events_wait_for_the_name_and_the_death_is_reported_by_it() {
    let mut story = Story::begins();
    assert_eq!(story.made(APP), ["store life a", "ask who a is"]);
    let mut scene = Scene::new();
    let main = scene.init();
    scene.execs(main, "/app/server");
    assert_eq!(story.lives(APP, &scene), [""; 0]);
    assert_eq!(
        story.answer(APP, APP.named()),
        ["note: a life begins", "store life a", "events of a cgroup cgroup exec"]
    );
    scene.events.clear();
    scene.exits(main, 3);
    assert_eq!(
        story.lives(APP, &scene),
        [
            "events of a exit",
            "note: a life is judged",
            "store life a",
            "report life of a: exited_with_error, revision 1",
            "store end a: exited_with_error",
            "forget facts of 77"
        ]
    );
    assert_eq!(story.pod_name(), Some("gateway-0"));
    assert_eq!(story.removed(APP), [""; 0]);
    assert_eq!(story.node.lives(), 0);
}

#[test]
fn events_that_come_before_their_containers_beginning_are_kept_for_a_turn() {
    let mut story = Story::begins();
    let mut events = APP.lives(&exits(3));
    let exit = events.pop().unwrap();
    assert_eq!(story.events(events), [""; 0]);
    assert!(story.node.has_strays());
    // From the other ring.
    assert_eq!(
        story.events(vec![APP.cgroup_is(Change::Made, 0)]),
        ["store life a", "ask who a is"]
    );
    assert!(!story.node.has_strays());
    story.answer(APP, APP.named());
    story.events(vec![exit]);
    let entries = story.report().timeline.iter().flatten();
    let kinds: Vec<&str> = entries.map(|entry| entry.what.kind()).collect();
    assert_eq!(kinds, ["cgroup", "cgroup", "exec", "exit"]);
}

#[test]
fn a_cgroup_inside_of_a_containers_belongs_to_the_container() {
    let mut story = Story::begins();
    story.runs(APP);
    let inner = Instance { cgroup: 90, ..APP };
    let mut made = inner.cgroup_is(Change::Made, story.now_ns);
    if let What::Cgroup(change) = &mut made.what {
        change.path = format!("/kubepods/podu1/{}/init", APP.id()).as_str().into();
    }
    assert_eq!(story.events(vec![made]), [""; 0]);
    let said = story.lives(inner, &exits(3));
    assert_eq!(said[0], "events of a cgroup exec exit");
    assert!(said.contains(&"store end a: exited_with_error".to_owned()), "{said:?}");
    // Its end is not that of the container.
    assert_eq!(story.removed(inner), [""; 0]);
    assert_eq!(story.node.lives(), 1);
}

#[test]
fn a_container_that_is_no_longer_selected_is_let_go_of() {
    let mut story = Story::begins();
    story.runs(APP);
    let selections = vec!["default:app=macula-gateway".parse().unwrap()];
    let said = story.input(|node, _, out| node.select(selections, out));
    assert_eq!(said, ["forget facts of 77", "let go of 77"]);
    assert_eq!(story.lives(APP, &exits(3)), [""; 0]);
}

#[test]
fn two_containers_of_one_pod_have_lives_of_their_own_and_one_is_restarted() {
    let mut story = Story::begins();
    story.runs(APP);
    story.runs(PROXY);
    story.lives(APP, &exits(3));
    assert_eq!(story.reports.len(), 1);
    assert_eq!(story.container_name(), Some("app"));
    assert!(!story.report().crash.details.contains_key("crash_loop"));

    assert_eq!(story.removed(APP), [""; 0]);
    assert_eq!(story.made(APP_AGAIN), ["store life b", "ask who b is"]);
    story.answer(APP_AGAIN, APP_AGAIN.named());
    story.lives(APP_AGAIN, &exits(3));
    let details = &story.report().crash.details;
    assert_eq!(details["crash_loop"]["crashes"], 2);
    assert_eq!(details["crash_loop"]["same_cause"], true);

    // The other container crashes for the first time.
    story.lives(PROXY, &exits(3));
    assert_eq!(story.container_name(), Some("proxy"));
    assert!(!story.report().crash.details.contains_key("crash_loop"));
}

#[test]
fn a_loop_whose_cause_changes_says_so() {
    let mut story = Story::begins();
    story.runs(APP);
    story.lives(APP, &exits(3));
    story.runs(APP_AGAIN);
    let (mut scene, main) = Scene::running("/app/server");
    scene.faults(main, Signal::SIGSEGV, 1, Some(0)).dies(main, Signal::SIGSEGV);
    let said = story.lives(APP_AGAIN, &scene);
    assert!(said.contains(&"store end b: segfault".to_owned()), "{said:?}");
    let noted = &story.report().crash.details["crash_loop"];
    assert_eq!(noted["crashes"], 2);
    assert_eq!(noted["previous_cause"], "exited_with_error");
    assert_eq!(noted["same_cause"], false);
}

#[test]
fn a_container_whose_cgroup_goes_while_it_runs_is_over_and_the_runtime_is_asked_why() {
    let mut story = Story::begins();
    story.runs(APP);
    assert_eq!(story.removed(APP), ["ask how a ended"]);
    let words = Words {
        stream: crate::capture::event::Stream::Stderr,
        head: Text::default(),
        skipped_bytes: 0,
        bytes: "out of luck\n".into(),
        total_bytes: 12,
        discarded: false,
    };
    let explained = super::super::Explained { message: None, words: vec![words] };
    let said = story.input(|node, _, _| node.end_explained(APP.cgroup, explained));
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[2].starts_with("report life of a: "), "{said:?}");
    let last = story.report().timeline.iter().flatten().last().unwrap();
    assert_eq!(last.what.kind(), "words", "{last:?}");
    assert_eq!(story.node.lives(), 0);
}

#[test]
fn records_that_the_kernel_side_lost_are_noted_and_stand_in_the_timeline() {
    let mut story = Story::begins();
    story.runs(APP);
    let key = LostKey { cgroup: APP.cgroup, kind: Kind::Fork as u32, _pad: 0 };
    let said = story.input(|node, _, out| node.count_losses(&[(key, 5)], 0, out));
    assert_eq!(said, ["note: records are lost"]);
    let said = story.input(|node, _, out| node.count_losses(&[(key, 5)], 0, out));
    assert_eq!(said, [""; 0]);
    story.lives(APP, &exits(3));
    assert_eq!(story.report().lost, 5);
    assert_eq!(story.removed(APP), ["forget losses of 77"]);
}

#[test]
fn what_may_have_been_anybodys_lets_nothing_be_proven() {
    let mut story = Story::begins();
    story.runs(APP);
    let said = story.input(|node, _, out| node.count_uncounted(2, out));
    assert_eq!(said, ["note: records of anybody are lost"]);
    assert_eq!(story.input(|node, _, out| node.count_uncounted(2, out)), [""; 0]);
    story.lives(APP, &exits(3));
    assert_eq!(story.report().lost, 2);
}

#[test]
fn a_process_that_is_killed_while_its_container_lives_on_is_an_incident_once_the_main_process_survived()
 {
    let mut story = Story::begins();
    story.made(APP);
    story.answer(APP, APP.named());
    let (mut scene, main) = Scene::running("/app/server");
    let child = scene.runs(main, "/app/worker");
    scene.faults(child, Signal::SIGSEGV, 1, Some(0)).dies(child, Signal::SIGSEGV);
    story.lives(APP, &scene);
    assert_eq!(story.passes(1000), [""; 0]);
    assert_eq!(
        story.passes(1000),
        ["note: an incident is judged", "report process of a: segfault, revision 1"]
    );
    assert_eq!(story.passes(1000), [""; 0]);
}

#[test]
fn a_container_that_nobody_selected_is_let_go_of_and_no_reason_for_the_recorder() {
    let mut story = Story::begins();
    story.made(APP);
    assert!(story.node.wants_recorder(story.now_ns));
    let other = Identity { namespace: Some("default".to_owned()), ..APP.identity() };
    let said = story.answer(APP, Answer::Container(other));
    assert_eq!(said, ["forget facts of 77", "forget life a", "let go of 77"]);
    assert!(!story.node.wants_recorder(story.now_ns));
    assert_eq!(story.lives(APP, &exits(3)), [""; 0]);
}

#[test]
fn the_end_of_a_container_whose_beginning_was_lost_is_told_by_the_path_of_its_cgroup() {
    let mut story = Story::begins();
    assert_eq!(story.lives(APP, &exits(3)), [""; 0]);
    assert_eq!(story.events(Vec::new()), [""; 0]);
    assert!(story.node.wants_inventory(story.now_ns), "it is looked for");
    assert_eq!(story.removed(APP), ["store life a", "ask who a is"]);
    let said = story.answer(APP, APP.named());
    assert!(
        said.contains(&"report life of a: exited_with_error, revision 1".to_owned()),
        "{said:?}"
    );
    assert_eq!(story.node.lives(), 0);
}

#[test]
fn a_container_whose_beginning_was_lost_is_found_by_the_next_inventory() {
    let mut story = Story::begins();
    let (mut scene, main) = Scene::running("/app/server");
    story.lives(APP, &scene);
    story.events(Vec::new());
    let path = crate::node::attribute::cgroup_path::parse(&format!("/kubepods/podu1/{}", APP.id()));
    story.input(|node, _, out| {
        node.cgroup_found(APP.cgroup, &path, 0, out);
        node.inventory_comes();
    });
    story.answer(APP, APP.named());
    assert_eq!(story.events(Vec::new()), ["events of a cgroup exec", "store life a"]);
    scene.events.clear();
    scene.exits(main, 3);
    let said = story.lives(APP, &scene);
    assert!(
        said.contains(&"report life of a: exited_with_error, revision 1".to_owned()),
        "{said:?}"
    );
}

#[test]
fn what_is_said_of_a_container_that_nobody_wants_to_know_of_is_no_stray() {
    let mut story = Story::begins();
    story.made(APP);
    let other = Identity { namespace: Some("default".to_owned()), ..APP.identity() };
    story.answer(APP, Answer::Container(other));
    story.lives(APP, &exits(3));
    story.events(Vec::new());
    assert!(!story.node.wants_inventory(story.now_ns));
}

#[test]
fn strays_that_nobody_claims_are_counted() {
    let mut story = Story::begins();
    story.lives(APP, &exits(3));
    story.events(Vec::new());
    assert_eq!(story.passes(70_000), ["note: strays are given up"]);
    assert_eq!(story.node.missed().strays, exits(3).events.len() as u64);
}

#[test]
fn an_end_whose_record_was_lost_is_told_as_not_recorded() {
    let mut story = Story::begins();
    story.runs(APP);
    story.removed(APP);
    let said = story
        .input(|node, _, _| node.end_explained(APP.cgroup, super::super::Explained::default()));
    assert!(said.contains(&"report life of a: none, revision 1".to_owned()), "{said:?}");
    let report = story.reports.last().unwrap();
    assert!(report.is_line && report.object.crash.summary.contains("is not recorded"));
}

#[test]
fn facts_are_looked_up_as_events_come_and_once_at_the_end() {
    let mut story = Story::begins();
    story.made(APP);
    story.lives(APP, &exits(3));
    assert_eq!((story.looks.observed, story.looks.finished), (3, 0));
    story.answer(APP, APP.named());
    assert_eq!((story.looks.observed, story.looks.finished), (3, 1));
}
