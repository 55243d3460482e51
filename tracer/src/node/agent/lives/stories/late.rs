//! Lives whose runtime is away.

use super::*;

#[test]
fn a_death_that_the_runtime_is_too_late_for_is_reported_by_path_and_again_by_name() {
    let mut story = Story::begins();
    story.made(APP);
    assert_eq!(story.answer(APP, APP.nameless()), ["ask on who a is"]);
    assert_eq!(
        story.lives(APP, &exits(3)),
        [
            "note: a life is judged",
            "store life a",
            "report life of a: exited_with_error, revision 1",
            "store end a: exited_with_error",
            "forget facts of 77"
        ]
    );
    assert_eq!(story.attribution().1, Some("names"));
    // All is held for the name, whatever becomes of the cgroup.
    story.removed(APP);
    assert_eq!(
        story.answer(APP, APP.named()),
        [
            "store life a",
            "events of a cgroup cgroup exec exit",
            "store life a",
            "report life of a: exited_with_error, revision 2",
            "store end a: exited_with_error",
            "forget facts of 77"
        ]
    );
    assert_eq!(story.container_name(), Some("app"));
    assert_eq!((story.looks.finished, story.node.lives()), (1, 0));
}

#[test]
fn what_was_reported_by_path_of_a_pod_that_nobody_selected_is_withdrawn() {
    let mut story = Story::begins();
    story.made(APP);
    story.answer(APP, APP.nameless());
    story.lives(APP, &exits(3));
    let other = Identity { namespace: Some("default".to_owned()), ..APP.identity() };
    assert_eq!(
        story.answer(APP, Answer::Container(other)),
        [
            "note: a death is withdrawn",
            "report life of a: none, revision 2",
            "store end a: none",
            "forget facts of 77",
            "forget life a",
            "let go of 77"
        ]
    );
    assert_eq!(story.report().crash.details["withdrawn"], true);
    assert_eq!(story.report().timeline.as_deref(), Some([].as_slice()));
}

#[test]
fn a_pause_container_that_ends_while_the_runtime_is_away_is_never_reported() {
    let mut story = Story::begins();
    story.made(APP);
    story.answer(APP, APP.nameless());
    let (mut scene, main) = Scene::running("/pause");
    scene.exits(main, 0);
    assert_eq!(story.lives(APP, &scene), [""; 0]);
    assert_eq!(
        story.answer(APP, APP.nameless()),
        ["forget facts of 77", "forget life a", "let go of 77"]
    );
}

#[test]
fn where_the_runtime_stays_away_the_path_must_do() {
    let mut story = Story::begins();
    story.made(APP);
    story.answer(APP, APP.nameless());
    let (mut scene, main) = Scene::running("/app/server");
    assert_eq!(story.lives(APP, &scene), [""; 0]);
    assert_eq!(
        story.answer(APP, APP.nameless()),
        ["note: a life begins", "store life a", "events of a cgroup cgroup exec"]
    );
    scene.events.clear();
    scene.exits(main, 3);
    let said = story.lives(APP, &scene);
    assert_eq!(said[0], "events of a exit");
    assert!(said.contains(&"report life of a: exited_with_error, revision 1".to_owned()));
}

#[test]
fn a_container_without_a_name_has_those_of_its_pod_once_another_one_was_named() {
    let mut story = Story::begins();
    let pod =
        CgroupChange { change: Change::Made, id: 70, level: 2, path: "/kubepods/podu1".into() };
    let made = Event { what: What::Cgroup(pod), ..APP.cgroup_is(Change::Made, 0) };
    story.events(vec![made]);
    story.runs(PROXY);
    story.made(APP);
    story.answer(APP, APP.nameless());
    story.lives(APP, &exits(3));
    assert_eq!(story.pod_name(), Some("gateway-0"));
    assert_eq!(story.attribution().0, "path");
}
