//! A Kubernetes API for tests: lists and streams pods over plain HTTP as it is told to. It must not know the client.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Query, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;

/// What it has, and what it was asked.
#[derive(Debug, Default)]
struct Served {
    pods: Vec<Value>,
    /// Lines of the watch, each with the version after it.
    log: Vec<(u64, String)>,
    version: u64,
    /// So many requests fail from now on.
    failing: usize,
    asked: Vec<String>,
}

/// Answers until dropped.
pub struct FakeApi {
    address: SocketAddr,
    served: Arc<Mutex<Served>>,
    changed: watch::Sender<u64>,
    /// Ends all watches.
    cut: watch::Sender<u64>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Seen {
    served: Arc<Mutex<Served>>,
    changed: watch::Receiver<u64>,
    cut: watch::Receiver<u64>,
}

impl FakeApi {
    pub async fn start(pods: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(Mutex::new(Served { pods, version: 1, ..Served::default() }));
        let (changed, changes) = watch::channel(0);
        let (cut, cuts) = watch::channel(0);
        let seen = Seen { served: served.clone(), changed: changes, cut: cuts };
        let app = Router::new().route("/api/v1/pods", get(pods_of)).with_state(seen);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, served, changed, cut, server }
    }

    pub fn client(&self) -> Client {
        let url = format!("http://{}", self.address).parse().unwrap();
        Client::try_from(Config::new(url)).unwrap()
    }

    /// The pods of its next lists.
    pub fn has(&self, pods: Vec<Value>) {
        self.served.lock().unwrap().pods = pods;
    }

    /// Tells watchers of a pod.
    pub fn tells(&self, kind: &str, mut pod: Value) {
        let version = self.served.lock().unwrap().version + 1;
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        self.writes(&json!({"type": kind, "object": pod}).to_string());
    }

    /// Writes a line to watchers, whatever it is.
    pub fn writes(&self, line: &str) {
        let mut served = self.served.lock().unwrap();
        served.version += 1;
        let version = served.version;
        served.log.push((version, format!("{line}\n")));
        drop(served);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends all watches.
    pub fn cuts(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    pub fn fails(&self, requests: usize) {
        self.served.lock().unwrap().failing = requests;
    }

    /// The queries of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.served.lock().unwrap().asked.clone()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pods_of(
    Shared(seen): Shared<Seen>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let is_watch = query.get("watch").is_some_and(|watch| watch == "true");
    let mut served = seen.served.lock().unwrap();
    let mut asked: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    asked.sort();
    served.asked.push(asked.join("&"));
    if served.failing > 0 {
        served.failing -= 1;
        return (StatusCode::FORBIDDEN, "not you").into_response();
    }
    if !is_watch {
        let list = json!({
            "kind": "PodList", "apiVersion": "v1",
            "metadata": {"resourceVersion": served.version.to_string()},
            "items": served.pods,
        });
        return axum::Json(list).into_response();
    }
    drop(served);
    let since = query.get("resourceVersion").and_then(|version| version.parse().ok());
    let (lines, body) = mpsc::channel::<Result<String, std::io::Error>>(16);
    tokio::spawn(stream(seen, since.unwrap_or(0), lines));
    Body::from_stream(ReceiverStream::new(body)).into_response()
}

async fn stream(
    mut seen: Seen,
    mut since: u64,
    lines: mpsc::Sender<Result<String, std::io::Error>>,
) {
    seen.cut.mark_unchanged();
    loop {
        seen.changed.mark_unchanged();
        let news: Vec<(u64, String)> = {
            let served = seen.served.lock().unwrap();
            served.log.iter().filter(|(version, _)| *version > since).cloned().collect()
        };
        for (version, line) in news {
            since = version;
            if lines.send(Ok(line)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = seen.changed.changed() => if changed.is_err() { return },
            _ = seen.cut.changed() => return,
            () = lines.closed() => return,
        }
    }
}
