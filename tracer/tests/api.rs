//! The HTTP API against its description, docs/openapi.json: every path and parameter of it is asked, and what is
//! answered has the described shape. It must not know how the answers are made.
#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod remembered;

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header::CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use remembered::Remembered;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracer::node::{
    api::{self, Agent},
    health::{Health, Hook, Runtime},
    identity::Identity,
    live::{Bus, Line},
    metrics::Metrics,
};

fn description() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

fn crash_schema() -> Value {
    serde_json::from_str(include_str!("../../docs/crash.schema.json")).unwrap()
}

/// An agent that serves a store.
struct Served {
    _store: Remembered,
    bus: Bus,
    agent: Agent,
    router: Router,
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Served {
    fn new() -> Self {
        let store = Remembered::shop();
        let agent = Agent { metrics: Arc::new(Metrics::new()), health: Arc::default() };
        let bus = Bus::new(agent.metrics.clone());
        let router = api::data_router(&store.path(), bus.clone(), agent.clone());
        Self { _store: store, bus, agent, router }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        get(&self.router, path, accept).await
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path, "application/json").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    /// Of an error: its status and message.
    async fn error(&self, path: &str) -> (u16, String) {
        let answer = self.get(path, "*/*").await;
        let value: Value = serde_json::from_str(&answer.text).unwrap();
        (answer.status.as_u16(), value["error"]["message"].as_str().unwrap().to_owned())
    }

    fn become_ready(&self) {
        become_ready(&self.agent.health);
    }
}

fn become_ready(health: &Health) {
    health.set(|state| {
        let hook = |name: &str| Hook { name: name.to_owned(), required: true, attached: true };
        state.hooks = vec![hook("sched_process_exec"), hook("sched_process_exit")];
        state.recorder.mode = "auto".to_owned();
        state.runtime =
            Some(Runtime { name: "containerd 1.6".to_owned(), answering: true, error: None });
    });
}

async fn get(router: &Router, path: &str, accept: &str) -> Answer {
    let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.into()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

/// The parameters of an operation, with those that it refers to.
fn parameters(description: &Value, path: &str) -> Vec<Value> {
    let listed = description["paths"][path]["get"]["parameters"].as_array();
    let whole = |parameter: &Value| match parameter["$ref"].as_str() {
        Some(reference) => description.pointer(&reference[1..]).unwrap().clone(),
        None => parameter.clone(),
    };
    listed.map_or_else(Vec::new, |listed| listed.iter().map(whole).collect())
}

/// A value of each parameter with which something is found.
fn example(path: &str, name: &str) -> &'static str {
    match (path, name) {
        ("/v1/events", "kind") => "exec,exit",
        (_, "namespace") => "shop",
        (_, "pod") => "cart-0",
        (_, "container") => "cart",
        (_, "label") => "app%3Dcart",
        (_, "since") => "2020-01-01",
        (_, "until") => "1s",
        (_, "cause") => "file_not_found,oom_killed",
        (_, "all" | "color") => "true",
        (_, "limit") => "5",
        (_, "previous") => "1",
        (_, "after_row") => "0",
        (_, "id") => "bbbbbbbbbbbb",
        (path, name) => panic!("no example of {name} of {path}"),
    }
}

/// Checks the answer against the schema of its status and media type.
fn check(description: &Value, path: &str, answer: &Answer) {
    let status = answer.status.as_str();
    let media = answer.headers[CONTENT_TYPE].to_str().unwrap();
    let media = media.split(';').next().unwrap();
    let content = &description["paths"][path]["get"]["responses"][status]["content"];
    let schema = &content[media]["schema"];
    assert!(!schema.is_null(), "{path}: {status} {media} is not described: {}", answer.text);
    let value = match media {
        "application/json" | "application/schema+json" => {
            serde_json::from_str(&answer.text).unwrap()
        }
        _ => Value::from(answer.text.clone()),
    };
    let mut schema = schema.clone();
    schema["components"] = description["components"].clone();
    schema["$id"] = "file:///openapi.json".into();
    let validator = jsonschema::draft202012::options()
        .with_registry(
            &jsonschema::Registry::new()
                .add("file:///crash.schema.json", crash_schema())
                .unwrap()
                .prepare()
                .unwrap(),
        )
        .build(&schema)
        .unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{path}: {errors:?}\n{}", answer.text);
}

#[test]
fn every_route_is_described_and_every_description_has_its_route() {
    let described = description()["paths"].as_object().unwrap().clone();
    let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(described, api::paths().into_iter().collect());
}

#[tokio::test]
async fn every_form_of_every_answer_is_as_described() {
    let (served, description) = (Served::new(), description());
    served.become_ready();
    for (path, item) in description["paths"].as_object().unwrap() {
        let forms = item["get"]["responses"]["200"]["content"].as_object().unwrap();
        let required = parameters(&description, path);
        let required = required.iter().filter(|parameter| parameter["required"] == true);
        let (mut url, mut separator) = (path.clone(), '?');
        for name in required.map(|parameter| parameter["name"].as_str().unwrap()) {
            if path.contains('{') {
                url = url.replace(&format!("{{{name}}}"), example(path, name));
            } else {
                url.push_str(&format!("{separator}{name}={}", example(path, name)));
                separator = '&';
            }
        }
        for form in forms.keys().filter(|form| *form != "text/event-stream") {
            let answer = served.get(&url, form).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.text);
            let is = answer.headers[CONTENT_TYPE].to_str().unwrap();
            assert!(is.starts_with(form.as_str()), "{url}: {form} was asked, {is} answered");
            check(&description, path, &answer);
        }
    }
}

#[tokio::test]
async fn every_described_parameter_is_understood_and_no_other() {
    let (served, description) = (Served::new(), description());
    for path in description["paths"].as_object().unwrap().keys() {
        let url = path.replace("{id}", "bbbbbbbbbbbb");
        let listed = parameters(&description, path);
        let listed: Vec<_> = listed.iter().filter(|parameter| parameter["in"] == "query").collect();
        let required: String = listed
            .iter()
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| parameter["name"].as_str().unwrap())
            .map(|name| format!("{name}={}&", example(path, name)))
            .collect();
        for parameter in &listed {
            let name = parameter["name"].as_str().unwrap();
            let given = format!("{name}={}", example(path, name));
            let others = if parameter["required"] == true { "" } else { required.as_str() };
            let answer = served.get(&format!("{url}?{others}{given}"), "application/json").await;
            assert_eq!(answer.status, StatusCode::OK, "{url}?{given}: {}", answer.text);
            check(&description, path, &answer);
        }
        if !listed.is_empty() {
            let answer = served.get(&format!("{url}?{required}bogus=1"), "application/json").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}: {}", answer.text);
            check(&description, path, &answer);
        }
    }
}

#[tokio::test]
async fn crashes_are_narrowed_by_every_filter() {
    let served = Served::new();
    for (query, pods) in [
        ("", &["cart-0", "cart-0", "cart-1", "till-0"][..]),
        ("namespace=bank", &["till-0"]),
        ("pod=cart-1", &["cart-1"]),
        ("container=till", &["till-0"]),
        ("label=app%21%3Dcart", &["till-0"]),
        ("cause=oom_killed", &["cart-0"]),
        ("cause=oom_killed,segfault", &["cart-0", "cart-1"]),
        ("since=1s", &[]),
        ("until=2001-01-01", &[]),
    ] {
        let crashes = served.json(&format!("/v1/crashes?{query}")).await;
        let crashes = crashes.as_array().unwrap();
        let mut found: Vec<_> =
            crashes.iter().map(|crash| crash["k8s"]["pod"]["name"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, pods, "{query}");
        assert!(crashes.iter().all(|crash| crash.get("timeline").is_none()), "{query}");
    }
    let newest = served.json("/v1/crashes?limit=1").await;
    assert_eq!(newest.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_crash_is_told_by_id_and_by_pod() {
    let served = Served::new();
    let by_id = served.json("/v1/crashes/bbbbbbbbbbbb").await;
    assert_eq!(by_id["crash"]["cause"], "oom_killed");
    assert!(!by_id["timeline"].as_array().unwrap().is_empty());
    let by_pod = served.json("/v1/timeline?pod=till-0&container=till&namespace=bank").await;
    assert_eq!(by_pod["crash"]["id"], "dddddddddddd");
    let ids = [
        served.json("/v1/timeline?pod=cart-0").await["crash"]["id"].clone(),
        served.json("/v1/timeline?pod=cart-0&previous=1").await["crash"]["id"].clone(),
    ];
    let expected = [json!("aaaaaaaaaaaa"), json!("bbbbbbbbbbbb")];
    assert!(expected.iter().all(|id| ids.contains(id)), "{ids:?}");
}

#[tokio::test]
async fn a_text_has_colour_only_if_it_is_asked_for() {
    let served = Served::new();
    let plain = served.get("/v1/crashes/bbbbbbbbbbbb", "text/plain").await.text;
    assert!(plain.contains("cause:     oom_killed") && !plain.contains('\u{1b}'), "{plain}");
    let coloured = served.get("/v1/crashes/bbbbbbbbbbbb?color=true", "text/plain").await.text;
    assert!(coloured.contains("\u{1b}["), "{coloured}");
}

#[tokio::test]
async fn an_explanation_tells_what_changed_since_the_life_that_lasted() {
    let explained = Served::new().json("/v1/explain?pod=bbbbbbbbbbbb").await;
    assert_eq!(explained["crash"]["cause"], "oom_killed");
    let expected = json!({"from": "localhost/cart:1", "to": "localhost/cart:2"});
    assert_eq!(explained["changes"]["image"], expected, "{explained:#}");
    assert!(explained.get("timeline").is_none());
}

#[tokio::test]
async fn errors_say_what_to_do_and_list_candidates() {
    let (served, description) = (Served::new(), description());
    for (path, status, message) in [
        ("/v1/crashes?limit=100000", 400, "10000 is the most"),
        ("/v1/crashes?limit=-1", 400, "limit"),
        ("/v1/crashes?since=soon", 400, "give 10m"),
        ("/v1/crashes?label=a%3Db%3Dc", 400, "as kubectl takes them"),
        ("/v1/crashes?cause=bad_luck", 400, "is no cause: there are exec_not_found"),
        ("/v1/events?kind=rumour", 400, "is no kind: there are exec"),
        ("/v1/events?kind=crash", 400, "is no kind"),
        ("/v1/timeline", 400, "pod"),
        ("/v1/timeline?pod=nobody", 404, "no end of a container of pod \"nobody\""),
        ("/v1/crashes/ffffffffffff", 404, "no crash and no pod"),
        ("/v1/explain?pod=nobody&namespace=shop", 404, "in namespace \"shop\""),
        ("/v1/nothing", 404, "/openapi.json"),
        ("/", 404, "/openapi.json"),
    ] {
        let (is, said) = served.error(path).await;
        assert!(is == status && said.contains(message), "{path}: {is} {said}");
    }
    let answer = served.get("/v1/timeline?pod=cart", "application/json").await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);
    check(&description, "/v1/timeline", &answer);
    let error: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(error["error"]["candidates"].as_array().unwrap().len(), 2, "{error}");
}

#[tokio::test]
async fn nothing_can_be_changed_and_long_queries_are_refused() {
    let served = Served::new();
    let request = Request::post("/v1/crashes").body(Body::empty()).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let long = format!("/v1/crashes?pod={}", "x".repeat(5000));
    assert_eq!(served.error(&long).await.0, 400);
}

#[tokio::test]
async fn stored_events_are_read_in_parts_without_a_gap() {
    let served = Served::new();
    let whole = served.get("/v1/events", "application/jsonl").await;
    assert_eq!(whole.headers["x-more"], "false");
    let (mut parts, mut after) = (String::new(), "0".to_owned());
    loop {
        let path = format!("/v1/events?limit=7&after_row={after}");
        let part = served.get(&path, "application/jsonl").await;
        parts.push_str(&part.text);
        assert!(part.text.lines().count() <= 7);
        after = part.headers["x-last-row"].to_str().unwrap().to_owned();
        if part.headers["x-more"] == "false" {
            break;
        }
    }
    assert!(whole.text.lines().count() > 20 && parts == whole.text, "{}", whole.text);
    let end = served.get("/v1/events?limit=0", "application/jsonl").await;
    assert!(end.text.is_empty());
    assert_eq!(end.headers["x-last-row"].to_str().unwrap(), after);
}

#[tokio::test]
async fn live_events_are_streamed_as_they_happen() {
    let served = Served::new();
    let request = Request::get("/v1/events?pod=cart-0&kind=exec,crash")
        .header("accept", "text/event-stream")
        .body(Body::empty())
        .unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    for (kind, pod) in
        [("exec", "cart-1"), ("fork", "cart-0"), ("exec", "cart-0"), ("crash", "cart-0")]
    {
        let identity = Identity { pod_name: Some(pod.to_owned()), ..Identity::default() };
        let json = json!({"kind": kind, "pod": pod}).to_string();
        served.bus.publish(Line { json, kind, identity: Some(Arc::new(identity)), cause: None });
    }
    served.bus.end();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let expected = "event: exec\ndata: {\"kind\":\"exec\",\"pod\":\"cart-0\"}\n\n\
                    event: crash\ndata: {\"kind\":\"crash\",\"pod\":\"cart-0\"}\n\n";
    assert_eq!(String::from_utf8(body.into()).unwrap(), expected);
    let past = served.get("/v1/events?since=1h", "text/event-stream").await;
    assert_eq!(past.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_store_without_an_agent_has_no_live_events_and_no_health() {
    let store = Remembered::shop();
    let router = api::store_router(&store.path());
    let answer = get(&router, "/v1/events", "text/event-stream").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&router, "/v1/health", "*/*").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/v1/crashes", "*/*").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_absent_store_is_named() {
    let router = api::store_router("/nowhere/tracer.db".as_ref());
    let answer = get(&router, "/v1/crashes", "*/*").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("/nowhere/tracer.db"), "{}", answer.text);
}

#[tokio::test]
async fn the_pods_address_has_metrics_and_probes_only() {
    let served = Served::new();
    let router = api::health_router(served.agent.clone());
    for path in api::paths() {
        let answer = get(&router, &path.replace("{id}", "bbbbbbbbbbbb"), "*/*").await;
        let there = ["/metrics", "/live", "/ready"].contains(&path);
        assert_eq!(answer.status != StatusCode::NOT_FOUND, there, "{path}");
    }
}

#[tokio::test]
async fn the_agent_is_ready_when_its_parts_are() {
    let (served, description) = (Served::new(), description());
    let answer = served.get("/ready", "*/*").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    check(&description, "/ready", &answer);
    assert_eq!(served.json("/v1/health").await["ready"], false);
    served.become_ready();
    assert_eq!(served.get("/ready", "*/*").await.status, StatusCode::OK);
    assert_eq!(served.get("/live", "*/*").await.status, StatusCode::OK);
    assert_eq!(served.json("/v1/health").await["lacks"], json!([]));
}
