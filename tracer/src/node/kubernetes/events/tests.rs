//! Tests of what is sent, to an API of their own.

use axum::http::Method;
use serde_json::{Value, json};

use super::{notice::tests::notice, *};
use crate::node::kubernetes::fake_api::{
    Answer, Asked, FakeApi, client, ending_namespace, failure,
};

const EVENTS: &str = "/api/v1/namespaces/shop/events";

/// Events that are told to an API, which answers so.
async fn start(
    annotates: bool,
    answer: impl FnMut(&Asked) -> Answer + Send + 'static,
) -> (FakeApi, Events, Arc<Metrics>) {
    let api = FakeApi::start(answer).await;
    let metrics = Arc::new(Metrics::new());
    let events = Events::start(api.client.clone(), annotates, metrics.clone());
    (api, events, metrics)
}

fn taken(_: &Asked) -> Answer {
    (201, json!({}))
}

/// Answers one after the other, and then takes all.
fn first(answers: impl IntoIterator<Item = Answer>) -> impl FnMut(&Asked) -> Answer + Send {
    let mut answers: Vec<Answer> = answers.into_iter().collect();
    answers.reverse();
    move |asked| answers.pop().unwrap_or_else(|| taken(asked))
}

fn dropped(metrics: &Metrics, reason: &'static str) -> u64 {
    metrics.kubernetes_dropped.get_or_create(&ByReason { reason }).get()
}

fn requests(metrics: &Metrics, request: &'static str, result: &'static str) -> u64 {
    metrics.kubernetes_requests.get_or_create(&ByRequest { request, result }).get()
}

fn is_create(asked: &Asked) -> bool {
    let path = asked.path.trim_end_matches('?');
    asked.method == Method::POST && path == EVENTS && asked.content_type == "application/json"
}

fn is_patch(asked: &Asked, name: &Value) -> bool {
    let path = asked.path.trim_end_matches('?');
    asked.method == Method::PATCH
        && path == format!("{EVENTS}/{}", name.as_str().unwrap())
        && asked.content_type == "application/merge-patch+json"
}

#[tokio::test]
async fn a_crash_makes_an_event_and_the_next_one_patches_it() {
    let (mut api, events, metrics) = start(false, taken).await;
    events.tell(notice("a", "abort"));
    let first = api.asked().await;
    assert!(is_create(&first), "{first:?}");
    assert_eq!(first.body["involvedObject"]["uid"], "uid-0");
    events.tell(notice("b", "abort"));
    let second = api.asked().await;
    assert!(is_patch(&second, &first.body["metadata"]["name"]), "{second:?}");
    assert_eq!(second.body["count"], 2);
    events.finish().await;
    assert_eq!(api.rest(), []);
    assert_eq!(requests(&metrics, "create_event", "done"), 1);
    assert_eq!(requests(&metrics, "patch_event", "done"), 1);
}

#[tokio::test]
async fn an_event_that_is_gone_is_made_anew() {
    let answers = [(201, json!({})), failure(404, "NotFound")];
    let (mut api, events, metrics) = start(false, first(answers)).await;
    events.tell(notice("a", "abort"));
    assert!(is_create(&api.asked().await));
    events.tell(notice("b", "abort"));
    assert!(!is_create(&api.asked().await));
    let again = api.asked().await;
    assert!(is_create(&again) && again.body["count"] == 2, "{again:?}");
    events.finish().await;
    assert_eq!(requests(&metrics, "patch_event", "gone"), 1);
}

#[tokio::test]
async fn a_missing_permission_is_asked_for_once_a_crash() {
    let (mut api, events, metrics) = start(false, |_| failure(403, "Forbidden")).await;
    for id in ["a", "b"] {
        events.tell(notice(id, "abort"));
        api.asked().await;
    }
    events.finish().await;
    assert_eq!(api.rest(), []);
    assert_eq!(dropped(&metrics, "forbidden"), 2);
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up() {
    for (answer, reason) in [
        (failure(422, "Invalid"), "refused"),
        (failure(404, "NotFound"), "gone"),
        (ending_namespace(), "gone"),
    ] {
        let (mut api, events, metrics) = start(false, first([answer])).await;
        events.tell(notice("a", "abort"));
        api.asked().await;
        events.finish().await;
        assert_eq!((api.rest(), dropped(&metrics, reason)), (Vec::new(), 1));
    }
}

#[tokio::test]
async fn an_event_that_is_there_already_is_patched() {
    let (mut api, events, _) = start(false, first([failure(409, "AlreadyExists")])).await;
    events.tell(notice("a", "abort"));
    let first = api.asked().await;
    let second = api.asked().await;
    assert!(is_patch(&second, &first.body["metadata"]["name"]), "{second:?}");
    events.finish().await;
}

#[tokio::test]
async fn what_the_api_fails_at_is_tried_again() {
    let (mut api, events, metrics) = start(false, first([failure(500, "InternalError")])).await;
    events.tell(notice("a", "abort"));
    let first = api.asked().await;
    assert_eq!(first, api.asked().await);
    events.finish().await;
    assert_eq!(requests(&metrics, "create_event", "failed"), 1);
    assert_eq!(requests(&metrics, "create_event", "done"), 1);
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent() {
    let (mut api, events, metrics) = start(true, taken).await;
    for cause in ["abort", "segfault", "oom_killed"] {
        events.tell(notice("a", cause));
    }
    events.finish().await;
    assert_eq!(api.rest().len(), 4);
    assert_eq!(dropped(&metrics, "stopped"), 0);
}

#[tokio::test]
async fn an_api_that_is_not_there_holds_up_nobody() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let (_folder, client) = client(&url).await;
    let metrics = Arc::new(Metrics::new());
    let events = Events::start(client, false, metrics.clone());
    for id in 0..QUEUE {
        events.tell(notice(&id.to_string(), "abort"));
    }
    events.finish().await;
    // One Event, which was the newest state of all.
    assert_eq!((dropped(&metrics, "stopped"), dropped(&metrics, "full")), (1, 0));
}

#[tokio::test]
async fn an_api_that_does_not_answer_holds_up_the_end_for_two_seconds_at_most() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_folder, client) = client(&format!("http://{}", deaf.local_addr().unwrap())).await;
    let metrics = Arc::new(Metrics::new());
    let events = Events::start(client, false, metrics.clone());
    events.tell(notice("a", "abort"));
    let begun = std::time::Instant::now();
    events.finish().await;
    assert!(begun.elapsed() < STOP + Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(dropped(&metrics, "stopped"), 1);
}

#[tokio::test]
async fn more_than_there_is_room_for_is_counted() {
    let (_api, events, metrics) = start(false, taken).await;
    // The task does not run before this one waits.
    for id in 0..=QUEUE {
        events.tell(notice(&id.to_string(), "abort"));
    }
    assert_eq!(dropped(&metrics, "full"), 1);
    events.finish().await;
}

#[tokio::test]
async fn a_pod_is_annotated_where_that_is_asked_for() {
    let (mut api, events, _) = start(true, taken).await;
    events.tell(notice("a", "abort"));
    let all = [api.asked().await, api.asked().await];
    let annotation = all.iter().find(|asked| !is_create(asked)).unwrap();
    assert_eq!(annotation.method, Method::PATCH);
    assert_eq!(annotation.path.trim_end_matches('?'), "/api/v1/namespaces/shop/pods/gateway-0");
    assert_eq!(annotation.content_type, "application/merge-patch+json");
    let keys: Vec<_> = annotation.body["metadata"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["uid", "annotations"]);
    events.finish().await;
}
