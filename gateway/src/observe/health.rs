//! Health over HTTP, for probes and Prometheus: `/health`, `/ready`, `/live`, `/metrics`. It reports and decides nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    beat::Beat,
    metrics::{self, Metrics, Realms},
};

/// A loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// The state that probes ask for.
#[derive(Debug)]
pub struct Health {
    realms: Arc<dyn Realms>,
    metrics: Arc<Metrics>,
    started: Instant,
    ready: AtomicBool,
    draining: AtomicBool,
    pub quic: Arc<Beat>,
    pub tcp: Arc<Beat>,
    pub router: Arc<Beat>,
}

impl Health {
    /// A gateway that is not ready yet.
    pub fn new(realms: Arc<dyn Realms>, metrics: Arc<Metrics>) -> Self {
        Self {
            realms,
            metrics,
            started: Instant::now(),
            ready: AtomicBool::default(),
            draining: AtomicBool::default(),
            quic: Arc::default(),
            tcp: Arc::default(),
            router: Arc::default(),
        }
    }

    /// Sets whether the gateway is ready. While it drains it stays ready until its last client has left: kube-proxy drops
    /// the route of a connection's datagrams as soon as the pod is not ready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/live", get(live))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// The names of the loops that are stuck.
    fn stuck(&self) -> Vec<&'static str> {
        let beats = [("quic", &self.quic), ("tcp", &self.tcp), ("router", &self.router)];
        let stuck = beats.into_iter().filter(|(_, beat)| beat.since() > STUCK);
        stuck.map(|(name, _)| name).collect()
    }
}

type Shared = State<Arc<Health>>;

async fn health(State(health): Shared) -> Response {
    let status = match (health.draining.load(Ordering::Relaxed), health.is_ready()) {
        (true, _) => "draining",
        (false, true) => "healthy",
        (false, false) => "starting",
    };
    let uptime = health.started.elapsed().as_secs();
    let body = json!({ "status": status, "ready": health.is_ready(), "uptime": uptime });
    Json(body).into_response()
}

async fn ready(State(health): Shared) -> Response {
    let ready = health.is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready }))).into_response()
}

async fn live(State(health): Shared) -> Response {
    let stuck = health.stuck();
    let code = if stuck.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "live": stuck.is_empty(), "stuck": stuck }))).into_response()
}

async fn metrics(State(health): Shared) -> Response {
    let text = health.metrics.encode(health.realms.snapshot(), health.is_ready());
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::Snapshot;

    #[derive(Debug)]
    struct NoRealms;

    impl Realms for NoRealms {
        fn snapshot(&self) -> Snapshot {
            Snapshot::default()
        }
    }

    async fn live_says(health: &Arc<Health>) -> (u16, String) {
        let answer = live(State(health.clone())).await;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_turn_is_named_by_503() {
        let health = Arc::new(Health::new(Arc::new(NoRealms), Arc::new(Metrics::new())));
        assert_eq!(live_says(&health).await, (200, r#"{"live":true,"stuck":[]}"#.to_owned()));
        tokio::time::sleep(STUCK).await;
        health.router.turn();
        tokio::time::sleep(Beat::EVERY).await;
        let stuck = r#"{"live":false,"stuck":["quic","tcp"]}"#;
        assert_eq!(live_says(&health).await, (503, stuck.to_owned()));
        health.quic.turn();
        tokio::time::sleep(STUCK).await;
        health.tcp.turn();
        tokio::time::sleep(Beat::EVERY).await;
        let stuck = r#"{"live":false,"stuck":["quic","router"]}"#;
        assert_eq!(live_says(&health).await, (503, stuck.to_owned()));
    }
}
