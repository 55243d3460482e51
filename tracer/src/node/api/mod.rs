//! The HTTP API: what a node remembers, what happens now, and how the agent is. docs/openapi.json describes
//! it. It must not know who asks, or what is beyond the store, the bus, the metrics and the health.

mod accept;
mod agent;
mod crashes;
mod error;
mod events;
mod guests;
mod host;
mod listen;
mod params;
mod readers;
mod serve;

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use crate::{
    contract::question,
    node::{health::Health, live::Bus, metrics::Metrics},
};

pub use listen::Listener;
pub use serve::serve;

use error::ApiError;
use readers::Readers;

/// Names of the response headers by which a long list of events is read on.
pub use events::{LAST_ROW, MORE};

/// The agent's unix socket, unless it was told another.
pub const SOCKET: &str = "/run/tracer/tracer.sock";

/// What the routes about the agent itself show.
#[derive(Clone, Debug)]
pub struct Agent {
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
}

/// What the routes about crashes and events read.
struct Memory {
    readers: Readers,
    /// `None` where a store is read without an agent.
    live: Option<Bus>,
}

/// Everything: for the unix socket, and by [`on_loopback`] for a loopback address.
pub fn data_router(store: &Path, live: Bus, agent: Agent) -> Router {
    let memory = Memory { readers: Readers::new(store), live: Some(live) };
    let about = with(agent_routes(), agent.clone()).merge(with(probe_routes(), agent));
    finish(with(memory_routes(), Arc::new(memory)).merge(about))
}

/// Crashes and events of a store that no agent serves.
pub fn store_router(store: &Path) -> Router {
    let memory = Memory { readers: Readers::new(store), live: None };
    finish(with(memory_routes(), Arc::new(memory)))
}

/// `/metrics`, `/live` and `/ready` only: for the pod's address.
pub fn health_router(agent: Agent) -> Router {
    finish(with(probe_routes(), agent))
}

/// Answers only requests for localhost: a web page whose name was made to resolve to this machine is refused.
pub fn on_loopback(router: Router) -> Router {
    router.layer(from_fn(host::only_local))
}

/// Every path that is answered, in the spelling of docs/openapi.json.
pub fn paths() -> Vec<&'static str> {
    let memory = memory_routes().into_iter().map(|(path, _)| path);
    let agent = agent_routes().into_iter().chain(probe_routes()).map(|(path, _)| path);
    memory.chain(agent).collect()
}

type Routes<S> = Vec<(&'static str, MethodRouter<S>)>;

fn memory_routes() -> Routes<Arc<Memory>> {
    vec![
        (question::CRASHES, get(crashes::list)),
        ("/v1/crashes/{id}", get(crashes::by_id)),
        (question::TIMELINE, get(crashes::timeline)),
        (question::EXPLAIN, get(crashes::explain)),
        (question::EVENTS, get(events::events)),
    ]
}

fn agent_routes() -> Routes<Agent> {
    vec![
        (question::HEALTH, get(agent::health)),
        ("/openapi.json", get(agent::openapi)),
        ("/crash.schema.json", get(agent::crash_schema)),
    ]
}

fn probe_routes() -> Routes<Agent> {
    vec![
        ("/metrics", get(agent::metrics)),
        ("/live", get(agent::live)),
        ("/ready", get(agent::ready)),
    ]
}

fn with<S: Clone + Send + Sync + 'static>(routes: Routes<S>, state: S) -> Router {
    let router = Router::new();
    routes
        .into_iter()
        .fold(router, |router, (path, methods)| router.route(path, methods))
        .with_state(state)
}

fn finish(router: Router) -> Router {
    router
        .fallback(|| async { ApiError::not_found("there is nothing here: see /openapi.json") })
        .method_not_allowed_fallback(|| async { ApiError::only_get() })
        .layer(from_fn(short_enough))
}

/// Bytes of a request's path and query.
const LONGEST_QUERY: usize = 4096;

async fn short_enough(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |whole| whole.as_str().len());
    if length > LONGEST_QUERY {
        let message = format!("the query has {length} bytes, {LONGEST_QUERY} are the limit");
        return ApiError::bad_request(message).into_response();
    }
    next.run(request).await
}
