//! Lives that an earlier agent saw begin.

use super::*;
use crate::{capture::event::Found, diagnose::verdict::scene::Who, node::store::Life};

fn open_life(of: Instance, main: Option<crate::capture::event::ProcessId>) -> Life {
    Life {
        boot_id: "boot".to_owned(),
        identity: of.identity(),
        cgroup_id: of.cgroup,
        began_ns: 0,
        main,
        command: Vec::new(),
        memory_limit_bytes: None,
        end: None,
    }
}

fn resume(story: &mut Story, life: &Life) -> Vec<String> {
    let now = story.now_ns;
    story.input(|node, _, out| node.resume(life, now, out))
}

/// What the new agent's inventory says of a process.
fn found(scene: &Scene, who: Who, of: Instance) -> Event {
    let event = of.lives(scene).into_iter().rev().find(|event| event.process.id == scene.id(who));
    let found = Found { found_ns: 0, path: Text::default(), args: Vec::new() };
    Event { what: What::Found(found), ..event.unwrap() }
}

#[test]
fn an_open_life_goes_on_under_the_next_agent_and_its_end_is_reported() {
    let (mut scene, main) = Scene::running("/app/server");
    let mut story = Story::begins();
    let life = open_life(APP, Some(scene.id(main)));
    assert_eq!(resume(&mut story, &life), ["note: a life begins", "store life a"]);
    // It is there: nothing is given up.
    let said = story.input(|node, _, out| node.give_up_the_vanished(|id| id == APP.cgroup, 0, out));
    assert_eq!(said, [""; 0]);
    scene.events.clear();
    scene.exits(main, 3);
    let said = story.lives(APP, &scene);
    assert_eq!(said[0], "events of a exit");
    assert!(said.contains(&"report life of a: exited_with_error, revision 1".to_owned()));
}

#[test]
fn an_end_between_two_agents_is_reported_and_a_life_that_vanished_without_one_is_told_as_such() {
    let (mut scene, main) = Scene::running("/app/server");
    let mut story = Story::begins();
    resume(&mut story, &open_life(APP, Some(scene.id(main))));
    resume(&mut story, &open_life(PROXY, Some(scene.id(main))));
    assert_eq!(story.node.lives(), 2);
    scene.events.clear();
    scene.exits(main, 3);
    let said = story.lives(APP, &scene);
    assert!(said.contains(&"store end a: exited_with_error".to_owned()), "{said:?}");
    let said = story.input(|node, _, out| node.give_up_the_vanished(|_| false, 9, out));
    assert_eq!(said, ["ask how c ended"]);
    let nothing = super::super::Explained::default();
    let said = story.input(|node, _, _| node.end_explained(PROXY.cgroup, nothing));
    assert!(said.contains(&"report life of c: none, revision 1".to_owned()), "{said:?}");
    let report = story.reports.last().unwrap();
    assert!(report.is_line && report.object.crash.summary.contains("is not recorded"));
    assert_eq!(report.object.lost, 1);
    // The one that was reported goes with the record of its cgroup's removal.
    assert_eq!(story.node.lives(), 1);
    story.removed(APP);
    assert_eq!(story.node.lives(), 0);
}

#[test]
fn a_life_that_vanished_after_something_was_recorded_of_it_is_over_and_the_runtime_is_asked_why() {
    let (mut scene, main) = Scene::running("/app/server");
    let mut story = Story::begins();
    resume(&mut story, &open_life(APP, Some(scene.id(main))));
    scene.events.clear();
    scene.forks(main);
    assert_eq!(story.lives(APP, &scene), ["events of a fork"]);
    let said = story.input(|node, _, out| node.give_up_the_vanished(|_| false, 9, out));
    assert_eq!(said, ["ask how a ended"]);
}

#[test]
fn a_container_that_ran_before_any_agent_came_is_found_with_its_oldest_process() {
    let mut story = Story::begins();
    let path = crate::node::attribute::cgroup_path::parse(&format!("/kubepods/podu1/{}", APP.id()));
    let said = story.input(|node, _, out| {
        node.cgroup_found(APP.cgroup, &path, 0, out);
        node.inventory_comes();
    });
    assert_eq!(said, ["store life a", "ask who a is"]);
    story.answer(APP, APP.named());
    let (mut scene, main) = Scene::running("/app/server");
    let child = scene.runs(main, "/app/worker");
    let events = vec![found(&scene, child, APP), found(&scene, main, APP)];
    assert_eq!(story.events(events), ["events of a found found"]);
    scene.events.clear();
    scene.exits(child, 0).exits(main, 3);
    let said = story.lives(APP, &scene);
    assert_eq!(said[0], "events of a exit exit");
    assert!(said.contains(&"report life of a: exited_with_error, revision 1".to_owned()));
}
