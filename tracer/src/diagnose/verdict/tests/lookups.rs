//! A name is asked for in many messages: by a search list, for two kinds of addresses, again and again.

use serde_json::json;

use crate::diagnose::verdict::{
    Cause,
    Confidence::{Likely, Proven},
    scene::{Scene, Who},
};

const SERVICE: [&str; 4] =
    ["db.prod.svc.cluster.local", "db.svc.cluster.local", "db.cluster.local", "db"];

/// Asks for each name, for both kinds of addresses, and gets these answers.
fn asks(scene: &mut Scene, who: Who, answers: &[(&str, Option<(u8, u16)>)]) {
    for (name, answer) in answers {
        scene.dns(who, name, None).dns(who, name, None);
        if answer.is_some() {
            scene.dns(who, name, *answer).dns(who, name, *answer);
        }
    }
}

fn resolves(answers: &[(&str, Option<(u8, u16)>)], words: &str) -> Scene {
    let (mut scene, main) = Scene::running("/app/server");
    asks(&mut scene, main, answers);
    if !words.is_empty() {
        scene.says(main, words);
    }
    scene.exits(main, 1);
    scene
}

#[test]
fn a_search_list_is_one_lookup_of_the_name_that_was_asked_for() {
    let answers = SERVICE.map(|name| (name, Some((3, 0))));
    let scene =
        resolves(&answers, "could not translate host name \"db\": Name or service not known\n");
    let verdict = scene.expect(Cause::NameResolutionFailed, Proven);
    assert_eq!(verdict.details["question"], "db", "{}", verdict.summary);
    assert!(verdict.summary.contains("could not resolve db:"), "{}", verdict.summary);
    assert!(verdict.summary.contains("4 names were tried"), "{}", verdict.summary);
    assert_eq!(verdict.details["candidates"][3], json!({ "name": "db", "answer": "NXDOMAIN" }));
}

#[test]
fn a_full_name_that_a_search_list_lengthened_is_told_as_it_was_asked_for() {
    let full = "db.prod.svc.cluster.local";
    let longer = "db.prod.svc.cluster.local.prod.svc.cluster.local";
    let scene = resolves(&[(longer, Some((3, 0))), (full, Some((3, 0)))], "no such host\n");
    let verdict = scene.expect(Cause::NameResolutionFailed, Proven);
    assert_eq!(verdict.details["question"], full);
}

#[test]
fn the_decisive_answer_is_that_which_is_no_mere_absence() {
    for (last, text) in
        [(Some((2, 0)), "SERVFAIL"), (Some((5, 0)), "REFUSED"), (None, "never answered")]
    {
        let answers = [
            ("api.prod.svc.cluster.local", Some((3, 0))),
            ("api.svc.cluster.local", Some((3, 0))),
            ("api.example.com", last),
        ];
        // An external name with dots is asked for with each domain, then as it is.
        let answers = answers.map(|(name, answer)| match name {
            "api.example.com" => (name.to_owned(), answer),
            name => (name.replace("api", "api.example.com"), answer),
        });
        let answers: Vec<(&str, Option<(u8, u16)>)> =
            answers.iter().map(|(name, answer)| (name.as_str(), *answer)).collect();
        let scene = resolves(&answers, "");
        let verdict = scene.expect(Cause::NameResolutionFailed, Likely);
        assert!(verdict.summary.contains(text), "{}", verdict.summary);
        assert_eq!(verdict.details["question"], "api.example.com", "{}", verdict.summary);
    }
}

#[test]
fn a_name_that_one_of_the_list_answered_is_resolved() {
    for found in 0..SERVICE.len() {
        let answers: Vec<_> = SERVICE
            .iter()
            .enumerate()
            .take(found + 1)
            .map(|(at, name)| (*name, Some(if at == found { (0, 1) } else { (3, 0) })))
            .collect();
        resolves(&answers, "license expired\n").expect(Cause::ExitedWithError, Proven);
    }
}

#[test]
fn a_name_that_only_begins_alike_does_not_resolve_another() {
    let answers = [("db", Some((3, 0))), ("db2", Some((0, 1)))];
    resolves(&answers, "").expect(Cause::NameResolutionFailed, Likely);
}

#[test]
fn of_a_list_whose_end_is_forgotten_the_name_is_inferred_and_nothing_is_proven() {
    let (mut scene, main) = Scene::running("/app/server");
    asks(&mut scene, main, &[("db.svc.cluster.local", Some((3, 0)))]);
    scene.add(main, crate::capture::event::What::CallsForgotten(6));
    scene.says(main, "getaddrinfo ENOTFOUND db\n").exits(main, 1);
    let verdict = scene.expect(Cause::NameResolutionFailed, Likely);
    assert_eq!(verdict.details["question"], "db", "{}", verdict.summary);
}
