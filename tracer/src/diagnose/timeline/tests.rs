//! Timelines from scenes: order, duplicates, main, family.

use crate::{
    capture::event::{Lost, LostKind, What},
    diagnose::verdict::scene::{Scene, Who},
    linux::errno::Errno,
};

use super::{NoProcess, Timeline};

#[test]
fn no_events_are_no_timeline() {
    assert_eq!(Timeline::build(Vec::new()), Err(NoProcess));
}

#[test]
fn events_told_twice_stand_once() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/x", Errno::ENOENT).exits(main, 1);
    let once = scene.timeline();
    let twice = [scene.events.clone(), scene.events.clone()].concat();
    assert_eq!(Timeline::build(twice).as_ref(), Ok(&once));
}

#[test]
fn a_failed_bind_that_the_flight_recorder_tells_too_stands_once() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp 0.0.0.0:80", Some(Errno::EACCES));
    scene.fails(main, "bind", Errno::EACCES);
    let calls = |scene: &Scene| {
        let timeline = scene.timeline();
        timeline.entries.iter().filter(|it| matches!(it.what, What::Call(_))).count()
    };
    assert_eq!(calls(&scene), 0);
    scene.after_ms(5).fails(main, "bind", Errno::EACCES);
    assert_eq!(calls(&scene), 1);
}

#[test]
fn main_is_the_first_process_that_came_in() {
    let (mut scene, main) = Scene::running("/app/server");
    let probe = scene.init();
    scene.execs(probe, "/bin/probe").exits(probe, 1);
    assert_eq!(scene.timeline().main, scene.id(main));
}

#[test]
fn main_is_the_last_stage_of_runcs_init() {
    let mut scene = Scene::new();
    let first = scene.init();
    scene.of(first).container_pid = 501;
    scene.of(first).pid_ns = 1;
    let second = scene.forks(first);
    let outside = scene.outsider("runc");
    let third = scene.forks_container(second, Who(outside.id.pid));
    scene.exits(second, 0).exits(first, 0);
    scene.execs(third, "/app/server");
    let hook = scene.runs(third, "/hook");
    scene.exits(hook, 0);
    assert_eq!(scene.timeline().main, scene.id(third));
}

#[test]
fn main_is_the_last_stage_also_where_runc_ran_itself_again_in_the_cgroup() {
    let mut scene = Scene::new();
    let first = scene.init();
    scene.of(first).container_pid = 501;
    scene.of(first).pid_ns = 1;
    scene.execs(first, "/dev/fd/6 init");
    let second = scene.forks(first);
    let outside = scene.outsider("runc");
    let third = scene.forks_container(second, Who(outside.id.pid));
    scene.exits(second, 0).exits(first, 0);
    scene.execs(third, "/app/server");
    assert_eq!(scene.timeline().main, scene.id(third));
}

#[test]
fn an_init_that_never_execd_is_main() {
    let mut scene = Scene::new();
    let init = scene.init();
    scene.exec_fails(init, "/nope", Errno::ENOENT).exits(init, 1);
    assert_eq!(scene.timeline().main, scene.id(init));
}

#[test]
fn a_reused_pid_is_another_process() {
    let (mut scene, main) = Scene::running("/app/server");
    let first = scene.runs(main, "/bin/one");
    scene.exits(first, 0).after_ms(100);
    let old = scene.id(first);
    let again = scene.forks(main);
    let second = crate::capture::event::ProcessId { pid: old.pid, ..scene.id(again) };
    for event in scene.events.iter_mut().filter(|it| it.process.id.pid == again.0) {
        event.process.id = second;
    }
    let timeline = scene.timeline();
    assert_eq!(timeline.tree().children(scene.id(main)), [old, second]);
    assert_eq!(timeline.tree().exit_index(second), None);
    assert_eq!(timeline.living(), [scene.id(main), second]);
}

#[test]
fn lost_records_are_counted_and_shown_as_gaps() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.add(main, What::Lost(Lost { of: LostKind::Bind, count: 3 }));
    scene.add(main, What::Lost(Lost { of: LostKind::Calls, count: 4 })).exits(main, 0);
    let timeline = scene.timeline();
    assert_eq!((timeline.lost, timeline.lost_of(LostKind::Bind)), (7, 3));
    assert_eq!(timeline.gaps().len(), 2);
    let verdict = scene.verdict();
    assert!(
        verdict.evidence.iter().any(|it| it.text.contains("7 records") && it.timeline.len() == 2)
    );
}
