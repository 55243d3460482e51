//! The routes about the agent itself. Those of the pod's address tell nothing of what it watches.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::Agent;
use crate::node::{health, metrics};

/// This API.
const OPENAPI: &str = include_str!("../../../../docs/openapi.json");
/// The crash object.
const CRASH_SCHEMA: &str = include_str!("../../../../docs/crash.schema.json");

#[derive(Serialize)]
struct Document {
    version: &'static str,
    alive: bool,
    ready: bool,
    /// What keeps it from being ready.
    lacks: Vec<String>,
    #[serde(flatten)]
    state: health::State,
}

pub async fn health(State(agent): State<Agent>) -> Response {
    let state = agent.health.state();
    let lacks = state.lacks();
    Json(Document {
        version: env!("CARGO_PKG_VERSION"),
        alive: agent.health.is_alive(),
        ready: lacks.is_empty(),
        lacks,
        state,
    })
    .into_response()
}

pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

pub async fn crash_schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], CRASH_SCHEMA).into_response()
}

pub async fn metrics(State(agent): State<Agent>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], agent.metrics.encode()).into_response()
}

pub async fn live(State(agent): State<Agent>) -> Response {
    if agent.health.is_alive() {
        "alive\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the agent's loop is stuck\n").into_response()
    }
}

pub async fn ready(State(agent): State<Agent>) -> Response {
    let state = agent.health.state();
    let lacks = state.lacks();
    if lacks.is_empty() && !state.store.writable {
        return "ready, but the store cannot be written: what happens is only streamed\n"
            .into_response();
    }
    if lacks.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, lacks.join("\n") + "\n").into_response()
}
